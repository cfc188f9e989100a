//! The worker's record of a request, apart from its sequence. Knows neither scheduler nor engine.

use crate::lease::Lease;
use crate::stream::Stream;

pub(super) struct Active {
    pub(super) stream: Stream,
    pub(super) n_prompt: usize,
    /// Prompt tokens taken from a cached prefix.
    pub(super) n_cached: usize,
    pub(super) arrived_us: u64,
    pub(super) waits_since_us: u64,
    pub(super) started_us: Option<u64>,
    pub(super) first_token_us: Option<u64>,
    pub(super) last_token_us: u64,
    pub(super) prefill_us: u64,
    /// Tokens passed to the stream; accepted drafts may continue beyond the answer's end.
    pub(super) n_generated: usize,
    pub(super) position: Option<usize>,
    /// Keeps the model loaded until dropped.
    pub(super) _lease: Option<Lease>,
}
