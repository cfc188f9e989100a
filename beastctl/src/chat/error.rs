//! Why a chat rejects its input.

use crate::exit::{self, Failing};

#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Invalid input.
    #[error("{0}; try: /help")]
    Typed(String),
    #[error("/edit needs a terminal; try: type the question")]
    NoTerminal,
    #[error("chat does not support {option}; try: {way}")]
    Option { option: &'static str, way: &'static str },
}

impl Failing for ChatError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}
