//! Counters that the worker publishes after each step, for everybody to read.

use crate::watchdog::Watchdog;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use beast_protocol::{Timings, Usage};

/// All since the start of the process, or as of the last step.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The step that the engine is in.
    pub watchdog: Watchdog,
    /// Threads that compute; 0 before the first look at the machine.
    pub n_threads: AtomicUsize,
    /// Sequences with a slot.
    pub n_running: AtomicUsize,
    /// Sequences without one.
    pub n_waiting: AtomicUsize,
    /// KV cells in use.
    pub n_cells_used: AtomicUsize,
    /// Prefixes kept.
    pub n_prefixes: AtomicUsize,
    /// Their tokens.
    pub n_prefix_tokens: AtomicUsize,
    /// How often one was copied.
    pub n_prefix_hits: AtomicU64,
    /// Prompt tokens saved by the prefix cache.
    pub n_tokens_saved: AtomicU64,
    /// Prefixes on disk.
    pub n_stored: AtomicUsize,
    /// Their files, in bytes.
    pub n_stored_bytes: AtomicU64,
    /// How often one was read back.
    pub n_restored: AtomicU64,
    /// Requests finished, for any reason.
    pub n_requests: AtomicU64,
    /// Prompt tokens computed.
    pub n_prompt_tokens: AtomicU64,
    /// Tokens generated.
    pub n_generated_tokens: AtomicU64,
    /// Tokens guessed ahead.
    pub n_drafted: AtomicU64,
    /// How many of them were right.
    pub n_accepted: AtomicU64,
    /// Connections refused or ended by a protocol violation.
    pub n_refused: AtomicU64,
    /// Times that a sequence lost its cells.
    pub n_preempted: AtomicU64,
    /// Time spent in engine steps, in microseconds.
    pub busy_us: AtomicU64,
    /// Engine steps.
    pub n_steps: AtomicU64,
    /// Their rows: sequences that were worked on, added up over all steps.
    pub n_rows: AtomicU64,
    /// Rows whose drafts were verified.
    pub n_verified: AtomicU64,
    /// Tokens of the longest sequence so far, prompt and answer together.
    pub n_longest: AtomicU64,
    /// What answers that have ended took.
    pub answers: AnswerTotals,
    /// The same as of the last look that wanted to know what had come since.
    pub seen: Mutex<AnswerSums>,
}

/// [`AnswerTotals`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerSums {
    /// Prompt tokens that were computed.
    pub n_prompt: u64,
    /// See [`AnswerTotals::prefill_us`].
    pub prefill_us: u64,
    /// See [`AnswerTotals::n_decoded`].
    pub n_decoded: u64,
    /// See [`AnswerTotals::decode_us`].
    pub decode_us: u64,
}

/// Sums over all answers that have ended.
#[derive(Debug, Default)]
pub struct AnswerTotals {
    /// Prompt tokens that were known already.
    pub n_cached: AtomicU64,
    /// Prompt tokens that were computed.
    pub n_prompt: AtomicU64,
    /// Engine time of the steps that read prompts, in microseconds.
    pub prefill_us: AtomicU64,
    /// Tokens of the answers.
    pub n_generated: AtomicU64,
    /// Those after the first of each answer, which the prompt's last step gives.
    pub n_decoded: AtomicU64,
    /// From first to last tokens, in microseconds.
    pub decode_us: AtomicU64,
}

impl AnswerTotals {
    fn add(&self, usage: &Usage, timings: &Timings) {
        let sums = [
            (&self.n_cached, u64::from(usage.n_cached)),
            (&self.n_prompt, u64::from(usage.n_prompt.saturating_sub(usage.n_cached))),
            (&self.prefill_us, timings.prefill_us),
            (&self.n_generated, u64::from(usage.n_generated)),
            (&self.n_decoded, u64::from(usage.n_generated.saturating_sub(1))),
            (&self.decode_us, timings.decode_us),
        ];
        sums.into_iter().for_each(|(sum, n)| Metrics::add(sum, n));
    }
}

impl Metrics {
    /// What belongs to a model that is in memory no more.
    pub fn forget_model(&self) {
        let gauges = [
            &self.n_threads,
            &self.n_running,
            &self.n_waiting,
            &self.n_cells_used,
            &self.n_prefixes,
            &self.n_prefix_tokens,
        ];
        gauges.into_iter().for_each(|gauge| gauge.store(0, Relaxed));
    }

    /// A step of the engine with this many rows, so many of them with drafts to verify.
    pub fn stepped(&self, n_rows: usize, n_verified: usize) {
        Self::add(&self.n_steps, 1);
        Self::add(&self.n_rows, n_rows as u64);
        Self::add(&self.n_verified, n_verified as u64);
    }

    /// What has been added to the sums since the last call.
    pub fn since_last_look(&self) -> AnswerSums {
        let AnswerTotals { n_prompt, prefill_us, n_decoded, decode_us, .. } = &self.answers;
        let [n_prompt, prefill_us, n_decoded, decode_us] =
            [n_prompt, prefill_us, n_decoded, decode_us].map(|sum| sum.load(Relaxed));
        let now = AnswerSums { n_prompt, prefill_us, n_decoded, decode_us };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *seen, now);
        AnswerSums {
            n_prompt: now.n_prompt - last.n_prompt,
            prefill_us: now.prefill_us - last.prefill_us,
            n_decoded: now.n_decoded - last.n_decoded,
            decode_us: now.decode_us - last.decode_us,
        }
    }

    /// An answer has ended.
    pub fn answered(&self, usage: &Usage, timings: &Timings) {
        self.answers.add(usage, timings);
        self.n_longest.fetch_max(u64::from(usage.n_prompt) + u64::from(usage.n_generated), Relaxed);
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }
}
