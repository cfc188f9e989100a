//! A request after admission, as the worker gets it.

use crate::batch::{SamplingParams, Token};
use crate::engine::Constraint;
use crate::speculation::Wish;
use crate::tools::AnswerParser;

/// A request that has passed all checks.
#[derive(Debug)]
pub struct Admitted {
    /// At least one token, and fewer than the context has.
    pub prompt: Vec<Token>,
    /// Lengths of prompt prefixes that other requests are likely to share.
    pub shared: Vec<usize>,
    pub sampling: SamplingParams,
    /// Report the log-probability of each token, and of this many likeliest alternatives.
    pub n_logprobs: Option<usize>,
    /// Report the log-probabilities of these tokens instead. With any, the prompt is only scored: the chosen
    /// token is not used, and the prompt is not cached as the beginning of a conversation.
    pub wanted: Vec<Token>,
    /// The maximum number of tokens to generate.
    pub n_max_tokens: usize,
    /// Stop strings; none is empty.
    pub stop: Vec<String>,
    /// Whether to leave out copies of a sentence before the soft limit as well.
    pub distinct: bool,
    /// Whether to ignore end-of-turn tokens.
    pub ignore_eos: bool,
    /// Which drafters may be used.
    pub wish: Wish,
    /// The grammar or schema of the answer.
    pub constraint: Option<Constraint>,
    /// Whether it yields to other requests, because no client waits for this answer alone.
    pub is_background: bool,
    /// The part of the answer that another daemon has generated, if it resumes one.
    pub resumed: Resumed,
    /// Splits the answer into text, thoughts and calls, where it has more than text.
    pub parser: Option<AnswerParser>,
    /// Control tokens that the parser needs to see, and their texts.
    pub shown: Vec<(Token, String)>,
}

/// A prompt of which only the log-probabilities of some next tokens are wanted. Nothing is generated. See [`Admitted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoredPrompt {
    pub prompt: Vec<Token>,
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
            distinct: false,
            // Otherwise an end-of-turn token would have no piece to carry the log-probabilities.
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

/// The part of an answer that exists already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resumed {
    /// Its tokens; none for a new answer.
    pub tokens: Vec<Token>,
    /// Bytes of their text that the client already has; the rest was held back.
    pub n_shown: usize,
}
