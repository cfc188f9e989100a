//! Counters that the worker publishes after each step, for everybody to read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// All since the start of the process, or as of the last step.
#[derive(Debug, Default)]
pub struct Metrics {
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
    /// Tokens that were therefore not computed.
    pub n_tokens_saved: AtomicU64,
    /// Prefixes on disk.
    pub n_stored: AtomicUsize,
    /// Their files, in bytes.
    pub n_stored_bytes: AtomicU64,
    /// How often one was read back.
    pub n_restored: AtomicU64,
    /// Requests that have ended, for whatever reason.
    pub n_requests: AtomicU64,
    /// Prompt tokens computed.
    pub n_prompt_tokens: AtomicU64,
    /// Tokens generated.
    pub n_generated_tokens: AtomicU64,
    /// Tokens guessed ahead.
    pub n_drafted: AtomicU64,
    /// How many of them were right.
    pub n_accepted: AtomicU64,
    /// Times that a sequence lost its cells.
    pub n_preempted: AtomicU64,
    /// Time spent in engine steps, in microseconds.
    pub busy_us: AtomicU64,
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

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }
}
