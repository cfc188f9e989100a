//! Answers a long input in parts on another server.

use std::sync::Arc;

use beast_protocol::{ErrorCode, Generate, WireError};
use tokio::sync::mpsc;

use super::peer::MAX_EVENTS;
use crate::map_reduce::{Answer, Answerer};
use crate::shared::Shared;
use crate::splitter::{self, KnownEnds, Piece, Sizes};
use crate::upstream::{Capacity, NotAnswered};

/// Refusals in a row after which an input is given up.
const MAX_REFUSALS: u32 = 3;

/// The servers of an upstream model, for the parts of one input.
#[derive(Clone)]
pub(super) struct Servers {
    shared: Arc<Shared>,
    name: String,
    n_ctx: usize,
    n_parallel: usize,
}

impl Servers {
    /// # Errors
    /// [`ErrorCode::TooLong`] when nobody says how long a part may be.
    pub(super) async fn new(shared: &Arc<Shared>, name: &str) -> Result<Self, WireError> {
        let Capacity { n_ctx, n_parallel } = shared.upstreams.capacity(name).await.map_err(|failed| failed.error)?;
        let n_ctx = n_ctx.ok_or_else(|| {
            let text = format!(
                "the input is too long for upstream {name}, and its servers do not tell their context; try: set \
                 context in [upstream.{name}], or pass --truncate"
            );
            WireError::new(ErrorCode::TooLong, text)
        })?;
        Ok(Self { shared: Arc::clone(shared), name: name.to_owned(), n_ctx, n_parallel })
    }
}

impl Answerer for Servers {
    type Last = Generate;

    fn n_ctx(&self) -> usize {
        self.n_ctx
    }

    fn n_at_once(&self) -> usize {
        self.n_parallel
    }

    /// Each refusal has taken several attempts; a used-up quota would take for ever.
    fn is_patient(&self, n_refusals: u32) -> bool {
        n_refusals < MAX_REFUSALS
    }

    async fn n_prompt(&self, request: Generate) -> Result<usize, WireError> {
        self.shared.upstreams.n_prompt(&self.name, &request).await.map_err(|failed| failed.error)
    }

    async fn split(&self, text: Arc<String>, sizes: Sizes) -> Result<Vec<Piece>, WireError> {
        let ends = self.shared.upstreams.token_ends(&self.name, Arc::clone(&text)).await;
        let ends = KnownEnds(ends.map_err(|failed| failed.error)?);
        let splitting = tokio::task::spawn_blocking(move || splitter::split(&text, &ends, sizes, || true));
        splitting.await.map_err(|error| {
            WireError::new(ErrorCode::Internal, format!("cannot split the input: {error}; try: repeat the command"))
        })
    }

    async fn last(&self, request: Arc<Generate>) -> Result<Generate, WireError> {
        let request = Arc::unwrap_or_clone(request);
        self.shared.upstreams.check_fit(&self.name, &request).await.map_err(|failed| failed.error)?;
        Ok(request)
    }

    async fn answer(self, part: Generate) -> Result<Answer, WireError> {
        let (sender, events) = mpsc::channel(MAX_EVENTS);
        let Self { shared, name, .. } = &self;
        // The sender is dropped at the end, which ends the collecting.
        let answering = async move { shared.upstreams.answer(name, &part, &sender).await };
        let (outcome, answer) = tokio::join!(answering, Answer::collect(events));
        outcome.map_err(|NotAnswered { error, .. }| error)?;
        let ended = "the answer to a part has no end; try: repeat the command, and see beastctl logs for the reason";
        answer.unwrap_or_else(|| Err(WireError::new(ErrorCode::Internal, ended)))
    }
}
