//! Why a chat rejects its input.

use crate::exit::{self, Failing};

#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Invalid input.
    #[error("{0}")]
    Typed(String),
    /// Tools are not supported in chats.
    #[error("chat does not support --tools")]
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
