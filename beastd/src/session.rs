//! One connection: greeting, requests in, events out. With admission the only code on the protocol's messages.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use beast_protocol::{
    ErrorCode, Event, FinishReason, Generate, Hello, Notice, Overflow, Request, Timings, Usage, VERSION as PROTOCOL,
    Welcome, WireError,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::admission::admit_beside;
use crate::batch::SeqId;
use crate::clock::now_us;
use crate::connection::Connection;
use crate::daemon::{Daemon, Phase, VERSION};
use crate::in_use::InUse;
use crate::jobs;
use crate::loader::{LoadState, Ready};
use crate::residency::{self, Change};
use crate::stream::Reply;
use crate::worker::{Admitted, shutting_down};

/// How long a refused or mistaken client may take to read why.
const FAREWELL: Duration = Duration::from_secs(2);
/// Events that are sent with one call when the client is behind.
const MAX_EVENTS: usize = 64;

/// Why a connection ends before its client wants it to.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Refused(WireError),
    #[error("the client has gone")]
    Gone,
}

/// Serves a connection to its end.
pub async fn serve(daemon: Arc<Daemon>, mut connection: Connection) {
    let outcome = converse(&daemon, &mut connection).await;
    let refusal = match outcome {
        Ok(()) | Err(SessionError::Gone) => return,
        Err(SessionError::Refused(error)) => error,
        Err(SessionError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            WireError::new(ErrorCode::Protocol, format!("the client broke the protocol: {error}"))
        }
        Err(SessionError::Io(error)) => {
            tracing::debug!(%error, "a connection ended early");
            return;
        }
    };
    tracing::info!(error = %refusal, "a client is refused");
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

async fn converse(daemon: &Arc<Daemon>, connection: &mut Connection) -> Result<(), SessionError> {
    let config = daemon.config();
    let Ok(hello) = timeout(config.handshake_timeout, connection.read_frame()).await else {
        let text = format!("no greeting within {:?}", config.handshake_timeout);
        return Err(SessionError::Refused(WireError::new(ErrorCode::Protocol, text)));
    };
    let Some(hello) = hello? else { return Ok(()) };
    let hello = Hello::from_bytes(&hello)
        .map_err(|error| SessionError::Refused(WireError::new(ErrorCode::Protocol, error.to_string())))?;
    connection.welcome(&Welcome::current(VERSION, std::process::id())).await?;
    if hello.protocol != PROTOCOL {
        // The client has our version from the welcome and says so itself.
        tracing::info!(client = hello.version, protocol = hello.protocol, "a client of another version");
        return Ok(());
    }
    let mut phase = daemon.phase.subscribe();
    loop {
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
                let outcome = counted(daemon, change(daemon, connection, Change::Unload)).await;
                told(connection, outcome).await?;
            }
            Some(Request::Load { model }) => {
                let outcome = counted(daemon, change(daemon, connection, Change::Load(model))).await;
                told(connection, outcome).await?;
            }
            Some(Request::Generate(generate)) => {
                let outcome = counted(daemon, answer(daemon, connection, generate)).await;
                match outcome {
                    Err(SessionError::Refused(error)) if error.code == ErrorCode::ShuttingDown && daemon.is_kept => {
                        return hold(daemon, connection).await;
                    }
                    outcome => told(connection, outcome).await?,
                }
            }
        }
    }
}

/// Tells the client why its request failed; the connection goes on.
async fn told(connection: &mut Connection, outcome: Result<(), SessionError>) -> Result<(), SessionError> {
    match outcome {
        Err(SessionError::Refused(error)) if error.code != ErrorCode::Protocol => {
            Ok(connection.send(&[Event::Failed(error)]).await?)
        }
        outcome => outcome,
    }
}

/// Keeps a request that came too late for this daemon until its end. Then its client is hung up on, and goes on with the next one, which
/// the system starts.
async fn hold(daemon: &Daemon, connection: &mut Connection) -> Result<(), SessionError> {
    let position = u32::try_from(*daemon.n_users.borrow()).unwrap_or(u32::MAX);
    connection.send(&[Event::Queued { position }]).await?;
    let mut phase = daemon.phase.subscribe();
    tokio::select! {
        _ = phase.wait_for(|phase| *phase == Phase::Ending) => {}
        outcome = cancelled(connection) => outcome?,
    }
    Ok(())
}

