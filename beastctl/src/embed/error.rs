//! Errors of `embed` and `similar`.

use crate::exit::{self, Failing};

#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error("--binary is not for a terminal; try: redirect it, like > vectors.f32")]
    BinaryToTerminal,
    #[error("the query is empty; try: beastctl similar 'QUERY' FILE")]
    NoQuery,
    /// Vectors of different models cannot be compared.
    #[error("the model changed during the command; try: repeat the command")]
    OtherModel,
    /// The daemon's vectors do not match the texts.
    #[error(
        "invalid response from beastd: the vectors do not match the texts; try: beastctl stop, then repeat the command"
    )]
    Mismatch,
}

impl Failing for EmbedError {
    fn exit_code(&self) -> u8 {
        match self {
            EmbedError::BinaryToTerminal | EmbedError::NoQuery => exit::USAGE,
            EmbedError::OtherModel | EmbedError::Mismatch => exit::FAILED,
        }
    }
}
