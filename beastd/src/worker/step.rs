//! A step of the engine, and when it is given up: a large chunk of a prompt that is alone must not hold up who comes.

use std::rc::Rc;
use std::sync::Arc;

use super::{Engine, EngineError, Metrics, Worker};
use crate::batch::{Batch, Row, Sampled};
use crate::clock::now_us;
use crate::scheduler::Sequence;

/// How fast a prompt that is alone is read.
pub(super) struct Pace {
    regular_chunk: usize,
    us_per_token: Option<f64>,
}

impl Pace {
    pub(super) fn new(regular_chunk: usize) -> Self {
        Self { regular_chunk, us_per_token: None }
    }

    /// Until when a chunk may be given up: while what is left of it takes longer than a regular one, which whoever
    /// comes may have to wait for at any time. Always, as long as nobody knows what a token takes. `None` for a chunk
    /// that is no larger than that.
    fn until_us(&self, began_us: u64, n_tokens: usize) -> Option<u64> {
        let n_more = n_tokens.checked_sub(self.regular_chunk).filter(|&n_more| n_more > 0)?;
        Some(self.us_per_token.map_or(u64::MAX, |us| began_us + (n_more as f64 * us) as u64))
    }

    fn learn(&mut self, n_tokens: usize, us: u64) {
        self.us_per_token = Some(us as f64 / n_tokens as f64);
    }
}

impl<E: Engine> Worker<'_, E> {
    /// Runs the plan. A chunk that is as large as it is because its prompt is alone is given up when a request comes
    /// whose prompt is shorter than what this one still owes, as another would wait for it anyway, or a command that
    /// ends something.
    pub(super) fn step(&mut self, batch: &Batch, began_us: u64) -> Result<Vec<Sampled>, EngineError> {
        self.metrics.watchdog.begin(batch, began_us);
        let outcome = self.step_unless_interrupted(batch, began_us);
        self.metrics.watchdog.end();
        outcome
    }

    fn step_unless_interrupted(&mut self, batch: &Batch, began_us: u64) -> Result<Vec<Sampled>, EngineError> {
        let [Row { tokens, n_draft: 0, .. }] = &batch.rows[..] else { return self.engine.step(batch) };
        let Some(until_us) = self.pace.until_us(began_us, tokens.len()) else { return self.engine.step(batch) };
        let n_owed: usize = self.scheduler.running().map(Sequence::n_pending).sum();
        let interrupt = Arc::clone(&self.inbox.interrupt);
        let is_interrupted = move || interrupt.is_shorter_than(n_owed) && now_us() < until_us;
        let outcome = self.engine.step_unless(batch, Rc::new(is_interrupted));
        if outcome.is_ok() {
            self.pace.learn(tokens.len(), now_us() - began_us);
        }
        outcome
    }

    /// Books the time of a step that was given up to the request that it was for.
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