/// Keeps count of the requests that the end of the daemon waits for; also when the future is dropped.
async fn counted<T>(daemon: &Daemon, answer: impl Future<Output = T>) -> T {
    struct Count<'a>(&'a Daemon);
    impl Drop for Count<'_> {
        fn drop(&mut self) {
            self.0.answering.send_modify(|n| *n -= 1);
        }
    }
    daemon.answering.send_modify(|n| *n += 1);
    let _count = Count(daemon);
    answer.await
}

async fn answer(daemon: &Arc<Daemon>, connection: &mut Connection, request: Generate) -> Result<(), SessionError> {
    let arrived_us = now_us();
    if daemon.phase() != Phase::Serving {
        return Err(SessionError::Refused(shutting_down()));
    }
    let Some((ready, in_use)) = wait_until_ready(daemon, connection).await? else { return cancel(connection).await };
    let request = Arc::new(request);
    let (admitted, notices) = match admit(daemon, &ready, &request).await {
        Err(error) if error.code == ErrorCode::TooLong && matches!(request.overflow, Overflow::Reduce { .. }) => {
            match reduce(daemon, connection, &ready, request).await? {
                Some(admitted) => (admitted, Vec::new()),
                None => return cancel(connection).await,
            }
        }
        outcome => outcome.map_err(SessionError::Refused)?,
    };
    let n_prompt = u32::try_from(admitted.prompt.len()).unwrap_or(u32::MAX);
    let (id, replies) =
        daemon.worker.submit_using(admitted, arrived_us, Some(in_use)).map_err(SessionError::Refused)?;
    tracing::info!(request = id.0, n_prompt, "accepted");
    let started = Event::Started {
        model: ready.model.name.clone(),
        n_prompt,
        n_ctx: ready.model.n_ctx,
        notices: [ready.notices_to_tell(), notices].concat(),
    };
    // A part of the model, which may be given back while the client still reads.
    drop(ready);
    relay(daemon, connection, id, replies, started, n_prompt).await
}

/// Loads a model or gives it back, and tells the client how far that is.
async fn change(daemon: &Arc<Daemon>, connection: &mut Connection, change: Change) -> Result<(), SessionError> {
    if daemon.phase() != Phase::Serving {
        return Err(SessionError::Refused(shutting_down()));
    }
    let mut load = daemon.progress.watch();
    let mut phase = daemon.phase.subscribe();
    let outcome = residency::change(daemon, change);
    tokio::pin!(outcome);
    let outcome = loop {
        tokio::select! {
            outcome = &mut outcome => break outcome,
            changed = load.changed() => changed.map_err(|_| SessionError::Refused(shutting_down()))?,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return Err(SessionError::Refused(shutting_down())),
            outcome = cancelled(connection) => return outcome,
        }
        let state = load.borrow_and_update().clone();
        if let LoadState::Loading { stage, fraction } = state {
            connection.send(&[Event::Loading { stage, fraction }]).await?;
        }
    };
    outcome.map_err(|_| SessionError::Refused(shutting_down()))?.map_err(SessionError::Refused)?;
    Ok(connection.send(&[Event::Status(Box::new(daemon.status()))]).await?)
}

/// Tells the client how far loading is, until there is a model; `None` when it cancels meanwhile.
async fn wait_until_ready(
    daemon: &Arc<Daemon>,
    connection: &mut Connection,
) -> Result<Option<(Arc<Ready>, InUse)>, SessionError> {
    let mut load = daemon.progress.watch();
    let mut phase = daemon.phase.subscribe();
    let mut has_waited = false;
    loop {
        let state = load.borrow_and_update().clone();
        match state {
            LoadState::Ready(ready) => return Ok(Some((ready, InUse::new(&daemon.n_users)))),
            LoadState::Unloaded { failed: Some(error) } if has_waited => return Err(SessionError::Refused(error)),
            LoadState::Unloaded { .. } => {
                residency::wake(daemon);
                continue;
            }
            LoadState::Failed(error) => return Err(SessionError::Refused(error)),
            LoadState::Leaving(_) => {
                let position = u32::try_from(*daemon.n_users.borrow()).unwrap_or(u32::MAX);
                connection.send(&[Event::Queued { position }]).await?;
            }
            LoadState::Loading { stage, fraction } => connection.send(&[Event::Loading { stage, fraction }]).await?,
        }
        has_waited = true;
        tokio::select! {
            changed = load.changed() => changed.map_err(|_| SessionError::Refused(shutting_down()))?,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return Err(SessionError::Refused(shutting_down())),
            outcome = cancelled(connection) => return outcome.map(|()| None),
        }
    }
}

