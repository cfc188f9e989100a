//! Runs a step, and interrupts it when needed: the large chunk of a lone prompt must not hold up new requests.

use std::rc::Rc;
use std::sync::Arc;

use super::{Engine, EngineError, Metrics, Worker};
use crate::batch::{Batch, Row, Sampled};
use crate::clock::now_us;
use crate::scheduler::Sequence;
use crate::timings::{Phase, timed};

impl<E: Engine> Worker<'_, E> {
    /// Runs the plan. A large chunk of a lone prompt is interrupted by a cancel or stop, or by a request whose prompt
    /// is shorter than the rest of the running one; a longer one would have to wait anyway.
    pub(super) fn step(&mut self, batch: &Batch, began_us: u64) -> Result<Vec<Sampled>, EngineError> {
        if !self.engine.is_free_meanwhile() {
            self.tell();
        }
        self.metrics.watchdog.begin(batch, began_us);
        let outcome = self.step_unless_interrupted(batch, began_us);
        self.metrics.watchdog.end();
        outcome
    }

    fn step_unless_interrupted(&mut self, batch: &Batch, began_us: u64) -> Result<Vec<Sampled>, EngineError> {
        let [Row { tokens, n_draft: 0, .. }] = &batch.rows[..] else { return self.compute(batch) };
        let Some(until_us) = self.pace.until_us(began_us, tokens.len()) else { return self.compute(batch) };
        let n_owed: usize = self.scheduler.running().map(Sequence::n_pending).sum();
        let interrupt = Arc::clone(&self.inbox.interrupt);
        let is_interrupted = move || interrupt.is_shorter_than(n_owed) && now_us() < until_us;
        let outcome = self.engine.step_unless(batch, Rc::new(is_interrupted));
        if outcome.is_ok() {
            self.pace.learn(tokens.len(), now_us() - began_us);
        }
        outcome
    }

    /// While a GPU computes, clients are told of the tokens of the step before.
    fn compute(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError> {
        tracing::trace!(n_rows = batch.rows.len(), n_tokens = batch.n_tokens(), edits = ?batch.edits, "step");
        self.engine.start(batch)?;
        timed(Phase::Deliver, || self.tell());
        self.engine.finish(batch)
    }

    /// Sends what was sampled, if it has not been sent.
    pub(super) fn tell(&mut self) {
        self.active.values_mut().for_each(|active| active.stream.flush());
    }

    /// Charges the time of an interrupted step to its request.
    pub(super) fn interrupted(&mut self, batch: &Batch, began_us: u64) {
        let step_us = now_us() - began_us;
        tracing::debug!(us = step_us, "interrupted a prefill chunk for a new request");
        Metrics::add(&self.metrics.busy_us, step_us);
        for row in &batch.rows {
            self.active.get_mut(&row.seq).expect("what was computed is active").prefill_us += step_us;
        }
        self.scheduler.interrupt();
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
