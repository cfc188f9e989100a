//! The accept loop: who may connect, how many connections at once, and the order of shutdown.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use beast_launchd::REST_OF_THE_END;
use beast_protocol::{ErrorCode, WireError};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection::Connection;
use crate::session;
use crate::shared::{Phase, Shared};

/// Most refused clients that are sent a reason at the same time; further ones are closed without one.
const MAX_REFUSALS: usize = 512;
/// Time to send the last events of aborted requests.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Pause after a failed accept: the process has run out of file descriptors, so an immediate retry would fail again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the daemon drains, then waits for running requests. Returns the sessions that are still open.
///
/// Order of shutdown: new requests are refused; running ones continue for `drain_timeout`; the worker fails the rest.
/// New connections still get a handshake, because a client without one would report a stuck daemon.
pub async fn serve(listener: UnixListener, shared: Arc<Shared>) -> JoinSet<()> {
    let mut phase = shared.phase.subscribe();
    let mut sessions = JoinSet::new();
    let permits = Arc::new(Semaphore::new(shared.config().max_connections));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(stream, &shared, &permits, &refusals, &mut sessions),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => break,
            // Reaps finished sessions.
            Some(_) = sessions.join_next() => {}
        }
    }
    let config = shared.config();
    tell_of_the_end(shared.config().drain_timeout);
    tracing::info!(n_running = shared.metrics().n_running.load(Relaxed), "finishing running requests");
    let mut answering = shared.answering.subscribe();
    let drain = async {
        loop {
            tokio::select! {
                Ok((stream, _)) = listener.accept() => {
                    admit(stream, &shared, &permits, &refusals, &mut sessions);
                }
                _ = answering.wait_for(|n| *n == 0) => break,
                _ = phase.wait_for(|phase| *phase == Phase::Ending) => break,
            }
        }
    };
    if timeout(config.drain_timeout, drain).await.is_err() {
        tracing::warn!("aborting requests that still run after {:?}", config.drain_timeout);
    }
    shared.residents.stop().await;
    sessions
}

/// Asks systemd for enough time to drain, which may exceed its stop timeout.
fn tell_of_the_end(drain_timeout: Duration) {
    let limit = drain_timeout.saturating_add(REST_OF_THE_END).as_micros();
    crate::tell_manager(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={}", u64::try_from(limit).unwrap_or(u64::MAX)));
}

/// Lets open sessions send their last events, then closes them, which tells `beastctl stop` that the daemon is done.
pub async fn hang_up(shared: &Shared, mut sessions: JoinSet<()>) {
    shared.phase.send_replace(Phase::Ending);
    let last_words = async { while sessions.join_next().await.is_some() {} };
    // Slow clients lose the rest.
    let _ = timeout(LAST_WORDS, last_words).await;
}

fn admit(
    stream: UnixStream,
    shared: &Arc<Shared>,
    permits: &Arc<Semaphore>,
    refusals: &Arc<Semaphore>,
    sessions: &mut JoinSet<()>,
) {
    let config = shared.config();
    if let Err(error) = check_peer(&stream) {
        shared.metrics.n_refused.fetch_add(1, Relaxed);
        tracing::debug!(%error, "refused a connection");
        return;
    }
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        let shared = Arc::clone(shared);
        shared.n_connections.fetch_add(1, Relaxed);
        sessions.spawn(async move {
            session::serve(Arc::clone(&shared), Connection::new(stream, config.stall_timeout, shared.budget.clone()))
                .await;
            shared.n_connections.fetch_sub(1, Relaxed);
            drop(permit);
        });
    } else if let Ok(permit) = Arc::clone(refusals).try_acquire_owned() {
        let budget = shared.budget.clone();
        sessions.spawn(async move {
            let text = format!(
                "too many connections: all {} are in use; try: repeat the request in a moment",
                config.max_connections
            );
            let error = WireError::new(ErrorCode::Overloaded, text);
            session::refuse(Connection::new(stream, config.handshake_timeout, budget), error).await;
            drop(permit);
        });
    }
}

/// Only the same user and root may connect, whatever the modes of the socket and its folder are.
pub(crate) fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer == rustix::process::geteuid().as_raw() || peer == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("the peer is user {peer}")))
}
