//! Keeps the model in memory or not: loads it on request, unloads it when idle, switches it when unused.
//!
//! Runs on the sockets' thread, as sessions do: nothing changes between two awaits. So the state is set here together
//! with each decision, and the worker's inbox keeps the order. Only users of the model may leave meanwhile, on the
//! worker's thread.

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

/// A daemon that has answered nothing yet was started by a client about to ask. HTTP clients do not start it, so the
/// first HTTP request ends this.
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

/// Requested changes.
pub enum Change {
    /// Load this model instead of the current one, which first finishes its requests; without a name, load the
    /// configured one.
    Load(Option<String>),
    /// Unload the model as soon as no request uses it.
    Unload,
}

/// The client that waits for a change; closed when it is gone.
type Asker = oneshot::Sender<Result<(), WireError>>;

/// Starts a change. When the receiver is dropped, waiting for running requests is abandoned, but a change that has
/// begun continues.
pub fn change(shared: &Arc<Shared>, change: Change) -> oneshot::Receiver<Result<(), WireError>> {
    let (mut asker, outcome) = oneshot::channel();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let result = match change {
            Change::Load(model) => load(&shared, model, &mut asker).await,
            Change::Unload => unload(&shared, &mut asker).await,
        };
        // The client may be gone.
        let _ = asker.send(result);
    });
    outcome
}

async fn load(shared: &Arc<Shared>, model: Option<String>, asker: &mut Asker) -> Result<(), WireError> {
    // A loaded model needs no turn: an unload may be waiting for a long answer.
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
            // This process is ending; the next one reads the configuration again.
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
            // Other waiting clients have not asked for that model, and load the configured one.
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

/// Unloads the model in favour of another. New requests wait for that, or a busy daemon would never switch.
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
    // Otherwise the engine has failed meanwhile.
    if is_leaving { shared.worker.unload().await } else { Err(shutting_down()) }
}

/// Waits for something as long as a client wants it.
async fn until<T>(asker: &mut Asker, event: impl Future<Output = T>) -> Result<T, WireError> {
    tokio::select! {
        biased;
        happened = event => Ok(happened),
        // The client is gone.
        () = asker.closed() => Err(WireError::new(ErrorCode::Internal, "the client disconnected")),
    }
}

/// Resolves when no request uses the model.
async fn unused(shared: &Shared) {
    // The sender lives as long as the daemon.
    let _ = shared.n_users.subscribe().wait_for(|n| *n == 0).await;
}

/// The state once nothing is loading.
async fn settled(shared: &Shared) -> LoadState {
    let mut load = shared.progress.watch();
    // Equal.
    let _ = load.wait_for(|state| !matches!(state, LoadState::Loading { .. })).await;
    load.borrow().clone()
}

/// The settings to load this model, or the configured one, with.
fn wanted(shared: &Shared, model: Option<&str>) -> Arc<Config> {
    let old = shared.config();
    match model {
        // A draft model belongs to the model it was configured for.
        Some(model) if model != old.model => {
            Arc::new(Config { model: model.to_owned(), draft: "auto".into(), ..(*old).clone() })
        }
        _ => old,
    }
}

/// Whether this model, or any if none is named, is loaded and staying. If so, its name becomes the setting: `auto` may
/// resolve differently later.
async fn is_there(shared: &Shared, model: Option<&str>) -> bool {
    let LoadState::Ready(ready) = shared.progress.watch().borrow().clone() else { return false };
    let Some(model) = model.map(str::to_owned) else { return true };
    let name = model.clone();
    let located = tokio::task::spawn_blocking(move || crate::model_file::locate(&name)).await;
    // An unresolvable name is not what is loaded; loading it reports why.
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

/// Unloads the model after `idle_unload` without a request, and ends a daemon that the service manager restarts on
/// demand after `idle_exit`.
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
                        // A silent client is connected; its disconnect does not wake this loop.
                        since = Instant::now();
                    } else if is_over(unload_at) {
                        tracing::info!(idle = ?settings.idle_unload, "idle, unloading the model");
                        // Nothing else could leave.
                        let _ = change(&shared, Change::Unload).await;
                    }
                }
                // A borrowed value must not live across another branch's await.
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

/// When a model that has been idle since then is unloaded, and when the daemon ends. `never` is longer than any clock
/// goes.
fn ends_of_idleness(settings: &Config, since: Instant, is_first: bool) -> (Option<Instant>, Option<Instant>) {
    let grace = if is_first { FIRST_REQUEST } else { Duration::ZERO };
    (since.checked_add(settings.idle_unload.max(grace)), since.checked_add(settings.idle_exit.max(grace)))
}

fn beginning() -> LoadState {
    LoadState::Loading { stage: LoadStage::ModelFile, fraction: 0.0 }
}

impl crate::loader::Progress {
    /// Loading starts.
    fn begin(&self) {
        self.set(beginning());
    }

    /// Loading failed; the reason goes to all who wait for a model. A worker that has ended has reported it.
    fn has_failed(&self, failed: Option<WireError>) {
        self.advance(|state| matches!(state, LoadState::Loading { .. }).then_some(LoadState::Unloaded { failed }));
    }

    /// Whether a request has to load the model first.
    fn is_unloaded(&self) -> bool {
        matches!(&*self.watch().borrow(), LoadState::Unloaded { .. })
    }
}
