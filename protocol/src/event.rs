//! Events from the daemon.

use serde::{Deserialize, Serialize};

use crate::decide::Decided;
use crate::embed::Embedded;
use crate::error::WireError;
use crate::notice::Notice;
use crate::request::Span;
use crate::status::Status;

/// A message from daemon to client. A generation is answered by any number of `Loading`, `Queued` and `Progress`, one
/// `Started`, any number of `Piece`, and exactly one `Done` or `Failed`. If it is answered in parts, each round
/// before `Started` sends a `Round` and then its `Part`s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The model is loading; the request waits.
    Loading {
        /// The current stage.
        stage: LoadStage,
        /// Fraction of this stage done, 0 to 1.
        fraction: f32,
    },
    /// The request waits for a slot.
    Queued {
        /// Requests ahead of it in the queue.
        position: u32,
    },
    /// The request has a slot and prefill begins.
    Started {
        /// Name of the model that answers.
        model: String,
        /// Length of the prompt in tokens, template included.
        n_prompt: u32,
        /// Context of the request in tokens, prompt and answer together.
        n_ctx: u32,
        /// Notices for the user.
        notices: Vec<Notice>,
    },
    /// The material is longer than the context and is answered in parts.
    Round(Round),
    /// One of these parts has been answered.
    Part(Part),
    /// Progress of prefill.
    Progress {
        /// Prompt tokens computed so far.
        n_done: u32,
        /// Prompt tokens in total.
        n_total: u32,
    },
    /// More of the answer; always complete characters.
    Piece {
        /// The raw text, including markers of thoughts and calls, as [`crate::Resume`] needs it.
        text: String,
        /// The tokens sampled since the last piece, for [`crate::Resume`].
        tokens: Vec<i32>,
        /// When the engine sampled the last token: microseconds of the machine's monotonic clock, which all processes
        /// share.
        sampled_at_us: u64,
        /// The same text split into thoughts, tool calls and content. Empty when all of it is content.
        deltas: Vec<Delta>,
        /// One per token in `tokens`, if requested.
        logprobs: Vec<TokenLogprob>,
    },
    /// The end of an answer.
    Done {
        /// Why it ended.
        reason: FinishReason,
        /// Token counts.
        usage: Usage,
        /// Durations.
        timings: Timings,
        /// The stop string that ended it, for [`FinishReason::StopText`].
        stop_text: Option<String>,
        /// Why no token could follow, for [`FinishReason::DeadEnd`].
        dead_end: Option<String>,
    },
    /// The request failed; what was sent before stays valid.
    Failed(WireError),
    /// The daemon's status.
    Status(Box<Status>),
    /// The answers to [`crate::Request::Decide`].
    Decided(Decided),
    /// The answer to [`crate::Request::Embed`].
    Embedded(Embedded),
    /// The answer to [`crate::Request::CountTokens`].
    Counted(Counted),
}

/// The size of a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Name of the model that would answer.
    pub model: String,
    /// Length of the whole prompt in tokens, template included.
    pub n_prompt: u32,
    /// Context of the request in tokens, prompt and answer together.
    pub n_ctx: u32,
    /// Notices for the user.
    pub notices: Vec<Notice>,
}

/// A part of a piece of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delta {
    /// Content.
    Text(String),
    /// Thoughts, which precede the content.
    Reasoning(String),
    /// Start of a call.
    Call {
        /// Index from 0.
        index: u32,
        /// A new id, by which the function's result refers to the call.
        id: String,
        /// Name of the function.
        name: String,
    },
    /// More arguments of the latest call.
    Arguments {
        /// Its index.
        index: u32,
        /// More of a JSON object, as text.
        text: String,
    },
}

/// The model's own probabilities for a token, before any sampler changed them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The chosen token.
    pub chosen: Logprob,
    /// The likeliest tokens, in order.
    pub top: Vec<Logprob>,
}

/// A token and its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    /// Its id in the vocabulary.
    pub token: i32,
    /// Its bytes, not necessarily complete characters.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// A round of answering parts. The first round splits the material, each further one the answers of the round before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Number of the round, from 1.
    pub round: u32,
    /// Number of parts.
    pub n_parts: u32,
    /// Tokens covered; overlaps count once.
    pub n_tokens: u64,
}

/// A part that has been answered. Parts are answered concurrently and may finish in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Number of the round, from 1.
    pub round: u32,
    /// Index of the part, from 0.
    pub index: u32,
    /// Parts of this round answered so far, including this one.
    pub n_done: u32,
    /// Number of parts.
    pub n_parts: u32,
    /// Bytes covered of the material, or of the answers from the second round on.
    pub span: Span,
    /// Tokens covered.
    pub n_tokens: u32,
    /// How many of these, at the beginning, overlap the part before.
    pub n_overlap: u32,
    /// Whether the answer reached its token limit.
    pub is_cut: bool,
    /// Its answer.
    pub text: String,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn.
    Stop,
    /// A stop string was found.
    StopText,
    /// The token limit `max_tokens` was reached; the answer is truncated.
    MaxTokens,
    /// The context is full; the answer is truncated.
    ContextFull,
    /// The client cancelled.
    Cancelled,
    /// Dead end: the grammar or schema allows no further token, or is too expensive to evaluate; the answer is
    /// truncated.
    DeadEnd,
    /// The answer repeated itself; the repetitions are cut off.
    Repetition,
    /// The answer began to repeat itself and was brought to its end ([`crate::Generate::soft_limit`]).
    Closed,
}

impl FinishReason {
    /// Whether the answer is truncated.
    pub fn is_cut(self) -> bool {
        matches!(
            self,
            FinishReason::MaxTokens | FinishReason::ContextFull | FinishReason::DeadEnd | FinishReason::Repetition
        )
    }
}

/// Tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub n_prompt: u32,
    /// Prompt tokens from the prefix cache.
    pub n_cached: u32,
    /// Generated tokens, without the end-of-turn token.
    pub n_generated: u32,
    /// Draft tokens.
    pub n_drafted: u32,
    /// Accepted draft tokens.
    pub n_accepted: u32,
}

/// Times of one request, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Arrival to slot.
    pub queued_us: u64,
    /// Engine time of the prefill steps, up to the first token.
    pub prefill_us: u64,
    /// First to last token.
    pub decode_us: u64,
    /// Arrival to first token (TTFT as the daemon sees it).
    pub first_token_us: u64,
}

/// Stages of loading, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadStage {
    /// From exec to the loader.
    ProcessStart,
    /// Binding the socket, or taking it over.
    Socket,
    /// Finding the model file, unpacking and verifying the built-in one.
    ModelFile,
    /// Reading the weights, and offloading them to a GPU.
    Weights,
    /// Creating the context: KV cache and compute buffers.
    Context,
    /// A first prefill and decode, which compile GPU kernels and touch every page.
    WarmUp,
}

impl LoadStage {
    /// Its name on a terminal.
    pub fn label(self) -> &'static str {
        match self {
            LoadStage::ProcessStart => "process start",
            LoadStage::Socket => "socket",
            LoadStage::ModelFile => "model file",
            LoadStage::Weights => "weights",
            LoadStage::Context => "context and buffers",
            LoadStage::WarmUp => "warm-up",
        }
    }
}

/// A finished stage and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The stage.
    pub stage: LoadStage,
    /// Duration in microseconds.
    pub us: u64,
}
