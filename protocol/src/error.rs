//! What a request can fail with, as it crosses the wire.

use serde::{Deserialize, Serialize};

/// Why a request failed, for programs. The client maps each to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request makes no sense: no messages, nothing in them, a parameter out of range.
    Invalid,
    /// The prompt does not fit into the context, both sizes are in the message.
    TooLong,
    /// A limit of the daemon is reached (connections, queue): the same request may succeed later.
    Overloaded,
    /// The model is not there or cannot be loaded.
    ModelUnavailable,
    /// The engine failed in the middle of its work.
    Engine,
    /// The daemon is going away.
    ShuttingDown,
    /// The peer broke the rules of the protocol.
    Protocol,
    /// Anything else that went wrong inside the daemon.
    Internal,
}

/// A failure with what happened and what to do next, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// For programs.
    pub code: ErrorCode,
    /// For people: one line that says what happened and the next step.
    pub message: String,
    /// Of a prompt that does not fit.
    pub sizes: Option<Sizes>,
}

/// A prompt and the context that it does not fit into, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// The prompt; of a very long one an estimate.
    pub n_prompt: u32,
    /// The context of one request.
    pub n_ctx: u32,
}

impl WireError {
    /// An error of this kind with this text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), sizes: None }
    }

    /// The same with the sizes of a prompt that does not fit.
    #[must_use]
    pub fn with_sizes(self, n_prompt: usize, n_ctx: usize) -> Self {
        let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { sizes: Some(Sizes { n_prompt: as_u32(n_prompt), n_ctx: as_u32(n_ctx) }), ..self }
    }
}
