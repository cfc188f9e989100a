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
}

impl WireError {
    /// An error of this kind with this text.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
