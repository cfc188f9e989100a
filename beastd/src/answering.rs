//! A request's life, whatever its client speaks: wait for the model, admit, reduce, submit, relay, cancel.
//!
//! Front ends stand on this: each turns what it reads into a [`Generate`], is a [`Peer`], and writes the events that
//! come back. Knows no socket and no tokens.

use std::io;
use std::sync::Arc;

use beast_protocol::{
    Decide, Decided, ErrorCode, Event, FinishReason, Generate, KeepTemperatures, Notice, Overflow, Timings, Usage,
    WireError,
};
use tokio::sync::mpsc;

use crate::admission::beside::admit_beside;
use crate::admitted::Admitted;
use crate::batch::SeqId;
use crate::calibration::temperatures::RANGE;
use crate::clock::now_us;
use crate::daemon::{Daemon, Phase};
use crate::decide;
use crate::in_use::InUse;
use crate::jobs;
use crate::loader::{LoadState, Ready};
use crate::residency::{self, Change};
use crate::tools::AnswerParser;
use crate::worker::{Ticket, shutting_down};

/// Events that are sent with one call when the client is behind.
const MAX_EVENTS: usize = 64;

/// Who asked.
pub trait Peer: Send {
    /// Tells it these events. Waits while it does not read: whatever computes meanwhile has its own bounded place for
    /// what it says.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn send(&mut self, events: &[Event]) -> impl Future<Output = io::Result<()>> + Send;

    /// Its request has passed all checks; whether the queue has room shows in the next event.
    fn accepted(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Resolves when it wants no more of its answer. May be dropped and called again.
    fn departure(&mut self) -> impl Future<Output = Stopped> + Send;
}

/// Why a request ended without its answer.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The peer cannot be reached.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// There is no answer; the peer has not been told yet.
    #[error("{0}")]
    Refused(WireError),
    /// The peer asked for the end; it has been told.
    #[error("the client has cancelled")]
    Cancelled,
    /// The peer is no longer there.
    #[error("the client has gone")]
    Gone,
}

/// Answers a request. Its last event is `Done`, unless an error is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn answer<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P, request: Generate) -> Result<(), Stopped> {
    match counted(daemon, answer_whole(daemon, peer, request)).await {
        Err(Stopped::Cancelled) => {
            let (reason, usage, timings) = (FinishReason::Cancelled, Usage::default(), Timings::default());
            peer.send(&[Event::Done { reason, usage, timings, stop_text: None, dead_end: None }]).await?;
            Err(Stopped::Cancelled)
        }
        outcome => outcome,
    }
}

/// A request that the end of the daemon waits for, and its idleness; counted as long as this lives.
pub struct Counted(Arc<Daemon>);

impl Counted {
    /// One more.
    pub fn new(daemon: &Arc<Daemon>) -> Self {
        daemon.answering.send_modify(|n| *n += 1);
        Self(Arc::clone(daemon))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.answering.send_modify(|n| *n -= 1);
    }
}

/// Counts a request while it is answered, also when the future is dropped.
async fn counted<T>(daemon: &Arc<Daemon>, answer: impl Future<Output = T>) -> T {
    let _counted = Counted::new(daemon);
    answer.await
}

async fn answer_whole<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P, request: Generate) -> Result<(), Stopped> {
    let arrived_us = now_us();
    if daemon.phase() != Phase::Serving {
        return Err(Stopped::Refused(shutting_down()));
    }
    let (ready, in_use) = wait_until_ready(daemon, peer).await?;
    let request = Arc::new(request);
    let (mut admitted, notices) = match admit(daemon, &ready, &request).await {
        Err(error) if error.code == ErrorCode::TooLong && matches!(request.overflow, Overflow::Reduce { .. }) => {
            (reduce(daemon, peer, &ready, request).await?, Vec::new())
        }
        outcome => outcome.map_err(Stopped::Refused)?,
    };
    let n_prompt = u32::try_from(admitted.prompt.len()).unwrap_or(u32::MAX);
    let started = Event::Started {
        model: ready.model.name.clone(),
        n_prompt,
        n_ctx: ready.model.n_ctx,
        notices: [ready.notices_to_tell(), notices].concat(),
    };
    let parser = admitted.parser.take();
    let ticket = Ticket { arrived_us, started, in_use: Some(in_use) };
    let (id, events) = daemon.worker.submit(admitted, ticket).map_err(Stopped::Refused)?;
    tracing::info!(request = id.0, n_prompt, "accepted");
    peer.accepted().await?;
    // A part of the model, which may be unloaded while the client still reads.
    drop(ready);
    relay(daemon, peer, id, events, parser).await
}

