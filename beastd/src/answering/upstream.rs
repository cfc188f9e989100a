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
    let (sender, mut events) = mpsc::channel(MAX_EVENTS);
    // Dropping it closes the connection, and the server stops. It drops the sender at its end, which ends the loop.
    let answering = async move { upstream::answer(&shared.upstreams, name, request, &sender).await };
    tokio::pin!(answering);
    let (mut outcome, mut batch, mut is_accepted) = (None, Vec::new(), false);
    loop {
        tokio::select! {
            biased;
            n = events.recv_many(&mut batch, MAX_EVENTS) => {
                if n == 0 {
                    break;
                }
                if !std::mem::replace(&mut is_accepted, true) {
                    peer.accepted().await?;
                }
                peer.send(&batch).await?;
                batch.clear();
            }
            ended = &mut answering, if outcome.is_none() => outcome = Some(ended),
            stopped = peer.departure() => return Err(stopped),
        }
    }
    match outcome.expect("the sender is dropped at the end") {
        Ok(()) => Ok(None),
        Err(NotAnswered { error, fallback: Some(model) }) => {
            tracing::warn!(%error, upstream = name, fallback = model, "no server answered");
            let notice = upstream::notice_of_fallback(name, &model, &error);
            Ok(Some((model, notice)))
        }
        Err(NotAnswered { error, fallback: None }) => Err(Stopped::Refused(error)),
    }
}
