//! The life of a request, whatever protocol its client speaks: wait for the model, admit, reduce, submit, relay,
//! cancel.
//!
//! A front end turns its input into a [`Generate`], implements [`Peer`], and writes the events that come back. Knows
//! no sockets and no tokens.

mod continuing;
mod deciding;
mod embedding;
mod models;
mod parts;
mod peer;
mod upstream;

use std::sync::Arc;

use beast_protocol::{
    Counted as TokenCount, ErrorCode, Event, FinishReason, Generate, Notice, Overflow, Timings, Usage, WireError,
};
use tokio::sync::mpsc;

use crate::admission::beside::{admit_beside, beside};
use crate::admitted::Admitted;
use crate::batch::SeqId;
use crate::clock::now_us;
use crate::loader::Ready;
use crate::map_reduce;
use crate::residents::{Hold, Resident};
use crate::shared::Shared;
use crate::shown::{Continuation, Shown};
use crate::worker::Ticket;
pub use deciding::{decide, keep};
pub use embedding::embed;
pub use models::{Change, Which, change, wait_until_ready};
pub use peer::{Counted, Peer, Stopped};
use peer::{MAX_EVENTS, counted, unless_gone};
use upstream::Relayed;

/// Answers a request. The last event is `Done`, unless an error is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn answer<P: Peer>(shared: &Arc<Shared>, peer: &mut P, request: Generate) -> Result<(), Stopped> {
    match counted(shared, answer_whole(shared, peer, request)).await {
        Err(Stopped::Cancelled) => {
            let (reason, usage, timings) = (FinishReason::Cancelled, Usage::default(), Timings::default());
            peer.send(&[Event::Done { reason, usage, timings, stop_text: None, dead_end: None }]).await?;
            Err(Stopped::Cancelled)
        }
        outcome => outcome,
    }
}

async fn answer_whole<P: Peer>(shared: &Arc<Shared>, peer: &mut P, mut request: Generate) -> Result<(), Stopped> {
    let arrived_us = now_us();
    let (mut waits_since_us, mut fallback) = (arrived_us, None);
    if let Some(name) = shared.upstream(request.model.as_deref()) {
        match upstream::relay(shared, peer, &name, &request).await? {
            Relayed::Answered(()) => return Ok(()),
            Relayed::Instead(model, notice) => (request.model, fallback) = (Some(model), Some(notice)),
        }
    }
    let Hold { resident, ready, lease } = wait_until_ready(shared, peer, request.model.as_deref()).await?;
    let request = Arc::new(request);
    let (mut admitted, notices) = match admit(shared, &ready, &request).await {
        Err(error) if error.code == ErrorCode::TooLong && matches!(request.overflow, Overflow::Reduce { .. }) => {
            let merging = reduce(shared, peer, (&resident, &ready), Arc::clone(&request)).await?;
            waits_since_us = now_us();
            (merging, Vec::new())
        }
        outcome => outcome.map_err(Stopped::Refused)?,
    };
    let n_prompt = u32::try_from(admitted.prompt.len()).unwrap_or(u32::MAX);
    let started = Event::Started {
        model: ready.model.name.clone(),
        n_prompt,
        n_ctx: ready.model.n_ctx,
        notices: [ready.notices_to_tell(), notices, fallback.into_iter().collect()].concat(),
    };
    let mut shown = Shown::new(&request, admitted.parser.take());
    let ticket = Ticket { arrived_us, waits_since_us, started: started.clone(), lease: Some(lease) };
    let (id, events) = resident.worker.submit(admitted, ticket).map_err(Stopped::Refused)?;
    tracing::info!(request = id.0, model = resident.name, n_prompt, "accepted");
    peer.accepted().await?;
    // `ready` belongs to the model, which may be unloaded while the client still reads.
    drop(ready);
    let mut next = relay(&resident, peer, id, events, &mut shown).await?;
    drop(resident);
    let mut request = Arc::unwrap_or_clone(request);
    while let Some(continuation) = next {
        tracing::info!(request = id.0, why = %continuation.why, "the answer continues as another request");
        next = continuing::go_on(shared, peer, &mut request, continuation, started.clone()).await?;
    }
    Ok(())
}

/// Counts the tokens of a prompt; nothing is generated. The last event is `Counted`, unless an error is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn count_tokens<P: Peer>(shared: &Arc<Shared>, peer: &mut P, request: Generate) -> Result<(), Stopped> {
    counted(shared, count_whole(shared, peer, request)).await
}

