//! The nouns that scheduler and engine share: the work of one step, and its outcome.
//!
//! Their only common ground: the scheduler never names an engine, an engine never names the scheduler.

/// A token of the model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub i32);

/// A request on its way through scheduler and engine. Never reused by the same daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeqId(pub u64);

/// A slot of the KV cache that a sequence can occupy; llama.cpp's sequence id. Slots 0 to `n_slots - 1` run sequences,
/// those above hold cached prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// How to choose the tokens of one sequence; every value is resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Temperature; 0 is greedy, whatever the filters below are.
    pub temp: f32,
    /// Keep this many most likely tokens; 0 keeps all.
    pub top_k: u32,
    /// Keep the most likely tokens that together reach this probability; 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than this share of the most likely one; 0 keeps all.
    pub min_p: f32,
    /// Penalties for recent tokens.
    pub penalties: Penalties,
    /// The penalty for repeated sequences.
    pub dry: Dry,
    /// Dropping the likeliest tokens.
    pub xtc: Xtc,
    /// Added to the logits of these tokens before anything else; minus infinity bans one.
    pub logit_bias: Vec<(Token, f32)>,
    /// Where the answer should end.
    pub ending: Ending,
    /// Seed of the random number generator.
    pub seed: u32,
}

/// Penalties for recent tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalties {
    /// Divides their logits (Keskar et al. 2019, <https://arxiv.org/abs/1909.05858>); 1 does nothing.
    pub repeat: f32,
    /// Subtracted once per occurrence.
    pub frequency: f32,
    /// Subtracted once if the token occurs.
    pub presence: f32,
    /// How many tokens count as recent; 0 for none.
    pub last_n: u32,
}

impl Penalties {
    /// Nothing; 64 recent tokens, llama.cpp's own default.
    pub const NONE: Self = Self { repeat: 1.0, frequency: 0.0, presence: 0.0, last_n: 64 };
}

/// A penalty for the token that continues a repeated sequence: DRY,
/// <https://github.com/oobabooga/text-generation-webui/pull/5677>.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dry {
    /// Its strength; 0 does nothing.
    pub multiplier: f32,
    /// How it grows with each token of the sequence; at least 1.
    pub base: f32,
    /// So many tokens may repeat.
    pub allowed_length: u32,
    /// How many tokens count as recent; 0 for none.
    pub last_n: u32,
}

impl Dry {
    /// Nothing; the rest are llama.cpp's own defaults.
    pub const NONE: Self = Self { multiplier: 0.0, base: 1.75, allowed_length: 2, last_n: u32::MAX };
}

/// Sometimes drops all but the least likely of the tokens that reach a threshold: XTC,
/// <https://github.com/oobabooga/text-generation-webui/pull/6335>.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Xtc {
    /// How often; 0 does nothing.
    pub probability: f32,
    /// The least probability of a token that may be dropped.
    pub threshold: f32,
}

impl Xtc {
    /// Nothing; llama.cpp's own threshold.
    pub const NONE: Self = Self { probability: 0.0, threshold: 0.1 };
}

/// Where an answer should end: end-of-turn tokens become likelier with each token from `from` to `to`. Like the length
/// penalty of transformers' `ExponentialDecayLengthPenalty`, but linear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Tokens of the answer before the first one that may be affected.
    pub from: usize,
    /// Most tokens of the answer.
    pub to: usize,
}

impl Ending {
    /// Nowhere in particular.
    pub const NONE: Self = Self { from: usize::MAX, to: usize::MAX };
    /// What is added at `to`. Less than the most likely tokens are ahead of the end within a sentence, more than they
    /// are after one.
    const MOST: f32 = 16.0;

    /// What is added to the logits of end-of-turn tokens after `n` tokens of the answer.
    pub fn bias(self, n: usize) -> f32 {
        let Some(n_beyond) = n.checked_sub(self.from) else { return 0.0 };
        Self::MOST * (n_beyond as f32 / self.to.saturating_sub(self.from).max(1) as f32).min(1.0)
    }
}

impl SamplingParams {
    /// Always the most likely token.
    pub const GREEDY: Self = Self {
        temp: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        penalties: Penalties::NONE,
        dry: Dry::NONE,
        xtc: Xtc::NONE,
        logit_bias: Vec::new(),
        ending: Ending::NONE,
        seed: 0,
    };
}

/// The tokens of one sequence that a step computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub seq: SeqId,
    /// The slot that holds them.
    pub slot: SlotId,
    /// Position of the first of them in the sequence, from 0; equals the number of cells the slot holds already.
    pub pos: u32,
    /// At least one known token, then the drafts.
    pub tokens: Vec<Token>,
    /// How many of them, at the end, are drafts. Rejected ones are rolled back within the step.
    pub n_draft: usize,
    /// Whether to sample the next token: only when the row reaches the last known token.
    pub sample: bool,
}

impl Row {
    /// How many tokens are not drafts.
    pub fn n_known(&self) -> usize {
        self.tokens.len() - self.n_draft
    }
}

/// An edit of the KV cache, made before the rows. Slots hold no rejected drafts at that point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvEdit {
    /// Clear the slot; its sequence has left.
    Clear(SlotId),
    /// Copy all of `from` into `to`, which is empty.
    Copy { from: SlotId, to: SlotId },
}

/// One step's work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Made first, in order.
    pub edits: Vec<KvEdit>,
    /// At most one per slot.
    pub rows: Vec<Row>,
}

impl Batch {
    /// Tokens of all rows.
    pub fn n_tokens(&self) -> usize {
        self.rows.iter().map(|row| row.tokens.len()).sum()
    }
}

/// The model's own probability of a chosen token: before penalties, biases and constraints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Logprobs {
    /// Natural logarithm of its probability.
    pub chosen: f32,
    /// The likeliest tokens and their log-probabilities, in descending order.
    pub top: Vec<(Token, f32)>,
}

/// The tokens sampled for a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    pub seq: SeqId,
    /// The accepted drafts, then one sampled token: at least one, at most `n_draft + 1`.
    pub tokens: Vec<Token>,
    /// One per token if the sequence asked for them, else none.
    pub logprobs: Vec<Logprobs>,
    /// Set when the last token could not be chosen and is a placeholder; the sequence must end.
    pub stuck: Option<Stuck>,
}

/// Why no token could be chosen for a sequence. Others are not affected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// The constraint allows no token, or is too expensive to evaluate; with the reason.
    Constraint(String),
    /// The logits are not numbers.
    NotANumber,
}
