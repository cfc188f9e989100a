//! Relays what another server computes.

use std::sync::Arc;

use beast_protocol::{ErrorCode, Event, Generate, Notice, Overflow};
use tokio::sync::mpsc;

use super::parts::Servers;
use super::peer::{MAX_EVENTS, Peer, Stopped};
use crate::map_reduce;
use crate::shared::Shared;
use crate::upstream::{self, NotAnswered};

/// What another server made of a request.
pub(super) enum Relayed<T> {
    Answered(T),
    /// The local model that answers instead, with a notice about it.
    Instead(String, Notice),
}

/// Answers a request for the upstream model `name`. Input that does not fit is divided, if the request allows it.
///
/// # Errors
/// See [`Stopped`].
pub(super) async fn relay<P: Peer>(
    shared: &Arc<Shared>,
    peer: &mut P,
    name: &str,
    request: &Generate,
) -> Result<Relayed<()>, Stopped> {
    let outcome = relay_once(shared, peer, name, request).await?;
    let Err(NotAnswered { error, fallback }) = outcome else { return Ok(Relayed::Answered(())) };
    if error.code != ErrorCode::TooLong || !matches!(request.overflow, Overflow::Reduce { .. }) {
        return instead(name, NotAnswered { error, fallback });
    }
    let (request, mut has_part) = (Arc::new(request.clone()), false);
    let servers = Servers::new(shared, name).await.map_err(Stopped::Refused)?;
    let (events, said) = mpsc::channel(MAX_EVENTS);
    let reducing = map_reduce::reduce(servers, request, events);
    let mut note = |events: &[Event]| has_part |= events.iter().any(|event| matches!(event, Event::Part(_)));
    let last = passed_on(peer, said, reducing, &mut note).await?;
    let failed = match last {
        Ok(last) => relay_once(shared, peer, name, &last).await?.err(),
        // The local model begins again, unless parts of the answer are known already.
        Err(error) => {
            let fallback = shared.upstreams.fallback(name, &error).filter(|_| !has_part);
            Some(NotAnswered { error, fallback })
        }
    };
    failed.map_or(Ok(Relayed::Answered(())), |failed| instead(name, failed))
}

/// Answers a request that fits.
async fn relay_once<P: Peer>(
    shared: &Arc<Shared>,
    peer: &mut P,
    name: &str,
    request: &Generate,
) -> Result<Result<(), NotAnswered>, Stopped> {
    let (sender, events) = mpsc::channel(MAX_EVENTS);
    // Dropping it closes the connection, and the server stops. It drops the sender at its end.
    let answering = async move { shared.upstreams.answer(name, request, &sender).await };
    passed_on(peer, events, answering, &mut |_| {}).await
}

/// Passes the events of some work on until it ends, and then its outcome. Dropping the work cancels it.
pub(super) async fn passed_on<P: Peer, T>(
    peer: &mut P,
    mut said: mpsc::Receiver<Event>,
    work: impl Future<Output = T>,
    note: &mut (impl FnMut(&[Event]) + Send),
) -> Result<T, Stopped> {
    tokio::pin!(work);
    let (mut outcome, mut batch, mut is_accepted) = (None, Vec::new(), false);
    loop {
        tokio::select! {
            biased;
            n = said.recv_many(&mut batch, MAX_EVENTS) => {
                if n == 0 {
                    break;
                }
                note(&batch);
                if !std::mem::replace(&mut is_accepted, true) {
                    peer.accepted().await?;
                }
                peer.send(&batch).await?;
                batch.clear();
            }
            ended = &mut work, if outcome.is_none() => outcome = Some(ended),
            stopped = peer.departure() => return Err(stopped),
        }
    }
    Ok(match outcome {
        Some(outcome) => outcome,
        // It sends no more, and is about to end.
        None => work.await,
    })
}

/// Awaits what another server computes without events, unless the client leaves first.
pub(super) async fn awaited<P: Peer, T>(
    peer: &mut P,
    name: &str,
    work: impl Future<Output = Result<T, NotAnswered>>,
) -> Result<Relayed<T>, Stopped> {
    let outcome = tokio::select! {
        biased;
        outcome = work => outcome,
        stopped = peer.departure() => return Err(stopped),
    };
    match outcome {
        Ok(answer) => Ok(Relayed::Answered(answer)),
        Err(failed) => instead(name, failed),
    }
}

/// The local model that answers instead, if the configuration names one.
fn instead<T>(name: &str, failed: NotAnswered) -> Result<Relayed<T>, Stopped> {
    let NotAnswered { error, fallback } = failed;
    let Some(model) = fallback else { return Err(Stopped::Refused(error)) };
    tracing::warn!(%error, upstream = name, fallback = model, "no server answered");
    let notice = upstream::notice_of_fallback(name, &model, &error);
    Ok(Relayed::Instead(model, notice))
}
