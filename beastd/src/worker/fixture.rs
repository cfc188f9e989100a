//! A worker on the fake engine, in a thread of its own, for tests of what submits requests.

use std::sync::Arc;
use std::thread::{JoinHandle, spawn};

use super::{Ended, Parts, Worker, WorkerHandle};
use crate::engine::fake::{ByteVocab, FakeEngine};
use crate::engine::{Engine as _, EngineError, Vocab};
use crate::governor::{Crowd, Governor};
use crate::metrics::Metrics;
use crate::scheduler::Limits;
use crate::speculation::{Speculation, StepCosts, Wish};

/// The end of its thread.
pub(crate) type Thread = JoinHandle<Result<Ended, EngineError>>;

/// Starts the worker.
pub(crate) fn start(
    engine: FakeEngine,
    wish: Wish,
    limits: Limits,
    n_ctx: usize,
) -> (WorkerHandle, Arc<Metrics>, Thread) {
    let (worker, inbox) = WorkerHandle::new();
    let metrics = Arc::new(Metrics::default());
    let of_worker = Arc::clone(&metrics);
    let thread = spawn(move || {
        let vocab: Arc<dyn Vocab> = Arc::new(ByteVocab);
        let speculation = Speculation::new(wish, engine.n_rollback(), Arc::clone(&vocab), None, StepCosts::new(1));
        let governor = Governor::new(1, 1);
        let parts = Parts { engine, vocab, limits, n_ctx, governor, crowd: Crowd::default(), speculation, store: None };
        Worker::new(parts, inbox, of_worker).run()
    });
    (worker, metrics, thread)
}
