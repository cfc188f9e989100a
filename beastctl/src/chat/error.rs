//! Why a chat rejects its input.

use crate::exit::{self, Failing};

#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Invalid input.
    #[error("{0}; try: /help")]
    Typed(String),
    #[error("chat does not support --tools; try: beastctl ask --tools FILE 'QUESTION'")]
    Tools,
}

impl Failing for ChatError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}
