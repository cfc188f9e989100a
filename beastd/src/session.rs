//! The front end on the Unix socket: one connection, its greeting, requests in, events out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use beast_protocol::{ErrorCode, Event, Hello, Request, VERSION as PROTOCOL, Welcome, WireError};
use tokio::time::timeout;

use crate::answering::{self, Peer, Stopped};
use crate::connection::Connection;
use crate::daemon::{Daemon, Phase, VERSION};
use crate::residency::Change;

/// How long a refused or mistaken client may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);

impl Peer for Connection {
    async fn send(&mut self, events: &[Event]) -> io::Result<()> {
        Connection::send(self, events).await
    }

    /// All that a client may say while a request is under way, besides a cancel, is its end.
    async fn departure(&mut self) -> Stopped {
        match self.read_request().await {
            Ok(None) => Stopped::Gone,
            Ok(Some(Request::Cancel)) => Stopped::Cancelled,
            Ok(Some(_)) => {
                let text = "one request at a time on a connection; try: another connection for it";
                Stopped::Refused(WireError::new(ErrorCode::Protocol, text))
            }
            Err(error) => Stopped::Io(error),
        }
    }
}

/// Serves a connection to its end.
pub async fn serve(daemon: Arc<Daemon>, mut connection: Connection) {
    let outcome = converse(&daemon, &mut connection).await;
    let refusal = match outcome {
        Ok(()) | Err(Stopped::Gone | Stopped::Cancelled) => return,
        Err(Stopped::Refused(error)) => error,
        Err(Stopped::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            WireError::new(ErrorCode::Protocol, format!("the client broke the protocol: {error}"))
        }
        Err(Stopped::Io(error)) => {
            tracing::debug!(%error, "a connection ended early");
            return;
        }
    };
    // Counted, since anybody could fill the log with it.
    daemon.metrics.n_refused.fetch_add(1, Relaxed);
    tracing::debug!(error = %refusal, "a client is refused");
    // It may not listen any more.
    let _ = connection.send(&[Event::Failed(refusal)]).await;
    connection.close(FAREWELL).await;
}

/// Tells a client that there is no room for it.
pub async fn refuse(mut connection: Connection, error: WireError) {
    let welcome = Welcome::current(VERSION, std::process::id());
    if connection.welcome(&welcome).await.is_ok() && connection.send(&[Event::Failed(error)]).await.is_ok() {
        connection.close(FAREWELL).await;
    }
}

async fn converse(daemon: &Arc<Daemon>, connection: &mut Connection) -> Result<(), Stopped> {
    let config = daemon.config();
    let Ok(hello) = timeout(config.handshake_timeout, connection.read_frame()).await else {
        let text = format!("no greeting within {:?}", config.handshake_timeout);
        return Err(Stopped::Refused(WireError::new(ErrorCode::Protocol, text)));
    };
    let Some(hello) = hello? else { return Ok(()) };
    let hello = Hello::from_bytes(&hello)
        .map_err(|error| Stopped::Refused(WireError::new(ErrorCode::Protocol, error.to_string())))?;
    connection.welcome(&Welcome::current(VERSION, std::process::id())).await?;
    if hello.protocol != PROTOCOL {
        // The client has our version from the welcome and says so itself.
        daemon.metrics.n_refused.fetch_add(1, Relaxed);
        tracing::debug!(client = hello.version, protocol = hello.protocol, "a client of another version");
        return Ok(());
    }
    let mut phase = daemon.phase.subscribe();
    loop {
        connection.release();
        let request = tokio::select! {
            request = timeout(daemon.config().idle_timeout, connection.read_request()) => request,
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => return Ok(()),
        };
        // Whoever is silent for so long has forgotten the connection.
        let Ok(request) = request else { return Ok(()) };
        match request? {
            None => return Ok(()),
            Some(Request::Cancel) => {}
            Some(Request::Status) => connection.send(&[Event::Status(Box::new(daemon.status()))]).await?,
            Some(Request::Shutdown) => {
                tracing::info!("a client asks for the end");
                daemon.drain();
                connection.send(&[Event::Status(Box::new(daemon.status()))]).await?;
            }
            Some(Request::Unload) => {
                let outcome = answering::change(daemon, connection, Change::Unload).await;
                told(connection, outcome).await?;
            }
            Some(Request::Load { model }) => {
                let outcome = answering::change(daemon, connection, Change::Load(model)).await;
                told(connection, outcome).await?;
            }
            Some(Request::KeepTemperatures(fitted)) => {
                let outcome = answering::keep(daemon, connection, fitted).await;
                told(connection, outcome).await?;
            }
            Some(request @ (Request::Generate(_) | Request::Decide(_))) => {
                let outcome = match request {
                    Request::Decide(decide) => answering::decide(daemon, connection, decide).await,
                    Request::Generate(generate) => answering::answer(daemon, connection, generate).await,
                    _ => unreachable!("just matched"),
                };
                match outcome {
                    Err(Stopped::Refused(error)) if error.code == ErrorCode::ShuttingDown && daemon.is_kept => {
                        return hold(daemon, connection).await;
                    }
                    outcome => told(connection, outcome).await?,
                }
            }
        }
    }
}

/// Tells the client why its request failed; the connection goes on.
async fn told(connection: &mut Connection, outcome: Result<(), Stopped>) -> Result<(), Stopped> {
    match outcome {
        Err(Stopped::Refused(error)) if error.code != ErrorCode::Protocol => {
            Ok(connection.send(&[Event::Failed(error)]).await?)
        }
        // It knows.
        Err(Stopped::Cancelled) => Ok(()),
        outcome => outcome,
    }
}

/// Keeps a request that came too late for this daemon until its end. Then its client is hung up on, and goes on with
/// the next one, which the system starts.
async fn hold(daemon: &Daemon, connection: &mut Connection) -> Result<(), Stopped> {
    let position = u32::try_from(*daemon.n_users.borrow()).unwrap_or(u32::MAX);
    connection.send(&[Event::Queued { position }]).await?;
    let mut phase = daemon.phase.subscribe();
    tokio::select! {
        _ = phase.wait_for(|phase| *phase == Phase::Ending) => {}
        stopped = connection.departure() => match stopped {
            Stopped::Cancelled => {}
            stopped => return Err(stopped),
        },
    }
    Ok(())
}
