//! Errors of `embed` and `similar`.

use crate::{
    exit::{self, Failing},
    text::quoted,
};

#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    #[error("--binary is not for a terminal; try: redirect it, like > vectors.f32")]
    BinaryToTerminal,
    #[error("the query is empty; try: beastctl similar 'QUERY' FILE")]
    NoQuery,
    /// The query is a file's name and no files are given: probably the query was forgotten.
    #[error("{0} is a file, not a query; try: beastctl similar QUERY {file}", file = quoted(.0))]
    IsFile(String),
    /// Without `--truncate`.
    #[error("{place} is longer than the context; try: pass --truncate to embed its beginning, or raise n_ctx")]
    TooLong { place: String },
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
            EmbedError::BinaryToTerminal | EmbedError::NoQuery | EmbedError::IsFile(_) => exit::USAGE,
            EmbedError::TooLong { .. } => exit::TOO_LONG,
            EmbedError::OtherModel | EmbedError::Mismatch => exit::FAILED,
        }
    }
}
