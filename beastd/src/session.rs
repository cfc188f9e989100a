//! The front end on the Unix socket: one connection, its handshake, requests in, events out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use beast_protocol::{ErrorCode, Event, Hello, Request, VERSION as PROTOCOL, Welcome, WireError};
use tokio::time::timeout;

use crate::answering::{self, Change, Peer, Stopped, Which};
use crate::connection::Connection;
use crate::shared::{Phase, Shared, VERSION};

/// How long a refused client may take to read the reason.
const FAREWELL: Duration = Duration::from_secs(2);

impl Peer for Connection {
    async fn send(&mut self, events: &[Event]) -> io::Result<()> {
        Connection::send(self, events).await
    }

    /// During a request, the client may only send a cancel or close.
    async fn departure(&mut self) -> Stopped {
        match self.read_request().await {
            Ok(None) => Stopped::Gone,
            Ok(Some(Request::Cancel)) => Stopped::Cancelled,
            Ok(Some(_)) => {
                let text = "only one request at a time per connection; try: open another connection";
                Stopped::Refused(WireError::new(ErrorCode::Protocol, text))
            }
            Err(error) => Stopped::Io(error),
        }
    }
}

/// Serves a connection until it closes.
pub async fn serve(shared: Arc<Shared>, mut connection: Connection) {
    let outcome = converse(&shared, &mut connection).await;
    let refusal = match outcome {
        Ok(()) | Err(Stopped::Gone | Stopped::Cancelled) => return,
        Err(Stopped::Refused(error)) => error,
        Err(Stopped::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            WireError::new(ErrorCode::Protocol, format!("protocol violation: {error}"))
        }
        Err(Stopped::Io(error)) => {
            tracing::debug!(%error, "a connection closed early");
            return;
        }
    };
    // Only counted: if each refusal were logged, any client could fill the log.
    shared.metrics.n_refused.fetch_add(1, Relaxed);
    tracing::debug!(error = %refusal, "refused a client");
    // Fails if the client does not read.
    let _ = connection.send(&[Event::Failed(refusal)]).await;
    connection.close(FAREWELL).await;
}

/// Tells a client why its connection is refused.
pub async fn refuse(mut connection: Connection, error: WireError) {
    let welcome = Welcome::current(VERSION, std::process::id());
    if connection.welcome(&welcome).await.is_ok() && connection.send(&[Event::Failed(error)]).await.is_ok() {
        connection.close(FAREWELL).await;
    }
}

async fn converse(shared: &Arc<Shared>, connection: &mut Connection) -> Result<(), Stopped> {
    let config = shared.config();
    let Ok(hello) = timeout(config.handshake_timeout, connection.read_frame()).await else {
        let text = format!("no handshake within {:?}", config.handshake_timeout);
        return Err(Stopped::Refused(WireError::new(ErrorCode::Protocol, text)));
    };
    let Some(hello) = hello? else { return Ok(()) };
    let hello = Hello::from_bytes(&hello)
        .map_err(|error| Stopped::Refused(WireError::new(ErrorCode::Protocol, error.to_string())))?;
    connection.welcome(&Welcome::current(VERSION, std::process::id())).await?;
    if hello.protocol != PROTOCOL {
        // The welcome carries our version, so the client can report the mismatch.
        shared.metrics.n_refused.fetch_add(1, Relaxed);
        tracing::debug!(client = hello.version, protocol = hello.protocol, "a client of a different version");
        return Ok(());
    }
    let mut phase = shared.phase.subscribe();
    loop {
        connection.release();
        let request = tokio::select! {
            request = timeout(shared.config().idle_timeout, connection.read_request()) => request,
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => return Ok(()),
        };
        // After a silence of this length the client no longer uses the connection.
        let Ok(request) = request else { return Ok(()) };
        match request? {
            None => return Ok(()),
            Some(Request::Cancel) => {}
            Some(Request::Status) => connection.send(&[Event::Status(Box::new(shared.status()))]).await?,
            Some(Request::Shutdown) => {
                tracing::info!("a client requested shutdown");
                shared.drain();
                connection.send(&[Event::Status(Box::new(shared.status()))]).await?;
            }
            Some(Request::Load { model }) => change(shared, connection, Change::Load(model)).await?,
            Some(Request::Use { model }) => change(shared, connection, Change::Use(model)).await?,
            Some(Request::Unload { model }) => {
                let which = model.map_or(Which::All, Which::Named);
                change(shared, connection, Change::Unload(which)).await?;
            }
            Some(request) => {
                let outcome = compute(shared, connection, request).await;
                match outcome {
                    Err(Stopped::Refused(error)) if error.code == ErrorCode::ShuttingDown && shared.is_kept => {
                        return hold(shared, connection).await;
                    }
                    outcome => told(connection, outcome).await?,
                }
            }
        }
    }
}

/// Loads, unloads or selects a model.
async fn change(shared: &Arc<Shared>, connection: &mut Connection, change: Change) -> Result<(), Stopped> {
    let outcome = answering::change(shared, connection, change).await;
    told(connection, outcome).await
}

/// Answers a request that needs a model.
async fn compute(shared: &Arc<Shared>, connection: &mut Connection, request: Request) -> Result<(), Stopped> {
    match request {
        Request::Generate(generate) => answering::answer(shared, connection, generate).await,
        Request::Decide(decide) => answering::decide(shared, connection, decide).await,
        Request::KeepTemperatures(fitted) => answering::keep(shared, connection, fitted).await,
        Request::Embed(embed) => answering::embed(shared, connection, embed).await,
        Request::CountTokens(generate) => answering::count_tokens(shared, connection, generate).await,
        other => unreachable!("needs no model: {other:?}"),
    }
}

/// Sends the client the reason why its request failed; the connection stays open.
async fn told(connection: &mut Connection, outcome: Result<(), Stopped>) -> Result<(), Stopped> {
    match outcome {
        Err(Stopped::Refused(error)) if error.code != ErrorCode::Protocol => {
            Ok(connection.send(&[Event::Failed(error)]).await?)
        }
        // The client has been told already.
        Err(Stopped::Cancelled) => Ok(()),
        outcome => outcome,
    }
}

/// Holds a request that arrived during shutdown until the daemon ends. The closed connection then makes the client
/// retry with the next daemon, which the service manager starts.
async fn hold(shared: &Shared, connection: &mut Connection) -> Result<(), Stopped> {
    let position = u32::try_from(shared.residents.n_ahead()).unwrap_or(u32::MAX);
    connection.send(&[Event::Queued { position }]).await?;
    let mut phase = shared.phase.subscribe();
    tokio::select! {
        _ = phase.wait_for(|phase| *phase == Phase::Ending) => {}
        stopped = connection.departure() => match stopped {
            Stopped::Cancelled => {}
            stopped => return Err(stopped),
        },
    }
    Ok(())
}
