//! Counters that the worker publishes after each step.

use crate::watchdog::Watchdog;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use beast_protocol::{Timings, Usage};

/// Totals count from the start of the process; other values are those of the last step.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Watches the current step.
    pub watchdog: Watchdog,
    /// Compute threads; 0 before the machine was first sampled.
    pub n_threads: AtomicUsize,
    pub n_running: AtomicUsize,
    pub n_waiting: AtomicUsize,
    pub n_cells_used: AtomicUsize,
    pub n_prefixes: AtomicUsize,
    /// Tokens of the cached prefixes.
    pub n_prefix_tokens: AtomicUsize,
    /// Prefix cache hits.
    pub n_prefix_hits: AtomicU64,
    /// Prompt tokens saved by the prefix cache.
    pub n_tokens_saved: AtomicU64,
    /// Prefixes on disk.
    pub n_stored: AtomicUsize,
    /// Total size of their files, in bytes.
    pub n_stored_bytes: AtomicU64,
    /// Prefixes restored from disk.
    pub n_restored: AtomicU64,
    /// Requests finished, for any reason.
    pub n_requests: AtomicU64,
    /// Prompt tokens computed.
    pub n_prompt_tokens: AtomicU64,
    /// Tokens generated.
    pub n_generated_tokens: AtomicU64,
    pub n_drafted: AtomicU64,
    /// Draft tokens accepted.
    pub n_accepted: AtomicU64,
    /// Connections refused or ended by a protocol violation; the daemon's, not a model's.
    pub n_refused: AtomicU64,
    pub n_preempted: AtomicU64,
    /// Time spent in engine steps, in microseconds.
    pub busy_us: AtomicU64,
    pub n_steps: AtomicU64,
    /// Rows of all steps.
    pub n_rows: AtomicU64,
    /// Rows with drafts.
    pub n_verified: AtomicU64,
    /// Longest sequence so far in tokens, prompt and answer.
    pub n_longest: AtomicU64,
    pub answers: AnswerTotals,
    /// The totals at the last scrape, to compute rates from; the daemon's, not a model's.
    pub seen: Mutex<AnswerSums>,
}

/// A snapshot of [`AnswerTotals`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnswerSums {
    pub n_prompt: u64,
    /// See [`AnswerTotals::prefill_us`].
    pub prefill_us: u64,
    /// See [`AnswerTotals::n_decoded`].
    pub n_decoded: u64,
    /// See [`AnswerTotals::decode_us`].
    pub decode_us: u64,
}

/// Totals of all finished answers.
#[derive(Debug, Default)]
pub struct AnswerTotals {
    /// Prompt tokens from the cache.
    pub n_cached: AtomicU64,
    pub n_prompt: AtomicU64,
    /// Engine time of prefill steps, in microseconds.
    pub prefill_us: AtomicU64,
    pub n_generated: AtomicU64,
    /// Generated tokens except the first of each answer, which belongs to the prefill.
    pub n_decoded: AtomicU64,
    /// Time from first to last token, in microseconds.
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
    /// Resets everything that belongs to a model, when it is unloaded.
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

    /// Adds the counts of a model. Rates and the watchdog stay its own.
    pub fn include(&self, other: &Self) {
        let gauges: [fn(&Self) -> &AtomicUsize; 6] = [
            |of| &of.n_running,
            |of| &of.n_waiting,
            |of| &of.n_cells_used,
            |of| &of.n_prefixes,
            |of| &of.n_prefix_tokens,
            |of| &of.n_stored,
        ];
        let totals: [fn(&Self) -> &AtomicU64; 21] = [
            |of| &of.n_prefix_hits,
            |of| &of.n_tokens_saved,
            |of| &of.n_stored_bytes,
            |of| &of.n_restored,
            |of| &of.n_requests,
            |of| &of.n_prompt_tokens,
            |of| &of.n_generated_tokens,
            |of| &of.n_drafted,
            |of| &of.n_accepted,
            |of| &of.n_refused,
            |of| &of.n_preempted,
            |of| &of.busy_us,
            |of| &of.n_steps,
            |of| &of.n_rows,
            |of| &of.n_verified,
            |of| &of.answers.n_cached,
            |of| &of.answers.n_prompt,
            |of| &of.answers.prefill_us,
            |of| &of.answers.n_generated,
            |of| &of.answers.n_decoded,
            |of| &of.answers.decode_us,
        ];
        for of in gauges {
            of(self).fetch_add(of(other).load(Relaxed), Relaxed);
        }
        for of in totals {
            of(self).fetch_add(of(other).load(Relaxed), Relaxed);
        }
        self.n_longest.fetch_max(other.n_longest.load(Relaxed), Relaxed);
    }

    /// Counts a step with `n_rows` rows, `n_verified` of them with drafts.
    pub fn stepped(&self, n_rows: usize, n_verified: usize) {
        Self::add(&self.n_steps, 1);
        Self::add(&self.n_rows, n_rows as u64);
        Self::add(&self.n_verified, n_verified as u64);
    }

    /// Increments since the last call with this `seen`.
    pub fn since_last_look(&self, seen: &Mutex<AnswerSums>) -> AnswerSums {
        let AnswerTotals { n_prompt, prefill_us, n_decoded, decode_us, .. } = &self.answers;
        let [n_prompt, prefill_us, n_decoded, decode_us] =
            [n_prompt, prefill_us, n_decoded, decode_us].map(|sum| sum.load(Relaxed));
        let now = AnswerSums { n_prompt, prefill_us, n_decoded, decode_us };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *seen, now);
        // Counts of a model that was forgotten are missing.
        AnswerSums {
            n_prompt: now.n_prompt.saturating_sub(last.n_prompt),
            prefill_us: now.prefill_us.saturating_sub(last.prefill_us),
            n_decoded: now.n_decoded.saturating_sub(last.n_decoded),
            decode_us: now.decode_us.saturating_sub(last.decode_us),
        }
    }

    /// Counts a finished answer.
    pub fn answered(&self, usage: &Usage, timings: &Timings) {
        self.answers.add(usage, timings);
        self.n_longest.fetch_max(u64::from(usage.n_prompt) + u64::from(usage.n_generated), Relaxed);
    }

    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }
}
