//! What admission makes of a request, and what the worker computes.

use crate::batch::{SamplingParams, Token};
use crate::engine::Constraint;
use crate::speculation::Wish;
use crate::tools::AnswerParser;

/// A request that has passed all checks.
#[derive(Debug)]
pub struct Admitted {
    /// At least one token, and fewer than the context has.
    pub prompt: Vec<Token>,
    /// Lengths of beginnings of the prompt that other requests are likely to share.
    pub shared: Vec<usize>,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// For each token its log-probability, and those of this many likeliest.
    pub n_logprobs: Option<usize>,
    /// The same for these tokens in the place of the likeliest. With any, the prompt is scored: nobody reads what is
    /// chosen, and what is computed is not kept as the beginning of a conversation.
    pub wanted: Vec<Token>,
    /// Most tokens to generate.
    pub n_max_tokens: usize,
    /// Texts that end the answer; none is empty.
    pub stop: Vec<String>,
    /// Whether the model's own end is ignored.
    pub ignore_eos: bool,
    /// What may guess ahead.
    pub wish: Wish,
    /// What the answer must look like.
    pub constraint: Option<Constraint>,
    /// Whether it gives way to those that are not: nobody waits for this answer alone.
    pub is_background: bool,
    /// The beginning of the answer, when it goes on where another daemon stopped.
    pub resumed: Resumed,
    /// Takes the answer apart, where it is more than text.
    pub parser: Option<AnswerParser>,
    /// Control tokens that it goes by, and their texts.
    pub shown: Vec<(Token, String)>,
}

/// A prompt of which only the log-probabilities of some tokens behind it are wanted. Nothing is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoredPrompt {
    /// See [`Admitted`].
    pub prompt: Vec<Token>,
    /// See [`Admitted`].
    pub shared: Vec<usize>,
    /// At least one.
    pub wanted: Vec<Token>,
}

impl From<ScoredPrompt> for Admitted {
    fn from(ScoredPrompt { prompt, shared, wanted }: ScoredPrompt) -> Self {
        Self {
            prompt,
            shared,
            sampling: SamplingParams::GREEDY,
            n_logprobs: None,
            wanted,
            n_max_tokens: 1,
            stop: Vec::new(),
            // Also a token that ends an answer then has a piece to tell log-probabilities with.
            ignore_eos: true,
            wish: Wish::OFF,
            constraint: None,
            is_background: false,
            resumed: Resumed::default(),
            parser: None,
            shown: Vec::new(),
        }
    }
}

/// What of an answer is there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Its tokens; none for a new answer.
    pub tokens: Vec<Token>,
    /// Bytes of their text that the client has; the rest was held back.
    pub n_shown: usize,
}
