//! Failures of a request, as they cross the wire.

use serde::{Deserialize, Serialize};

/// Why a request failed, for programs. The client maps each code to an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request is invalid: no messages, no text, a parameter out of range.
    Invalid,
    /// The prompt does not fit into the context; the message has both sizes.
    TooLong,
    /// A limit is reached (connections, queue): the same request may succeed later.
    Overloaded,
    /// The model is missing or cannot be loaded.
    ModelUnavailable,
    /// The engine failed.
    Engine,
    /// The daemon is shutting down.
    ShuttingDown,
    /// The peer violated the protocol.
    Protocol,
    /// Any other failure inside the daemon.
    Internal,
}

/// A failure: a code for programs, and a message that says what happened and what to try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// For programs.
    pub code: ErrorCode,
    /// For people: one line with what happened and what to try.
    pub message: String,
    /// Sizes, for a prompt that does not fit.
    pub sizes: Option<Sizes>,
}

/// Sizes of a prompt and of the context it does not fit into, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Length of the prompt; estimated if it is very long.
    pub n_prompt: u32,
    /// The context of one request.
    pub n_ctx: u32,
}

impl WireError {
    /// An error with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), sizes: None }
    }

    /// Adds the sizes of a prompt that does not fit.
    #[must_use]
    pub fn with_sizes(self, n_prompt: usize, n_ctx: usize) -> Self {
        let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { sizes: Some(Sizes { n_prompt: as_u32(n_prompt), n_ctx: as_u32(n_ctx) }), ..self }
    }
}
