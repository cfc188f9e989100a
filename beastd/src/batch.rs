//! The nouns that scheduler and engine share: what is to be computed in one step, and what came out.
//!
//! Their only common ground: the scheduler never names an engine, an engine never names the scheduler.

/// A token of the model's vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub i32);

/// One request on its way through scheduler and engine. Never used twice in the life of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeqId(pub u64);

/// One of the places in the KV cache that a sequence can occupy: llama.cpp's sequence id. Those from 0 to `n_slots - 1`
/// run, those above keep prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// How the tokens of one sequence are chosen; every value is settled.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplingParams {
    /// Temperature; 0 is greedy, whatever the filters below say.
    pub temp: f32,
    /// Keep this many most likely tokens; 0 keeps all.
    pub top_k: u32,
    /// Keep the most likely tokens that together reach this probability; 1 keeps all.
    pub top_p: f32,
    /// Drop tokens less likely than this share of the most likely one; 0 keeps all.
    pub min_p: f32,
    /// What makes recent tokens less likely.
    pub penalties: Penalties,
    /// Added to the logits of these tokens before anything else; minus infinity forbids one.
    pub logit_bias: Vec<(Token, f32)>,
    /// Seed of the random choice.
    pub seed: u32,
}

/// What makes recent tokens less likely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalties {
    /// Divides their logits (Keskar et al. 2019, <https://arxiv.org/abs/1909.05858>); 1 does nothing.
    pub repeat: f32,
    /// Subtracted for each time that one occurs.
    pub frequency: f32,
    /// Subtracted once.
    pub presence: f32,
    /// How many tokens are recent; 0 for none.
    pub last_n: u32,
}

impl Penalties {
    /// Nothing; 64 recent tokens, llama.cpp's own default.
    pub const NONE: Self = Self { repeat: 1.0, frequency: 0.0, presence: 0.0, last_n: 64 };
}

impl SamplingParams {
    /// Always the most likely token.
    pub const GREEDY: Self = Self {
        temp: 0.0,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        penalties: Penalties::NONE,
        logit_bias: Vec::new(),
        seed: 0,
    };
}

/// Tokens of one sequence that are computed in this step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Whose they are.
    pub seq: SeqId,
    /// Where they are kept.
    pub slot: SlotId,
    /// Position of the first of them in the sequence, from 0; equals the number of cells the slot holds already.
    pub pos: u32,
    /// At least one that is known, then the drafts.
    pub tokens: Vec<Token>,
    /// How many of them, at the end, are only guessed. Those that turn out wrong are taken back within the step.
    pub n_draft: usize,
    /// Whether the step chooses the token that follows: only when the row reaches the last token known.
    pub sample: bool,
}

impl Row {
    /// How many tokens are not guessed.
    pub fn n_known(&self) -> usize {
        self.tokens.len() - self.n_draft
    }
}

/// A change of the KV cache that comes before the rows. Both hold for what a slot is meant to hold: drafts that were
/// wrong are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvEdit {
    /// Empty the slot: its sequence has left.
    Clear(SlotId),
    /// Make `to`, which is empty, hold what `from` holds.
    Copy {
        /// Whose state is copied, as a whole.
        from: SlotId,
        to: SlotId,
    },
}

/// One step's work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Done first, in order.
    pub edits: Vec<KvEdit>,
    /// At most one for each slot.
    pub rows: Vec<Row>,
}

impl Batch {
    /// Tokens of all rows.
    pub fn n_tokens(&self) -> usize {
        self.rows.iter().map(|row| row.tokens.len()).sum()
    }
}

/// How likely a chosen token was to the model alone: before penalties, biases and constraints.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Logprobs {
    /// Natural logarithm of its probability.
    pub chosen: f32,
    /// The likeliest tokens and theirs, in descending order.
    pub top: Vec<(Token, f32)>,
}

/// The tokens that a row asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// Whose they are.
    pub seq: SeqId,
    /// The drafts that were right, then one that was not guessed: at least one, at most `n_draft + 1`.
    pub tokens: Vec<Token>,
    /// One for each of them if the sequence was armed for that, else none.
    pub logprobs: Vec<Logprobs>,
    /// Set when the last of the tokens was not chosen: it only fills the place, and the sequence must end.
    pub stuck: Option<Stuck>,
}

/// Why no token could be chosen for a sequence. Others are not concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// Its constraint leaves no token, or following it any further would cost too much; in words.
    Constraint(String),
    /// The logits are not numbers.
    NotANumber,
}
