//! Whether the model is in memory: loaded when somebody asks, given back when nobody does, changed when nobody uses it.
//!
//! Runs on the sockets' thread, as the sessions do: between two awaits nothing changes. So what the state says is set here, in the same
//! breath as the decision, and the worker's inbox keeps the order.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use beast_protocol::{LoadStage, WireError};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::daemon::{Daemon, Phase};
use crate::loader::{LoadState, Ready};
use crate::worker::{Command, shutting_down};

/// A daemon that has answered nothing yet was started by somebody who is about to ask.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// A model that stays in memory as long as this lives.
pub struct InUse {
    ready: Arc<Ready>,
    n_users: watch::Sender<usize>,
}

impl InUse {
    /// The model that answers now is used from now on.
    pub fn new(daemon: &Daemon, ready: Arc<Ready>) -> Self {
        let n_users = daemon.n_users.clone();
        n_users.send_modify(|n| *n += 1);
        Self { ready, n_users }
    }
}

impl Deref for InUse {
    type Target = Arc<Ready>;

    fn deref(&self) -> &Arc<Ready> {
        &self.ready
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.n_users.send_modify(|n| *n -= 1);
    }
}

/// Loads the configured model, if it was given back; returns at once.
pub fn wake(daemon: &Arc<Daemon>) {
    if daemon.progress.is_unloaded() {
        daemon.progress.begin();
        let (daemon, config) = (Arc::clone(daemon), daemon.config());
        tokio::spawn(async move { daemon.worker.command(Command::Load(config)).await });
    }
}

/// Loads this model in the place of the present one, which answers what it has begun; without one, loads the configured one. It goes on
/// when the receiver is dropped.
pub fn load(daemon: &Arc<Daemon>, model: Option<String>) -> oneshot::Receiver<Result<(), WireError>> {
    let (done, outcome) = oneshot::channel();
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        // Who asked may have gone.
        let _ = done.send(replace(&daemon, model).await);
    });
    outcome
}

async fn replace(daemon: &Arc<Daemon>, model: Option<String>) -> Result<(), WireError> {
    let _alone = daemon.changing.lock().await;
    let old = daemon.config();
    let is_asked = model.is_some();
    let config = match model {
        // A draft model goes with the model that it was configured for.
        Some(model) if model != old.model => Arc::new(Config { model, draft: "auto".into(), ..(*old).clone() }),
        _ => Arc::clone(&old),
    };
    match settled(daemon).await? {
        LoadState::Ready(ready) if !is_asked || is_file_of(&ready, &config).await => return Ok(()),
        LoadState::Ready(_) => {
            // Whoever asks from now on waits for the next model.
            daemon.progress.begin();
            let mut n_users = daemon.n_users.subscribe();
            n_users.wait_for(|n| *n == 0).await.map_err(|_| shutting_down())?;
            daemon.worker.command(Command::Unload).await;
        }
        _ => daemon.progress.begin(),
    }
    daemon.worker.command(Command::Load(Arc::clone(&config))).await;
    match settled(daemon).await? {
        LoadState::Unloaded { failed: Some(error) } => Err(error),
        _ => {
            if config.model != old.model {
                tracing::info!(model = config.model, "another model answers");
                daemon.config.send_modify(|now| {
                    *now = Arc::new(Config {
                        model: config.model.clone(),
                        draft: config.draft.clone(),
                        ..(**now).clone()
                    });
                });
            }
            Ok(())
        }
    }
}

/// Whether these settings name the file that is loaded: `auto` may be another one since.
async fn is_file_of(ready: &Ready, config: &Arc<Config>) -> bool {
    let config = Arc::clone(config);
    let located = tokio::task::spawn_blocking(move || crate::model::locate(&config.model)).await;
    // What cannot be found is not what is loaded; loading it says why.
    located.is_ok_and(|located| located.is_ok_and(|located| located.path.display().to_string() == ready.model.path))
}

/// The state once nothing is being loaded.
async fn settled(daemon: &Daemon) -> Result<LoadState, WireError> {
    let mut load = daemon.progress.watch();
    let state =
        load.wait_for(|state| !matches!(state, LoadState::Loading { .. })).await.map_err(|_| shutting_down())?;
    match &*state {
        LoadState::Failed(error) => Err(error.clone()),
        state => Ok(state.clone()),
    }
}

/// Gives the model's memory back as soon as no request uses it.
pub async fn unload(daemon: &Daemon) {
    let _alone = daemon.changing.lock().await;
    if !matches!(settled(daemon).await, Ok(LoadState::Ready(_))) {
        return;
    }
    let mut n_users = daemon.n_users.subscribe();
    if n_users.wait_for(|n| *n == 0).await.is_ok() {
        daemon.progress.unloaded();
        daemon.worker.command(Command::Unload).await;
        daemon.progress.given_back().await;
    }
}

/// Gives the model back after `idle_unload` without a request, and ends a daemon that the system starts again after `idle_exit`.
pub async fn watch_idleness(daemon: Arc<Daemon>, is_activated: bool) {
    let mut answering = daemon.answering.subscribe();
    let mut load = daemon.progress.watch();
    let mut config = daemon.config.subscribe();
    let mut phase = daemon.phase.subscribe();
    loop {
        if answering.wait_for(|n| *n == 0).await.is_err() {
            return;
        }
        let mut since = Instant::now();
        loop {
            let settings = daemon.config();
            load.mark_unchanged();
            let is_ready = matches!(&*load.borrow(), LoadState::Ready(_));
            let is_first = daemon.metrics.n_requests.load(Relaxed) == 0;
            let grace = if is_first { FIRST_REQUEST } else { Duration::ZERO };
            // `never` is longer than any clock goes.
            let unload_at = since.checked_add(settings.idle_unload.max(grace)).filter(|_| is_ready);
            let exit_at = since.checked_add(settings.idle_exit.max(grace)).filter(|_| is_activated);
            let next = unload_at.into_iter().chain(exit_at).min();
            tokio::select! {
                () = sleep_until(next.unwrap_or(since)), if next.is_some() => {
                    let is_over = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
                    if is_over(exit_at) {
                        if daemon.n_connections.load(Relaxed) == 0 {
                            tracing::info!(idle = ?settings.idle_exit, "nobody asks; the next call starts beastd again");
                            return daemon.drain();
                        }
                        // Somebody is connected and silent; the end of that does not wake this.
                        since = Instant::now();
                    } else if is_over(unload_at) {
                        tracing::info!(idle = ?settings.idle_unload, "nobody asks; the model is given back");
                        unload(&daemon).await;
                    }
                }
                // A borrowed value must not live until another branch has waited.
                is_there = async { answering.wait_for(|n| *n > 0).await.is_ok() } => match is_there {
                    true => break,
                    false => return,
                },
                changed = load.changed() => if changed.is_err() { return },
                changed = config.changed() => if changed.is_err() { return },
                () = async { let _ = phase.wait_for(|phase| *phase != Phase::Serving).await; } => return,
            }
        }
    }
}

impl crate::loader::Progress {
    /// Loading begins.
    fn begin(&self) {
        self.set(LoadState::Loading { stage: LoadStage::ModelFile, fraction: 0.0 });
    }

    /// The model is being given back.
    fn unloaded(&self) {
        self.set(LoadState::Unloaded { failed: None });
    }

    /// Whether a request has to load the model first.
    fn is_unloaded(&self) -> bool {
        matches!(&*self.watch().borrow(), LoadState::Unloaded { .. })
    }
}
