//! Answers questions with probabilities, on this machine or by another server.

use std::collections::VecDeque;
use std::sync::Arc;

use beast_protocol::{Decide, Decided, ErrorCode, Event, KeepTemperatures, Timings, Usage, WireError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::models::wait_until_ready;
use super::peer::{Counted, MAX_EVENTS, Peer, Stopped, counted};
use super::upstream::{Relayed, awaited};
use crate::calibration::temperatures::RANGE;
use crate::clock::now_us;
use crate::decide::{self, Likely};
use crate::residents::Hold;
use crate::shared::Shared;
use crate::upstream::{FirstToken, NotAnswered};

/// Answers the questions of a request. The last event is `Decided`, unless an error is returned.
///
/// # Errors
/// See [`Stopped`].
pub async fn decide<P: Peer>(shared: &Arc<Shared>, peer: &mut P, request: Decide) -> Result<(), Stopped> {
    counted(shared, decide_whole(shared, peer, request)).await
}

async fn decide_whole<P: Peer>(shared: &Arc<Shared>, peer: &mut P, mut request: Decide) -> Result<(), Stopped> {
    let mut fallback = None;
    if let Some(name) = shared.upstream(request.model.as_deref()) {
        match awaited(peer, &name, outside(shared, &name, &request)).await? {
            Relayed::Answered(decided) => return Ok(peer.send(&[Event::Decided(decided)]).await?),
            Relayed::Instead(model, notice) => (request.model, fallback) = (Some(model), Some(notice)),
        }
    }
    let Hold { resident, ready, lease } = wait_until_ready(shared, peer, request.model.as_deref()).await?;
    let means = decide::Means {
        admission: Arc::clone(&ready.admission),
        worker: resident.worker.clone(),
        tokenizing: Arc::clone(&shared.tokenizing),
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
    let notices = [ready.notices_to_tell(), fallback.into_iter().collect(), decided.notices].concat();
    drop((ready, means, lease));
    Ok(peer.send(&[Event::Decided(Decided { notices, ..decided })]).await?)
}

/// Asks an upstream model: the first prompt alone, so that its server caches what all have in common, then the others.
async fn outside(shared: &Arc<Shared>, name: &str, request: &Decide) -> Result<Decided, NotAnswered> {
    let arrived_us = now_us();
    let refused = |error| NotAnswered { error, fallback: None };
    let asked = decide::asked_outside(request).map_err(refused)?;
    let mut waiting: VecDeque<usize> = (0..asked.len()).collect();
    let (mut likely, mut running): (Vec<Likely>, _) = (vec![Likely::new(); asked.len()], JoinSet::new());
    let (mut model, mut usage, mut dropped, mut n_at_once) = (String::new(), Usage::default(), None, 1);
    loop {
        while running.len() < n_at_once
            && let Some(nth) = waiting.pop_front()
        {
            let (shared, name, prompt) = (Arc::clone(shared), name.to_owned(), asked[nth].request.clone());
            running.spawn(async move { (nth, shared.upstreams.first_token(&name, &prompt).await) });
        }
        let Some(outcome) = running.join_next().await else { break };
        let (nth, outcome) = outcome.map_err(|error| {
            let text = format!("cannot ask a question: {error}; try: repeat the request");
            refused(WireError::new(ErrorCode::Internal, text))
        })?;
        let FirstToken { model: computed_by, likely: tokens, usage: of_one, notice } = outcome?;
        usage.n_prompt += of_one.n_prompt;
        usage.n_cached += of_one.n_cached;
        (model, likely[nth], dropped) = (computed_by, tokens, dropped.or(notice));
        n_at_once = shared.upstreams.capacity(name).await?.n_parallel;
    }
    let (probabilities, notices) = decide::decided_outside(request, &asked, &likely).map_err(refused)?;
    let all_us = now_us() - arrived_us;
    let timings = Timings { queued_us: 0, prefill_us: all_us, decode_us: 0, first_token_us: all_us };
    let notices = dropped.into_iter().chain(notices).collect();
    let temperatures = vec![1.0; probabilities.len()];
    Ok(Decided { model, probabilities, temperatures, usage, timings, notices })
}

/// Saves temperatures for the model's decisions. The last event is `Status`.
///
/// # Errors
/// See [`Stopped`].
pub async fn keep<P: Peer>(shared: &Arc<Shared>, peer: &mut P, fitted: KeepTemperatures) -> Result<(), Stopped> {
    let _counted = Counted::new(shared);
    let refused = |code, text: String| Stopped::Refused(WireError::new(code, text));
    if let Some((kind, temperature)) = fitted.temperatures.iter().find(|(_, one)| !RANGE.contains(one)) {
        let (kind, least, most) = (kind.as_str(), RANGE.start(), RANGE.end());
        let text = format!("invalid temperature {temperature} for {kind}; try: use one from {least} to {most}");
        return Err(refused(ErrorCode::Invalid, text));
    }
    if let Some(name) = shared.upstream(fitted.model.as_deref()) {
        return Err(Stopped::Refused(shared.upstreams.refusal(&name, "keep temperatures for its decisions")));
    }
    let Hold { ready, lease: _lease, .. } = wait_until_ready(shared, peer, fitted.model.as_deref()).await?;
    // Off the sockets' thread, because it waits for the disk.
    let saving = tokio::task::spawn_blocking(move || {
        let temperatures = ready.temperatures.as_ref().ok_or("the model's file cannot be identified")?;
        temperatures.keep(&fitted).map_err(|error| error.to_string())
    });
    let path = saving.await.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| {
        let text = format!("cannot save the temperatures: {why}; try: make the model's folder or the cache writable");
        refused(ErrorCode::Internal, text)
    })?;
    tracing::info!(path = %path.display(), "saved the temperatures of decisions");
    Ok(peer.send(&[Event::Status(Box::new(shared.status()))]).await?)
}
