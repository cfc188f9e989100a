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

impl Active {
    /// Of a request that has no slot yet: with tokens of its prompt and of what is generated already, and when it
    /// arrived and began to wait.
    pub(super) fn new(
        stream: Stream,
        (n_prompt, n_generated): (usize, usize),
        (arrived_us, waits_since_us): (u64, u64),
        lease: Option<Lease>,
    ) -> Self {
        Self {
            stream,
            n_prompt,
            n_cached: 0,
            arrived_us,
            waits_since_us,
            started_us: None,
            first_token_us: None,
            last_token_us: arrived_us,
            prefill_us: 0,
            n_generated,
            position: None,
            _lease: lease,
        }
    }
}