/// Resolves when the client cancels; all else that it may say while a request is under way is its end.
async fn cancelled(connection: &mut Connection) -> Result<(), SessionError> {
    match connection.read_request().await? {
        None => Err(SessionError::Gone),
        Some(Request::Cancel) => Ok(()),
        Some(_) => {
            let text = "one request at a time on a connection; try: another connection for it";
            Err(SessionError::Refused(WireError::new(ErrorCode::Protocol, text)))
        }
    }
}

/// Says that nothing was generated.
async fn cancel(connection: &mut Connection) -> Result<(), SessionError> {
    let (usage, timings) = (Usage::default(), Timings::default());
    Ok(connection.send(&[Event::Done { reason: FinishReason::Cancelled, usage, timings }]).await?)
}

/// Small requests are admitted at once, large ones beside the sockets' thread; a schema has to be compiled.
async fn admit(
    daemon: &Daemon,
    ready: &Arc<Ready>,
    request: &Arc<Generate>,
) -> Result<(Admitted, Vec<Notice>), WireError> {
    const SMALL: usize = 4096;
    let n_bytes: usize = request.messages.iter().map(|message| message.content.len()).sum();
    if n_bytes <= SMALL && request.constraint.is_none() {
        return ready.admission.admit(request);
    }
    admit_beside(&ready.admission, &daemon.tokenizing, request).await
}

/// Answers a long input part by part and says how far that is. Returns the call that remains; `None` when the client cancels.
async fn reduce(
    daemon: &Daemon,
    connection: &mut Connection,
    ready: &Arc<Ready>,
    request: Arc<Generate>,
) -> Result<Option<Admitted>, SessionError> {
    let means = jobs::Means {
        admission: Arc::clone(&ready.admission),
        worker: daemon.worker.clone(),
        tokenizing: Arc::clone(&daemon.tokenizing),
        n_slots: ready.limits.n_slots,
    };
    let (events, mut said) = mpsc::channel(MAX_EVENTS);
    let reducing = jobs::reduce(means, request, events);
    tokio::pin!(reducing);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = said.recv_many(&mut batch, MAX_EVENTS) => {
                connection.send(&batch).await?;
                batch.clear();
            }
            outcome = &mut reducing => {
                // What it said last comes before what it came to.
                while let Ok(event) = said.try_recv() {
                    connection.send(&[event]).await?;
                }
                return outcome.map(Some).map_err(SessionError::Refused);
            }
            outcome = cancelled(connection) => return outcome.map(|()| None),
        }
    }
}

/// Passes the worker's replies on, and the client's cancel back. Returning early drops `replies`, which frees the slot.
async fn relay(
    daemon: &Daemon,
    connection: &mut Connection,
    id: SeqId,
    mut replies: mpsc::Receiver<Reply>,
    started: Event,
    n_prompt: u32,
) -> Result<(), SessionError> {
    let mut started = Some(started);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            // Replies first: a client that has closed is found out by writing as well.
            biased;
            n = replies.recv_many(&mut batch, MAX_EVENTS) => {
                if n == 0 {
                    let text = "the worker has ended; try: the same again, and the log of beastd for the reason";
                    return Err(SessionError::Refused(WireError::new(ErrorCode::Engine, text)));
                }
                let ended = batch.iter().any(|reply| matches!(reply, Reply::Done { .. }));
                let failed = batch.pop_if(|reply| matches!(reply, Reply::Failed(_)));
                let events: Vec<Event> = batch.drain(..).filter_map(|reply| event(reply, &mut started, n_prompt)).collect();
                connection.send(&events).await?;
                if let Some(Reply::Failed(error)) = failed {
                    return Err(SessionError::Refused(error));
                }
                if ended {
                    return Ok(());
                }
            }
            outcome = cancelled(connection) => {
                // Also for a client that has gone: the closed channel is looked at between steps, a cancel interrupts one.
                if outcome.is_err() {
                    tracing::debug!(request = id.0, "the client is gone");
                }
                daemon.worker.cancel(id).await;
                outcome?;
            }
        }
    }
}

fn event(reply: Reply, started: &mut Option<Event>, n_prompt: u32) -> Option<Event> {
    let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(match reply {
        Reply::Queued(position) => Event::Queued { position: as_u32(position) },
        Reply::Started => return started.take(),
        Reply::Progress(n_done) => Event::Progress { n_done: as_u32(n_done), n_total: n_prompt },
        Reply::Piece { text, tokens, sampled_at_us } => {
            Event::Piece { text, tokens: tokens.into_iter().map(|token| token.0).collect(), sampled_at_us }
        }
        Reply::Done { reason, usage, timings } => Event::Done { reason, usage, timings },
        Reply::Failed(error) => Event::Failed(error),
    })
}
