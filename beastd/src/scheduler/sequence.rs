//! One request as the scheduler sees it: tokens known and tokens computed.

use crate::batch::{SeqId, SlotId, Token};
use crate::prefix_cache::MIN_TOKENS;

/// A waiting or running request. There is no prefill phase and no decode phase: a sequence has tokens that are known
/// but not computed, many at first, then one at a time.
#[derive(Debug, Clone)]
pub struct Sequence {
    pub id: SeqId,
    /// All known tokens: the prompt, then the generated ones.
    pub tokens: Vec<Token>,
    pub n_prompt: usize,
    /// Length at which the sequence ends, prompt included.
    pub n_max: usize,
    /// Most tokens that its cells can hold.
    n_ctx: usize,
    /// Lengths of prefixes that other requests may share, ascending; cached once computed.
    pub(super) keep: Vec<usize>,
    /// Computed tokens, which is the number of cells that its slot holds.
    pub(super) n_cached: usize,
    /// Its slot; `None` while it waits.
    pub(super) slot: Option<SlotId>,
    /// The last step that had a row for it.
    pub(super) last_step: u64,
    /// Consecutive prefill steps that went to another prompt while this one was the oldest.
    pub(super) n_passed_over: u32,
    /// Whether a chunk of its prompt was interrupted for a new request.
    pub(super) was_interrupted: bool,
    /// Whether it yields to regular requests: a part of a larger request, which no client waits for on its own.
    pub(super) is_background: bool,
    /// Whether only the log-probabilities after its prompt are wanted.
    pub(super) is_scored: bool,
    /// How many more times it yields to other requests.
    pub(super) n_yields: u32,
}

/// A background sequence yields this many times, then counts as a regular one, so that it ends eventually.
const N_YIELDS: u32 = 3;

impl Sequence {
    /// A new sequence. Generates at most `n_max_tokens`, and never more than fit into `n_ctx` with the prompt.
    pub fn new(id: SeqId, prompt: Vec<Token>, n_max_tokens: usize, n_ctx: usize) -> Self {
        let n_prompt = prompt.len();
        Self {
            id,
            tokens: prompt,
            n_prompt,
            n_max: (n_prompt + n_max_tokens).min(n_ctx),
            n_ctx,
            keep: Vec::new(),
            n_cached: 0,
            slot: None,
            last_step: 0,
            n_passed_over: 0,
            was_interrupted: false,
            is_background: false,
            is_scored: false,
            n_yields: 0,
        }
    }

    /// Marks it as a background sequence, which yields its slot to other requests.
    #[must_use]
    pub fn in_background(mut self) -> Self {
        self.is_background = true;
        self.n_yields = N_YIELDS;
        self
    }

    /// Whether to only score the prompt. Scored prompts share a long prefix and are computed in one step; no
    /// conversation continues from them.
    #[must_use]
    pub fn scored(mut self, is_scored: bool) -> Self {
        self.is_scored = is_scored;
        self
    }

    /// Whether it still yields to other requests.
    pub fn yields(&self) -> bool {
        self.n_yields > 0
    }

    /// Sets the lengths of prefixes worth caching, in any order.
    #[must_use]
    pub fn keeping(mut self, mut lengths: Vec<usize>) -> Self {
        lengths.retain(|&length| length >= MIN_TOKENS && length < self.n_prompt);
        lengths.sort_unstable();
        self.keep = lengths;
        self
    }

    /// Tokens computed so far.
    pub fn n_cached(&self) -> usize {
        self.n_cached
    }

    /// Tokens for the next row: up to the next prefix to cache.
    pub(super) fn n_to_boundary(&self) -> usize {
        let boundary = self.keep.iter().find(|&&length| length > self.n_cached);
        boundary.map_or(self.n_pending(), |length| length - self.n_cached)
    }

    /// Tokens known but not computed; never 0 while it lives.
    pub fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }

    /// Drafts that can be of use before it ends: a step adds one token more than the accepted drafts.
    pub fn n_draft_max(&self) -> usize {
        self.n_max.saturating_sub(self.tokens.len() + 1)
    }

    /// Drafts that it has room for, of use or not.
    pub fn n_draft_room(&self) -> usize {
        self.n_ctx.saturating_sub(self.tokens.len() + 1)
    }
}
