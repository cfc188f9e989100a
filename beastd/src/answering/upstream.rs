//! Relays an answer that another server computes.

use std::sync::Arc;

use beast_protocol::{Generate, Notice};
use tokio::sync::mpsc;

use super::{MAX_EVENTS, Peer, Stopped};
use crate::shared::Shared;
use crate::upstream::{self, NotAnswered};

/// Answers a request for the upstream model `name`. Returns the local model that should answer instead, with a notice
/// about it, if no server did and the configuration names one.
///
/// # Errors
/// See [`Stopped`].
pub(super) async fn relay<P: Peer>(
    shared: &Arc<Shared>,
    peer: &mut P,
    name: &str,
    request: &Generate,
) -> Result<Option<(String, Notice)>, Stopped> {
    let (events, mut said) = mpsc::channel(MAX_EVENTS);
    let mut batch = Vec::with_capacity(MAX_EVENTS);
    let mut is_accepted = false;
    let outcome = {
        // Dropping it closes the connection, and the server stops.
        let answering = upstream::answer(&shared.upstreams, name, request, &events);
        tokio::pin!(answering);
        loop {
            tokio::select! {
                biased;
                _ = said.recv_many(&mut batch, MAX_EVENTS) => {
                    if !std::mem::replace(&mut is_accepted, true) {
                        peer.accepted().await?;
                    }
                    peer.send(&batch).await?;
                    batch.clear();
                }
                outcome = &mut answering => break outcome,
                stopped = peer.departure() => return Err(stopped),
            }
        }
    };
    drop(events);
    while said.recv_many(&mut batch, MAX_EVENTS).await > 0 {
        if !std::mem::replace(&mut is_accepted, true) {
            peer.accepted().await?;
        }
        peer.send(&batch).await?;
        batch.clear();
    }
    match outcome {
        Ok(()) => Ok(None),
        Err(NotAnswered { error, fallback: Some(model) }) => {
            tracing::warn!(%error, upstream = name, fallback = model, "no server answered");
            let notice = upstream::notice_of_fallback(name, &model, &error);
            Ok(Some((model, notice)))
        }
        Err(NotAnswered { error, fallback: None }) => Err(Stopped::Refused(error)),
    }
}
