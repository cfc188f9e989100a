//! beastd keeps a language model resident and answers on a Unix socket.
//!
//! One request from socket to token: [`server`] accepts → [`session`] reads the frames → [`admission`] makes tokens of
//! it → [`worker`] takes it from its inbox, [`scheduler`] puts it into the next batch, [`engine`] runs that →
//! [`stream`] turns tokens into text → the session sends it. ARCHITECTURE.md tells it with more of the rooms.

pub mod admission;
pub mod admitted;
mod answering;
pub mod batch;
mod budget;
pub mod calibration;
pub mod clock;
pub mod config;
mod connection;
mod cores;
pub mod daemon;
mod decide;
pub mod engine;
mod fingerprint;
pub mod governor;
pub mod http;
mod in_use;
mod interrupt;
mod jobs;
mod large_stack;
pub mod loader;
pub mod logging;
pub mod metrics;
pub mod model;
mod prefix_cache;
mod prefix_store;
mod repetition;
mod residency;
pub mod sampling;
pub mod scheduler;
mod server;
mod session;
pub mod speculation;
mod splitter;
pub mod stream;
pub mod template;
mod tools;
pub mod trial;
mod watchdog;
pub mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use beast_launchd::{HttpListener, Listener, Origin};
use beast_protocol::{ErrorCode, WireError};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use config::{Loaded, Overrides};
use daemon::{Daemon, Phase};
use loader::Progress;
use logging::Logging;
use metrics::Metrics;

/// How long the end waits for the engine to leave its current step.
const LAST_STEP: Duration = Duration::from_secs(10);

/// Runs the daemon on sockets that listen already, until it is told to end. `overrides` are what SIGHUP loads the
/// configuration from again.
///
/// # Errors
/// When the model cannot be loaded or the engine breaks: the process should end with an error, so that its manager
/// notices.
pub async fn run(
    listener: Listener,
    endpoints: Vec<HttpListener>,
    loaded: Loaded,
    overrides: Overrides,
    progress: Progress,
    logging: &Logging,
) -> anyhow::Result<()> {
    let config = Arc::new(loaded.config.clone());
    let metrics = Arc::new(Metrics::default());
    let (worker, ended) = loader::spawn(Arc::clone(&config), progress.clone(), Arc::clone(&metrics));
    let is_kept = listener.origin != Origin::Bound;
    let daemon = Arc::new(Daemon::new(config, progress, worker, metrics, listener.path.clone(), is_kept));
    // The socket answers from now on, also while the model is loaded: whoever starts beastd need not wait for that.
    tell_manager("READY=1");
    tokio::spawn(residency::watch_idleness(Arc::clone(&daemon)));
    tokio::select! {
        outcome = serve(listener, endpoints, Arc::clone(&daemon), ended) => outcome,
        outcome = watch_signals(Arc::clone(&daemon), loaded, overrides, logging) => outcome,
    }
}

/// Tells systemd; where there is none, or it does not listen, nothing is lost.
pub(crate) fn tell_manager(state: &str) {
    if let Err(error) = beast_launchd::notify(state) {
        tracing::debug!(%error, state, "the service manager does not listen");
    }
}

type Ended = oneshot::Receiver<Result<(), WireError>>;

async fn serve(
    listener: Listener,
    endpoints: Vec<HttpListener>,
    daemon: Arc<Daemon>,
    mut ended: Ended,
) -> anyhow::Result<()> {
    let http = tokio::spawn(http::serve(endpoints, Arc::clone(&daemon)));
    let socket = UnixListener::from_std(listener.socket.try_clone()?)?;
    let serving = server::serve(socket, Arc::clone(&daemon));
    tokio::pin!(serving);
    let (sessions, failure) = tokio::select! {
        sessions = &mut serving => {
            daemon.progress.abandon();
            // A process that ends under a computing engine may crash on its way out.
            let _ = timeout(LAST_STEP, ended).await;
            (sessions, None)
        }
        outcome = &mut ended => {
            // The worker ends well only when it is told to, which is when the daemon ends.
            let failure = match outcome {
                Ok(outcome) => outcome.err(),
                Err(_) => Some(WireError::new(ErrorCode::Engine, "the worker panicked; the log says where")),
            };
            let lingering = async {
                if let Some(error) = &failure {
                    linger(&daemon, error).await;
                }
            };
            let (sessions, ()) = tokio::join!(serving, lingering);
            (sessions, failure)
        }
    };
    // The place is given back before anybody hears of the end: who calls then finds no daemon, and may start the next.
    drop(listener);
    server::hang_up(&daemon, sessions).await;
    // Answers that are computed leave; it bounds itself.
    let _ = http.await;
    if daemon.is_hurried.load(Relaxed) {
        anyhow::bail!("ended by a second signal");
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Gives clients the time to hear why there is no model, then begins the end.
async fn linger(daemon: &Daemon, error: &WireError) {
    if error.code == ErrorCode::ModelUnavailable {
        let mut phase = daemon.phase.subscribe();
        // It ends early only when somebody asks for the end.
        let _ = timeout(daemon.config().failed_linger, phase.wait_for(|phase| *phase != Phase::Serving)).await;
    }
    daemon.drain();
}

/// SIGTERM and SIGINT end the daemon politely; a second one gives running requests up and waits for no more than the
/// engine's current step, because a process that ends under a computing engine crashes on its way out; a third one
/// waits for nothing. SIGHUP reads the configuration again.
async fn watch_signals(
    daemon: Arc<Daemon>,
    at_start: Loaded,
    overrides: Overrides,
    logging: &Logging,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {
                reload(&daemon, &at_start, &overrides, logging);
                continue;
            }
        }
        match daemon.phase() {
            Phase::Serving => {
                tracing::info!("a signal asks for the end");
                daemon.drain();
            }
            Phase::Draining => {
                tracing::warn!("a second signal: what still runs is given up");
                daemon.hurry();
            }
            Phase::Ending => rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?,
        }
    }
}

/// Takes over what can change without a restart; what cannot is named, and so is a file that cannot be used, until one
/// can.
fn reload(daemon: &Daemon, at_start: &Loaded, overrides: &Overrides, logging: &Logging) {
    let fresh = match config::load(overrides) {
        Ok(fresh) => fresh,
        Err(error) => {
            tracing::error!(%error, "the configuration stays as it is");
            let problem =
                format!("the configuration was not read again: {error}; try: mend it, then pkill -HUP beastd");
            daemon.config_problem.send_replace(Some(problem));
            return;
        }
    };
    daemon.config_problem.send_replace(None);
    fresh.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let next = daemon.config().with_live_settings_of(&fresh.config);
    // The model may have been changed by a request.
    let is_in_force = |key: &str| key == "model" && next.model == fresh.config.model;
    let pending: Vec<_> = at_start.that_need_a_restart(&fresh).filter(|key| !is_in_force(key)).collect();
    if !pending.is_empty() {
        tracing::warn!("changed settings that need a restart: {}; try: beastctl stop", pending.join(", "));
    }
    logging.set_filter(&next.log);
    daemon.config.send_replace(Arc::new(next));
    tracing::info!("the configuration was read again");
}