/// Answers the questions of a request. Its last event is `Decided`, unless an error is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn decide<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P, request: Decide) -> Result<(), Stopped> {
    counted(daemon, decide_whole(daemon, peer, request)).await
}

async fn decide_whole<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P, request: Decide) -> Result<(), Stopped> {
    if daemon.phase() != Phase::Serving {
        return Err(Stopped::Refused(shutting_down()));
    }
    let (ready, in_use) = wait_until_ready(daemon, peer).await?;
    let means = decide::Means {
        admission: Arc::clone(&ready.admission),
        worker: daemon.worker.clone(),
        tokenizing: Arc::clone(&daemon.tokenizing),
        n_slots: ready.limits.n_slots,
        model: ready.model.name.clone(),
    };
    let decided = {
        let temperature = |kind| ready.temperatures.as_ref().map_or(1.0, |temperatures| temperatures.of(kind));
        let (events, mut said) = mpsc::channel(MAX_EVENTS);
        let deciding = decide::decide(&means, request, temperature, &events);
        tokio::pin!(deciding);
        loop {
            tokio::select! {
                biased;
                outcome = &mut deciding => break outcome.map_err(Stopped::Refused)?,
                Some(event) = said.recv() => peer.send(&[event]).await?,
                stopped = peer.departure() => return Err(stopped),
            }
        }
    };
    let notices = [ready.notices_to_tell(), decided.notices].concat();
    drop((ready, means, in_use));
    Ok(peer.send(&[Event::Decided(Decided { notices, ..decided })]).await?)
}

/// Keeps temperatures for the decisions of the model. Its last event is `Status`.
///
/// # Errors
/// See [`Stopped`].
pub async fn keep<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P, fitted: KeepTemperatures) -> Result<(), Stopped> {
    let refused = |code, text: String| Stopped::Refused(WireError::new(code, text));
    if let Some((kind, temperature)) = fitted.temperatures.iter().find(|(_, one)| !RANGE.contains(one)) {
        let (kind, least, most) = (kind.as_str(), RANGE.start(), RANGE.end());
        let text = format!("invalid temperature {temperature} for {kind}; try: one from {least} to {most}");
        return Err(refused(ErrorCode::Invalid, text));
    }
    let (ready, _in_use) = wait_until_ready(daemon, peer).await?;
    let Some(temperatures) = &ready.temperatures else {
        let text = "the model's file cannot be read, so nothing can be kept beside it; try: beastctl doctor";
        return Err(refused(ErrorCode::Internal, text.into()));
    };
    // A file of a hundred bytes.
    let path = temperatures.keep(&fitted).map_err(|error| {
        let text = format!("cannot keep the temperatures: {error}; try: make the model's folder or the cache writable");
        refused(ErrorCode::Internal, text)
    })?;
    tracing::info!(path = %path.display(), "temperatures of decisions are kept");
    Ok(peer.send(&[Event::Status(Box::new(daemon.status()))]).await?)
}

/// Loads or unloads a model and tells the peer how far that is; its last event is `Status`.
///
/// # Errors
/// See [`Stopped`].
pub async fn change<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P, change: Change) -> Result<(), Stopped> {
    counted(daemon, change_whole(daemon, peer, change)).await
}

async fn change_whole<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P, change: Change) -> Result<(), Stopped> {
    if daemon.phase() != Phase::Serving {
        return Err(Stopped::Refused(shutting_down()));
    }
    let mut load = daemon.progress.watch();
    let mut phase = daemon.phase.subscribe();
    let outcome = residency::change(daemon, change);
    tokio::pin!(outcome);
    let outcome = loop {
        tokio::select! {
            outcome = &mut outcome => break outcome,
            changed = load.changed() => changed.map_err(|_| Stopped::Refused(shutting_down()))?,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return Err(Stopped::Refused(shutting_down())),
            stopped = peer.departure() => return Err(stopped),
        }
        let state = load.borrow_and_update().clone();
        if let LoadState::Loading { stage, fraction } = state {
            peer.send(&[Event::Loading { stage, fraction }]).await?;
        }
    };
    outcome.map_err(|_| Stopped::Refused(shutting_down()))?.map_err(Stopped::Refused)?;
    Ok(peer.send(&[Event::Status(Box::new(daemon.status()))]).await?)
}

