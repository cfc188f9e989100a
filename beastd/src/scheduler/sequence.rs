//! One request as the scheduler sees it: tokens known, tokens computed.

use crate::batch::{SeqId, SlotId, Token};
use crate::prefix_cache::MIN_TOKENS;

/// A request that waits or runs. There is no prefill phase and no decode phase: a sequence only owes the tokens that
/// are known but not computed, many at first, one at a time later.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// Whose it is.
    pub id: SeqId,
    /// All tokens known: the prompt, then what was generated.
    pub tokens: Vec<Token>,
    /// How many of them are the prompt.
    pub n_prompt: usize,
    /// Known tokens at which it ends, the prompt included.
    pub n_max: usize,
    /// Lengths of prefixes that others may begin with too, ascending: kept when they are computed.
    pub(super) keep: Vec<usize>,
    /// How many are computed: the cells that its slot holds.
    pub(super) n_cached: usize,
    /// Where it runs; `None` while it waits.
    pub(super) slot: Option<SlotId>,
    /// The step that it had a row in last.
    pub(super) last_step: u64,
    /// Steps in a row that read another prompt while this one was the oldest.
    pub(super) n_passed_over: u32,
    /// Whether a chunk of its prompt was given up for somebody who came.
    pub(super) was_interrupted: bool,
    /// Whether nobody waits for this sequence alone.
    pub(super) is_background: bool,
    /// Whether only the probabilities behind its prompt are wanted.
    pub(super) is_scored: bool,
    /// How often it will still give way to those for which somebody waits.
    pub(super) n_yields: u32,
}

/// A sequence in the background gives way this often, then it is like any other: it must end some day.
const N_YIELDS: u32 = 3;

impl Sequence {
    /// A new request. `n_max_tokens` are generated at most, and never more than fit into `n_ctx` with the prompt.
    pub fn new(id: SeqId, prompt: Vec<Token>, n_max_tokens: usize, n_ctx: usize) -> Self {
        let n_prompt = prompt.len();
        Self {
            id,
            tokens: prompt,
            n_prompt,
            n_max: (n_prompt + n_max_tokens).min(n_ctx),
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

    /// The same, for which nobody waits: it gives its slot up when others need one.
    #[must_use]
    pub fn in_background(mut self) -> Self {
        self.is_background = true;
        self.n_yields = N_YIELDS;
        self
    }

    /// The same, of which only the probabilities behind its prompt are wanted: it is one of several with a long
    /// beginning in common, which are computed together, and no conversation goes on from it.
    #[must_use]
    pub fn scored(mut self) -> Self {
        self.is_scored = true;
        self
    }

    /// Whether others go first.
    pub fn yields(&self) -> bool {
        self.n_yields > 0
    }

    /// The same, with lengths of prefixes that are worth keeping, in any order.
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

    /// Tokens that a row may take: up to the next prefix that is to be kept.
    pub(super) fn n_to_boundary(&self) -> usize {
        let boundary = self.keep.iter().find(|&&length| length > self.n_cached);
        boundary.map_or(self.n_pending(), |length| length - self.n_cached)
    }

    /// Tokens known but not computed; never 0 while it lives.
    pub fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }

    /// Drafts that it has room for: each step adds one token more than there are drafts, at most.
    pub fn n_draft_max(&self) -> usize {
        self.n_max.saturating_sub(self.tokens.len() + 1)
    }
}
