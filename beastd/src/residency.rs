//! Decides when the model is in memory: loads it on request, unloads it when idle, switches it when unused.
//!
//! Runs on the sockets' thread, as sessions do, so nothing changes between two awaits: each decision sets the state at
//! once, and the worker's inbox keeps the order. Only the number of users may fall meanwhile, on the worker's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use beast_protocol::{ErrorCode, LoadStage, WireError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::loader::LoadState;
use crate::shared::{Phase, Shared};
use crate::worker::shutting_down;

/// Grace period of a daemon that has answered nothing yet: the client that started it is about to ask. HTTP clients
/// start no daemon, so the first HTTP request ends the period.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// Loads the configured model if it was unloaded; returns at once.
pub fn wake(shared: &Arc<Shared>) {
    if shared.progress.is_unloaded() {
        shared.progress.begin();
        let (shared, config) = (Arc::clone(shared), shared.config());
        tokio::spawn(async move {
            if let Err(error) = shared.worker.load(config).await {
                shared.progress.has_failed(Some(error));
            }
        });
    }
}

/// A requested change of the model.
pub enum Change {
    /// Loads this model in place of the current one, which first finishes its requests; without a name, loads the
    /// configured one.
    Load(Option<String>),
    /// Unloads the model as soon as no request uses it.
    Unload,
}

/// The channel to the client that requested a change; closed when the client is gone.
type Asker = oneshot::Sender<Result<(), WireError>>;

/// Starts a change. Dropping the receiver abandons the wait for running requests, but not a change that has begun.
pub fn change(shared: &Arc<Shared>, change: Change) -> oneshot::Receiver<Result<(), WireError>> {
    let (mut asker, outcome) = oneshot::channel();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let result = match change {
            Change::Load(model) => load(&shared, model, &mut asker).await,
            Change::Unload => unload(&shared, &mut asker).await,
        };
        // Fails if the client is gone.
        let _ = asker.send(result);
    });
    outcome
}

async fn load(shared: &Arc<Shared>, model: Option<String>, asker: &mut Asker) -> Result<(), WireError> {
    // If the model is loaded, this need not wait for other changes, such as an unload that waits for a long answer.
    if is_there(shared, model.as_deref()).await {
        return Ok(());
    }
    let _alone = until(asker, shared.changing.lock()).await?;
    let state = until(asker, settled(shared)).await?;
    if is_there(shared, model.as_deref()).await {
        return Ok(());
    }
    let config = wanted(shared, model.as_deref());
    let was_ready = matches!(state, LoadState::Ready(_));
    match state {
        LoadState::Ready(_) => make_way(shared, asker).await?,
        LoadState::Failed(_) if model.is_some() => {
            // This process is about to end; the next one reads the configuration again.
            shared.drain();
            return Err(shutting_down());
        }
        LoadState::Failed(error) => return Err(error),
        _ => shared.progress.begin(),
    }
    let outcome = shared.worker.load(Arc::clone(&config)).await;
    match &outcome {
        Ok(()) => adopt(shared, &config),
        Err(error) => {
            // Other waiting clients did not request that model: for them, the configured one is loaded.
            shared.progress.has_failed(model.is_none().then(|| error.clone()));
            if was_ready {
                wake(shared);
            }
        }
    }
    outcome
}

async fn unload(shared: &Shared, asker: &mut Asker) -> Result<(), WireError> {
    let _alone = until(asker, shared.changing.lock()).await?;
    until(asker, settled(shared)).await?;
    until(asker, unused(shared)).await?;
    let is_leaving = shared.progress.advance(|state| match state {
        LoadState::Ready(_) => Some(LoadState::Unloaded { failed: None }),
        _ => None,
    });
    if is_leaving { shared.worker.unload().await } else { Ok(()) }
}

/// Unloads the model to make room for another. New requests must wait meanwhile, or a busy daemon would never switch.
async fn make_way(shared: &Shared, asker: &mut Asker) -> Result<(), WireError> {
    shared.progress.advance(|state| match state {
        LoadState::Ready(ready) => Some(LoadState::Leaving(Arc::clone(ready))),
        _ => None,
    });
    tracing::info!(n_users = *shared.n_users.borrow(), "switching models after running requests finish");
    let outcome = until(asker, unused(shared)).await;
    let is_leaving = shared.progress.advance(|state| match state {
        LoadState::Leaving(_) if outcome.is_ok() => Some(beginning()),
        LoadState::Leaving(ready) => Some(LoadState::Ready(Arc::clone(ready))),
        _ => None,
    });
    outcome?;
    // If not, the engine has failed meanwhile.
    if is_leaving { shared.worker.unload().await } else { Err(shutting_down()) }
}

/// Awaits an event for as long as the client waits.
async fn until<T>(asker: &mut Asker, event: impl Future<Output = T>) -> Result<T, WireError> {
    tokio::select! {
        biased;
        happened = event => Ok(happened),
        // The client has disconnected.
        () = asker.closed() => Err(WireError::new(ErrorCode::Internal, "the client disconnected")),
    }
}

/// Resolves when no request uses the model.
async fn unused(shared: &Shared) {
    // Cannot fail: the sender lives as long as the daemon.
    let _ = shared.n_users.subscribe().wait_for(|n| *n == 0).await;
}

/// The state once nothing is loading.
async fn settled(shared: &Shared) -> LoadState {
    let mut load = shared.progress.watch();
    // If the sender is gone, the last state is final.
    let _ = load.wait_for(|state| !matches!(state, LoadState::Loading { .. })).await;
    load.borrow().clone()
}