async fn count_whole<P: Peer>(shared: &Arc<Shared>, peer: &mut P, request: Generate) -> Result<(), Stopped> {
    if let Some(name) = shared.upstream(request.model.as_deref()) {
        let counting = shared.upstreams.count(&name, &request);
        let counted = unless_gone(peer, async { counting.await.map_err(|failed| failed.error) }).await?;
        return Ok(peer.send(&[Event::Counted(counted)]).await?);
    }
    let Hold { ready, lease: _lease, .. } = wait_until_ready(shared, peer, request.model.as_deref()).await?;
    let counting = beside(&ready.admission, &shared.tokenizing, move |admission| admission.n_counted(&request));
    let n_prompt = unless_gone(peer, counting).await?;
    let counted = TokenCount {
        model: ready.model.name.clone(),
        n_prompt: u32::try_from(n_prompt).unwrap_or(u32::MAX),
        n_ctx: ready.model.n_ctx,
        notices: ready.notices_to_tell(),
    };
    Ok(peer.send(&[Event::Counted(counted)]).await?)
}

/// Admits a request off the sockets' thread, because a model's chat template may take any time. Small requests do not
/// wait for large ones; a grammar or schema has to be compiled and counts as large.
async fn admit(
    shared: &Shared,
    ready: &Arc<Ready>,
    request: &Arc<Generate>,
) -> Result<(Admitted, Vec<Notice>), WireError> {
    const SMALL: usize = 4096;
    let is_plain = request.constraint.is_none() && request.raw.is_none() && request.tools.functions.is_empty();
    let is_small = request.n_bytes() <= SMALL && is_plain;
    let permits = if is_small { &shared.admitting } else { &shared.tokenizing };
    admit_beside(&ready.admission, permits, request).await
}

/// Answers a long input part by part and reports progress. Returns the final request, which has not been submitted.
async fn reduce<P: Peer>(
    shared: &Shared,
    peer: &mut P,
    (resident, ready): (&Resident, &Ready),
    request: Arc<Generate>,
) -> Result<Admitted, Stopped> {
    let means = map_reduce::Means {
        admission: Arc::clone(&ready.admission),
        worker: resident.worker.clone(),
        tokenizing: Arc::clone(&shared.tokenizing),
        n_slots: ready.limits.n_slots,
    };
    let (events, mut said) = mpsc::channel(MAX_EVENTS);
    let reducing = map_reduce::reduce(means, request, events);
    tokio::pin!(reducing);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            _ = said.recv_many(&mut batch, MAX_EVENTS) => {
                peer.send(&batch).await?;
                batch.clear();
            }
            outcome = &mut reducing => {
                // Sends pending events before the outcome.
                while let Ok(event) = said.try_recv() {
                    peer.send(&[event]).await?;
                }
                return outcome.map_err(Stopped::Refused);
            }
            stopped = peer.departure() => return Err(stopped),
        }
    }
}

/// Passes the worker's events to the peer, and the peer's cancel to the worker. Returning early, as for an answer that
/// continues as another request, drops `events`, which frees the slot.
async fn relay<P: Peer>(
    resident: &Resident,
    peer: &mut P,
    id: SeqId,
    mut events: mpsc::Receiver<Event>,
    shown: &mut Shown,
) -> Result<Option<Continuation>, Stopped> {
    let mut batch = Vec::new();
    let mut is_cancelled = false;
    let watching = resident.metrics.watchdog.watch();
    tokio::pin!(watching);
    loop {
        tokio::select! {
            // Polls events first: writing them also detects a disconnected client.
            biased;
            n = events.recv_many(&mut batch, MAX_EVENTS) => {
                if n == 0 {
                    let text = "the worker thread has ended; try: repeat the request, and see beastctl logs for the \
                                reason";
                    return Err(Stopped::Refused(WireError::new(ErrorCode::Engine, text)));
                }
                let ended = batch.iter().any(|event| matches!(event, Event::Done { .. }));
                let failed = batch.pop_if(|event| matches!(event, Event::Failed(_)));
                let is_over = shown.take(&mut batch);
                let next = if is_cancelled { None } else { shown.continuation(&mut batch) };
                peer.send(&batch).await?;
                batch.clear();
                if let Some(Event::Failed(error)) = failed {
                    return Err(Stopped::Refused(error));
                }
                if !ended && (is_over || next.is_some()) {
                    resident.worker.cancel(id).await;
                }
                if ended || next.is_some() {
                    return Ok(next);
                }
            }
            never = &mut watching => match never {},
            stopped = peer.departure(), if !is_cancelled => {
                // Needed for a disconnected client too: the worker notices a closed channel only between steps, and a
                // cancel interrupts the current one.
                resident.worker.cancel(id).await;
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
