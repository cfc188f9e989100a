//! One part: admitted, submitted in the background, its answer collected.

use std::sync::Arc;

use beast_protocol::{ErrorCode, Event, Generate, WireError};

use super::{Means, admit};
use crate::clock::now_us;
use crate::worker::Ticket;

/// The outcome of a part.
pub(super) struct Answer {
    pub(super) text: String,
    /// Whether it reached its token limit.
    pub(super) is_cut: bool,
}

/// Answers a part; returns `index` with the outcome.
pub(super) async fn answer(means: Means, request: Generate, index: usize) -> (usize, Result<Answer, WireError>) {
    (index, collect(means, request).await)
}

async fn collect(means: Means, request: Generate) -> Result<Answer, WireError> {
    let mut admitted = admit(&means, Arc::new(request)).await?;
    admitted.is_background = true;
    // A part is read once, so caching it is useless; the instruction before it is shared by all parts.
    admitted.shared.retain(|&n| n + 1 < admitted.prompt.len());
    let started = Event::Progress { n_done: 0, n_total: 0 }; // Not read.
    let ticket = Ticket { arrived_us: now_us(), started, lease: None };
    let (_, mut events) = means.worker.submit(admitted, ticket)?;
    let mut text = String::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Piece { text: piece, .. } => text += &piece,
            Event::Done { reason, .. } => return Ok(Answer { text, is_cut: reason.is_cut() }),
            Event::Failed(error) => return Err(error),
            _ => {}
        }
    }
    Err(WireError::new(
        ErrorCode::Engine,
        "the worker thread has ended; try: repeat the request, and see beastctl logs for the reason",
    ))
}