/// The settings for loading this model, or else the configured one.
fn wanted(shared: &Shared, model: Option<&str>) -> Arc<Config> {
    let old = shared.config();
    match model {
        // A draft model is configured for one main model only.
        Some(model) if model != old.model => {
            Arc::new(Config { model: model.to_owned(), draft: "auto".into(), ..(*old).clone() })
        }
        _ => old,
    }
}

/// Whether this model, or any if none is named, is loaded and will stay. If so, its name becomes the setting, because
/// `auto` may resolve differently later.
async fn is_there(shared: &Shared, model: Option<&str>) -> bool {
    let LoadState::Ready(ready) = shared.progress.watch().borrow().clone() else { return false };
    let Some(model) = model.map(str::to_owned) else { return true };
    let name = model.clone();
    let located = tokio::task::spawn_blocking(move || crate::model_file::locate(&name)).await;
    // A name that cannot be resolved is not the loaded model; loading it reports why.
    let is_same =
        located.is_ok_and(|located| located.is_ok_and(|found| found.path.display().to_string() == ready.model.path));
    if is_same {
        adopt(shared, &Config { model, ..(*shared.config()).clone() });
    }
    is_same
}

/// Makes the requested model the configured one.
fn adopt(shared: &Shared, config: &Config) {
    shared.config.send_if_modified(|now| {
        let is_new = now.model != config.model;
        if is_new {
            tracing::info!(model = config.model, "switched models");
            *now = Arc::new(Config { model: config.model.clone(), draft: config.draft.clone(), ..(**now).clone() });
        }
        is_new
    });
}

/// Unloads the model after `idle_unload` without a request, and ends the daemon after `idle_exit` if the service
/// manager restarts it on demand.
pub async fn watch_idleness(shared: Arc<Shared>) {
    let mut answering = shared.answering.subscribe();
    let mut load = shared.progress.watch();
    let mut config = shared.config.subscribe();
    let mut phase = shared.phase.subscribe();
    let mut has_visitors = shared.has_visitors.subscribe();
    let mut is_first = true;
    loop {
        if answering.wait_for(|n| *n == 0).await.is_err() {
            return;
        }
        let mut since = Instant::now();
        let mut was_ready = false;
        loop {
            load.mark_unchanged();
            let is_ready = matches!(&*load.borrow(), LoadState::Ready(_));
            if is_ready && !was_ready {
                // Loading time does not count as idle.
                since = Instant::now();
            }
            was_ready = is_ready;
            is_first &= !*has_visitors.borrow_and_update();
            let settings = shared.config();
            let (unload_at, exit_at) = ends_of_idleness(&settings, since, is_first);
            let (unload_at, exit_at) = (unload_at.filter(|_| is_ready), exit_at.filter(|_| shared.is_kept));
            let next = unload_at.into_iter().chain(exit_at).min();
            tokio::select! {
                () = sleep_until(next.unwrap_or(since)), if next.is_some() => {
                    let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
                    if is_over(exit_at) {
                        if shared.n_connections.load(Relaxed) == 0 {
                            let idle = settings.idle_exit;
                            tracing::info!(?idle, "idle, exiting; the next request restarts beastd");
                            return shared.drain();
                        }
                        // An idle client is still connected. Its disconnect would not wake this loop, so wait for
                        // another period.
                        since = Instant::now();
                    } else if is_over(unload_at) {
                        tracing::info!(idle = ?settings.idle_unload, "idle, unloading the model");
                        // The outcome changes nothing here.
                        let _ = change(&shared, Change::Unload).await;
                    }
                }
                // The borrowed value must not be held across another branch's await.
                is_there = async { answering.wait_for(|n| *n > 0).await.is_ok() } => match is_there {
                    true => {
                        is_first = false;
                        break;
                    }
                    false => return,
                },
                changed = load.changed() => if changed.is_err() { return },
                changed = has_visitors.changed() => if changed.is_err() { return },
                changed = config.changed() => if changed.is_err() { return },
                () = async { let _ = phase.wait_for(|phase| *phase != Phase::Serving).await; } => return,
            }
        }
    }
}

/// When a model that has been idle since `since` is unloaded, and when the daemon exits. `None` for `never`, which
/// exceeds the range of the clock.
fn ends_of_idleness(settings: &Config, since: Instant, is_first: bool) -> (Option<Instant>, Option<Instant>) {
    let grace = if is_first { FIRST_REQUEST } else { Duration::ZERO };
    (since.checked_add(settings.idle_unload.max(grace)), since.checked_add(settings.idle_exit.max(grace)))
}

fn beginning() -> LoadState {
    LoadState::Loading { stage: LoadStage::ModelFile, fraction: 0.0 }
}

impl crate::loader::Progress {
    fn begin(&self) {
        self.set(beginning());
    }

    /// Sets the state after a failed load; the reason goes to all clients that wait for a model. A worker that has
    /// ended has set the state itself.
    fn has_failed(&self, failed: Option<WireError>) {
        self.advance(|state| matches!(state, LoadState::Loading { .. }).then_some(LoadState::Unloaded { failed }));
    }

    /// Whether a request has to load the model first.
    fn is_unloaded(&self) -> bool {
        matches!(&*self.watch().borrow(), LoadState::Unloaded { .. })
    }
}
