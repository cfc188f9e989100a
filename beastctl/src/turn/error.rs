//! Why an answer that came is still not a success, or why nobody was asked for one.

use crate::exit::{self, Failing};

/// Why there is no answer, or why one that came is no success.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// Cut, under `--strict`.
    #[error("{0}")]
    Cut(String),
    /// It went round in circles, under `--strict`.
    #[error("{0}")]
    Repeats(String),
    /// Not what it was bound to be: nothing of it was printed.
    #[error("{0}, so nothing is printed")]
    Withheld(String),
    /// The same when its grammar or schema allows nothing more.
    #[error("the grammar or schema leads nowhere: {0}, so nothing is printed")]
    DeadEnd(String),
    /// The same under `--schema`, without a cut that explains it.
    #[error("the answer is no JSON ({0}), so nothing is printed")]
    NoJson(serde_json::Error),
    /// `commit-msg` has an answer that is none.
    #[error("no message: {0}")]
    NoMessage(String),
    /// The time limit came in the middle.
    #[error("the answer was not complete within {}", humantime::format_duration(*.0))]
    Incomplete(std::time::Duration),
    /// The daemon ended it, though nobody here asked for that.
    #[error("beastd cancelled the answer")]
    Cancelled,
    /// No question, and nobody who could be asked for one.
    #[error("the question is missing")]
    NoQuestion,
    /// `BEAST_LOG_CONVERSATIONS` has a value that means nothing; a guess could keep what must not be kept.
    #[error("BEAST_LOG_CONVERSATIONS is `{0}`, and may be `always` or `never`")]
    LogWish(String),
    /// `BEAST_MARKDOWN` has a value that means nothing.
    #[error("BEAST_MARKDOWN is `{0}`, and may be `always` or `never`")]
    MarkdownWish(String),
}

impl Failing for TurnError {
    fn exit_code(&self) -> u8 {
        match self {
            TurnError::Cut(_)
            | TurnError::Repeats(_)
            | TurnError::Withheld(_)
            | TurnError::DeadEnd(_)
            | TurnError::NoJson(_) => exit::CUT,
            TurnError::Cancelled => exit::BUSY,
            TurnError::NoQuestion | TurnError::LogWish(_) | TurnError::MarkdownWish(_) => exit::USAGE,
            TurnError::NoMessage(_) | TurnError::Incomplete(_) => exit::FAILED,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            TurnError::Cut(_) | TurnError::Withheld(_) => "a larger --max-tokens, or less input",
            TurnError::Repeats(_) => "--repeat-penalty 1.1, --temp 0.7, or a larger model: beastctl models list",
            TurnError::DeadEnd(_) => "another grammar or schema",
            TurnError::NoJson(_) => "the same command again, or a simpler --schema",
            TurnError::NoMessage(_) => "the same command again, less at once, or a larger model: beastctl models list",
            TurnError::Incomplete(_) => "a longer --timeout, or a smaller --max-tokens",
            TurnError::Cancelled => "the same command again",
            TurnError::NoQuestion => "beastctl ask 'QUESTION'",
            TurnError::LogWish(_) => "export BEAST_LOG_CONVERSATIONS=never",
            TurnError::MarkdownWish(_) => "export BEAST_MARKDOWN=never",
        };
        Some(hint.into())
    }
}
