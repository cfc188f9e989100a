//! beastd keeps a language model in memory and serves it on a Unix socket.
//!
//! A request from socket to token: [`server`] accepts the connection → [`session`] reads frames → [`answering`] manages
//! the request's life → [`admission`] turns it into tokens → [`worker`] takes it from its inbox → [`scheduler`] puts it
//! into the next batch → [`engine`] runs the batch → [`stream`] turns tokens into text → the session sends it.
//! ARCHITECTURE.md has the full map.

pub mod admission;
pub mod admitted;
mod answering;
pub mod backends;
pub mod batch;
mod budget;
pub mod calibration;
pub mod clock;
pub mod config;
mod connection;
mod cores;
mod decide;
pub mod engine;
mod extent;
mod fingerprint;
pub mod governor;
pub mod http;
mod interrupt;
mod large_stack;
mod lease;
pub mod loader;
pub mod logging;
mod map_reduce;
pub mod metrics;
pub mod model_file;
mod prefix_cache;
mod prefix_store;
mod repetition;
mod residents;
pub mod sampling;
pub mod scheduler;
mod server;
mod session;
pub mod shared;
mod shown;
pub mod speculation;
mod splitter;
pub mod stream;
pub mod template;
mod timings;
mod tools;
pub mod trial;
pub mod upstream;
mod watchdog;
pub mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use beast_launchd::{Advised, HttpListener, Listener, Origin};
use beast_protocol::{ErrorCode, WireError};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use config::{Loaded, Overrides};
use loader::Progress;
use logging::Logging;
use shared::{Phase, Shared};
use upstream::Upstreams;

/// How long shutdown waits for the engine to finish its current step.
const LAST_STEP: Duration = Duration::from_secs(10);

/// Runs the daemon on sockets that already listen, until shutdown. SIGHUP reloads the configuration from `overrides`.
///
/// # Errors
/// When the model cannot be loaded or the engine fails. The process should then exit with an error, so that its service
/// manager notices.
pub async fn run(
    listener: Listener,
    endpoints: Vec<HttpListener>,
    loaded: Loaded,
    overrides: Overrides,
    progress: Progress,
    logging: &Logging,
) -> anyhow::Result<()> {
    let config = Arc::new(loaded.config.clone());
    let is_kept = listener.origin != Origin::Bound;
    let upstreams = Upstreams::new(&config.upstreams, |name| std::env::var(name).ok())
        .context("cannot use the certificates of this system for [upstream]")?;
    let shared = Arc::new(Shared::new(config, upstreams, progress, listener.path.clone(), is_kept));
    // The socket accepts connections from here on, even while the model loads, so nothing has to wait for that.
    tell_manager("READY=1");
    tokio::spawn(residents::watch_idleness(Arc::clone(&shared)));
    tokio::select! {
        outcome = serve(listener, endpoints, Arc::clone(&shared)) => outcome,
        outcome = watch_signals(Arc::clone(&shared), loaded, overrides, logging) => outcome,
    }
}

/// Notifies systemd. Without systemd this does nothing.
pub(crate) fn tell_manager(state: &str) {
    if let Err(error) = beast_launchd::notify(state) {
        tracing::debug!(%error, state, "cannot notify the service manager");
    }
}

async fn serve(listener: Listener, endpoints: Vec<HttpListener>, shared: Arc<Shared>) -> anyhow::Result<()> {
    let http = tokio::spawn(http::serve(endpoints, Arc::clone(&shared)));
    let socket = UnixListener::from_std(listener.socket.try_clone()?)?;
    let serving = server::serve(socket, Arc::clone(&shared));
    tokio::pin!(serving);
    let mut failures = shared.residents.failure.subscribe();
    let failed = async { failures.wait_for(Option::is_some).await.map_or(None, |failure| failure.clone()) };
    let (sessions, failure) = tokio::select! {
        sessions = &mut serving => {
            // Exiting while an engine computes may crash.
            let _ = timeout(LAST_STEP, shared.residents.ended()).await;
            (sessions, None)
        }
        failure = failed => {
            let lingering = async {
                if let Some(error) = &failure {
                    linger(&shared, error).await;
                }
            };
            let (sessions, ()) = tokio::join!(serving, lingering);
            let _ = timeout(LAST_STEP, shared.residents.ended()).await;
            (sessions, failure)
        }
    };
    // Released before clients learn of the end, so that a client which connects then finds no daemon and may start one.
    drop(listener);
    server::hang_up(&shared, sessions).await;
    // Sends the remaining answers; this wait is bounded inside.
    let _ = http.await;
    if shared.is_hurried.load(Relaxed) {
        anyhow::bail!("stopped by a second signal");
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Gives clients time to learn why there is no model, then starts the shutdown.
async fn linger(shared: &Shared, error: &WireError) {
    if error.code == ErrorCode::ModelUnavailable {
        let mut phase = shared.phase.subscribe();
        // Ends early only on a shutdown request.
        let _ = timeout(shared.config().failed_linger, phase.wait_for(|phase| *phase != Phase::Serving)).await;
    }
    shared.drain();
}

/// Signals closer together than this count as one: timeout(1) signals the daemon and then its process group. Nobody
/// presses Ctrl-C that fast.
const ONE_SIGNAL: Duration = Duration::from_millis(50);

/// The first SIGTERM or SIGINT shuts down gracefully. The second aborts running requests and waits only for the
/// engine's current step, because exiting while it computes crashes. The third kills the process. SIGHUP reloads the
/// configuration.
async fn watch_signals(
    shared: Arc<Shared>,
    at_start: Loaded,
    overrides: Overrides,
    logging: &Logging,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut first: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {
                reload(&shared, &at_start, &overrides, logging);
                continue;
            }
        }
        match shared.phase() {
            Phase::Serving => {
                tracing::info!("received a signal, shutting down");
                first = Some(Instant::now());
                shared.drain();
            }
            Phase::Draining if first.is_some_and(|first| first.elapsed() < ONE_SIGNAL) => {}
            Phase::Draining => {
                tracing::warn!("received a second signal, aborting running requests");
                shared.hurry();
            }
            Phase::Ending => rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?,
        }
    }
}

/// Applies the settings that can change at run time and logs those that need a restart. A file with an error is
/// reported in the log and in `status` until it is fixed.
fn reload(shared: &Shared, at_start: &Loaded, overrides: &Overrides, logging: &Logging) {
    let fresh = match config::load(overrides) {
        Ok(fresh) => fresh,
        Err(error) => {
            tracing::error!(%error, "configuration not reloaded");
            let problem = Advised::new(&format!("the configuration was not reloaded: {error}"));
            let problem = problem.or_try(|| Some("fix it, then pkill -HUP beastd".to_owned()));
            shared.config_problem.send_replace(Some(problem.to_string()));
            return;
        }
    };
    shared.config_problem.send_replace(None);
    fresh.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let next = shared.config().with_live_settings_of(&fresh.config);
    // A request may have switched to this model already.
    let is_in_force = |key: &str| key == "model" && next.model == fresh.config.model;
    let pending: Vec<_> = at_start.that_need_a_restart(&fresh).filter(|key| !is_in_force(key)).collect();
    if !pending.is_empty() {
        tracing::warn!("changed settings that need a restart: {}; try: beastctl stop", pending.join(", "));
    }
    logging.set_filter(&next.log);
    shared.config.send_replace(Arc::new(next));
    tracing::info!("configuration reloaded");
}
