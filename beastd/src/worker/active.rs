//! What the worker remembers of a request besides its sequence. Knows neither scheduler nor engine.

use crate::lease::Lease;
use crate::stream::Stream;

/// What the worker remembers of a request besides its sequence.
pub(super) struct Active {
    pub(super) stream: Stream,
    pub(super) n_prompt: usize,
    /// Prompt tokens that a kept prefix saved.
    pub(super) n_cached: usize,
    pub(super) arrived_us: u64,
    pub(super) started_us: Option<u64>,
    pub(super) first_token_us: Option<u64>,
    pub(super) last_token_us: u64,
    pub(super) prefill_us: u64,
    /// Tokens given to the stream; drafts that were right may go on after the end.
    pub(super) n_generated: usize,
    pub(super) position: Option<usize>,
    /// Keeps the model until this is dropped.
    pub(super) _lease: Option<Lease>,
}
