//! Parts answered by a local model: admitted, submitted in the background, their answers collected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use beast_protocol::{ErrorCode, Event, Generate, WireError};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::{Answer, Answerer};
use crate::admission::Admission;
use crate::admission::beside::admit_beside;
use crate::admitted::Admitted;
use crate::clock::now_us;
use crate::splitter::{self, Piece, Sizes};
use crate::worker::{Ticket, WorkerHandle};

/// What a local model needs for a reduction.
#[derive(Clone)]
pub struct Means {
    pub admission: Arc<Admission>,
    pub worker: WorkerHandle,
    /// Limits concurrent tokenizing.
    pub tokenizing: Arc<Semaphore>,
    pub n_slots: usize,
}

impl Answerer for Means {
    type Last = Admitted;

    fn n_ctx(&self) -> usize {
        self.admission.n_ctx()
    }

    /// One more than there are slots, so that the next part is queued when a slot becomes free.
    fn n_at_once(&self) -> usize {
        self.n_slots + 1
    }

    /// The queue is never full for long.
    fn is_patient(&self, _: u32) -> bool {
        true
    }

    async fn n_prompt(&self, request: Generate) -> Result<usize, WireError> {
        let admission = Arc::clone(&self.admission);
        spawn_blocking(move || admission.n_prompt(&request)).await.unwrap_or_else(|error| Err(not_split(&error)))
    }

    async fn split(&self, text: Arc<String>, sizes: Sizes) -> Result<Vec<Piece>, WireError> {
        let admission = Arc::clone(&self.admission);
        // Dropping the future does not stop the splitting thread; the guard does.
        let guard = Guard::default();
        let is_over = Arc::clone(&guard.0);
        let splitting =
            spawn_blocking(move || splitter::split(&text, admission.vocab(), sizes, || !is_over.load(Relaxed)));
        let outcome = splitting.await;
        drop(guard);
        outcome.map_err(|error| not_split(&error))
    }

    /// Admits a request that cannot produce notices, because nothing of it may be dropped.
    async fn last(&self, request: Arc<Generate>) -> Result<Admitted, WireError> {
        admit_beside(&self.admission, &self.tokenizing, &request).await.map(|(admitted, _)| admitted)
    }

    async fn answer(self, part: Generate) -> Result<Answer, WireError> {
        let mut admitted = self.last(Arc::new(part)).await?;
        admitted.is_background = true;
        // A part is read once, so caching it is useless; the instruction before it is shared by all parts.
        admitted.shared.retain(|&n| n + 1 < admitted.prompt.len());
        let started = Event::Progress { n_done: 0, n_total: 0 }; // Not read.
        let now_us = now_us();
        let ticket = Ticket { arrived_us: now_us, waits_since_us: now_us, started, lease: None };
        let (_, events) = self.worker.submit(admitted, ticket)?;
        let ended = "the worker thread has ended; try: repeat the request, and see beastctl logs for the reason";
        Answer::collect(events).await.unwrap_or_else(|| Err(WireError::new(ErrorCode::Engine, ended)))
    }
}

fn not_split(error: &tokio::task::JoinError) -> WireError {
    WireError::new(ErrorCode::Internal, format!("cannot split the input: {error}"))
}

/// Tells a thread on drop that its result is no longer needed.
#[derive(Default)]
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
