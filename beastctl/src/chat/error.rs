//! Why a chat does not do what was typed.

use crate::exit::{self, Failing};

/// Why a chat does not do what was typed.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// What was typed makes no sense here.
    #[error("{0}")]
    Typed(String),
    /// Nobody could answer the calls.
    #[error("a chat cannot answer the calls of --tools")]
    Tools,
}

impl Failing for ChatError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            ChatError::Typed(_) => "/help",
            ChatError::Tools => "beastctl ask --tools FILE 'QUESTION'",
        };
        Some(hint.into())
    }
}