/// Waits for a model, loads it if it was unloaded, and tells the peer how far that is. The model stays as long as what
/// is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn wait_until_ready<P: Peer>(daemon: &Arc<Daemon>, peer: &mut P) -> Result<(Arc<Ready>, InUse), Stopped> {
    let mut load = daemon.progress.watch();
    let mut phase = daemon.phase.subscribe();
    let mut has_waited = false;
    loop {
        let state = load.borrow_and_update().clone();
        match state {
            LoadState::Ready(ready) => return Ok((ready, InUse::new(&daemon.n_users))),
            LoadState::Unloaded { failed: Some(error) } if has_waited => return Err(Stopped::Refused(error)),
            LoadState::Unloaded { .. } => {
                residency::wake(daemon);
                continue;
            }
            LoadState::Failed(error) => return Err(Stopped::Refused(error)),
            LoadState::Leaving(_) => {
                let position = u32::try_from(*daemon.n_users.borrow()).unwrap_or(u32::MAX);
                peer.send(&[Event::Queued { position }]).await?;
            }
            LoadState::Loading { stage, fraction } => peer.send(&[Event::Loading { stage, fraction }]).await?,
        }
        has_waited = true;
        tokio::select! {
            changed = load.changed() => changed.map_err(|_| Stopped::Refused(shutting_down()))?,
            _ = phase.wait_for(|phase| *phase != Phase::Serving) => return Err(Stopped::Refused(shutting_down())),
            stopped = peer.departure() => return Err(stopped),
        }
    }
}

/// Beside the sockets' thread: how long the model's chat template takes for a request is for nobody to say. Small
/// requests do not wait for large ones; a grammar or schema has to be compiled.
async fn admit(
    daemon: &Daemon,
    ready: &Arc<Ready>,
    request: &Arc<Generate>,
) -> Result<(Admitted, Vec<Notice>), WireError> {
    const SMALL: usize = 4096;
    let is_plain = request.constraint.is_none() && request.raw.is_none() && request.tools.functions.is_empty();
    let is_small = request.n_bytes() <= SMALL && is_plain;
    let permits = if is_small { &daemon.admitting } else { &daemon.tokenizing };
    admit_beside(&ready.admission, permits, request).await
}

/// Answers a long input part by part and tells the peer how far that is. Returns the call that remains.
async fn reduce<P: Peer>(
    daemon: &Daemon,
    peer: &mut P,
    ready: &Arc<Ready>,
    request: Arc<Generate>,
) -> Result<Admitted, Stopped> {
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
                peer.send(&batch).await?;
                batch.clear();
            }
            outcome = &mut reducing => {
                // What it said last comes before what it came to.
                while let Ok(event) = said.try_recv() {
                    peer.send(&[event]).await?;
                }
                return outcome.map_err(Stopped::Refused);
            }
            stopped = peer.departure() => return Err(stopped),
        }
    }
}

/// Passes the worker's events on, and the peer's cancel back. Returning early drops `events`, which frees the slot.
async fn relay<P: Peer>(
    daemon: &Daemon,
    peer: &mut P,
    id: SeqId,
    mut events: mpsc::Receiver<Event>,
    mut parser: Option<AnswerParser>,
) -> Result<(), Stopped> {
    let mut batch = Vec::new();
    let mut is_cancelled = false;
    let watching = daemon.metrics.watchdog.watch();
    tokio::pin!(watching);
    loop {
        tokio::select! {
            // Events first: a peer that has closed is found out by writing as well.
            biased;
            n = events.recv_many(&mut batch, MAX_EVENTS) => {
                if n == 0 {
                    let text = "the worker has ended; try: the same again, and the log of beastd for the reason";
                    return Err(Stopped::Refused(WireError::new(ErrorCode::Engine, text)));
                }
                let ended = batch.iter().any(|event| matches!(event, Event::Done { .. }));
                let failed = batch.pop_if(|event| matches!(event, Event::Failed(_)));
                if let Some(parser) = &mut parser {
                    parser.take_apart(&mut batch);
                }
                peer.send(&batch).await?;
                batch.clear();
                if let Some(Event::Failed(error)) = failed {
                    return Err(Stopped::Refused(error));
                }
                if ended {
                    return Ok(());
                }
            }
            never = &mut watching => match never {},
            stopped = peer.departure(), if !is_cancelled => {
                // Also for a peer that has gone: the closed channel is looked at between steps, a cancel interrupts
                // one.
                daemon.worker.cancel(id).await;
                match stopped {
                    Stopped::Cancelled => is_cancelled = true,
                    stopped => {
                        tracing::debug!(request = id.0, "the client is gone");
                        return Err(stopped);
                    }
                }
            }
        }
    }
}
