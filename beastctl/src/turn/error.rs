//! Why an answer is not a success, or why none was requested.

use crate::exit::{self, Failing};

/// Why there is no answer, or why it is not a success.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// Truncated, with `--strict`.
    #[error("{0}")]
    Cut(String),
    /// It went round in circles, under `--strict`.
    #[error("{0}")]
    Repeats(String),
    /// It violates its constraint; nothing was printed.
    #[error("no output: {0}")]
    Withheld(String),
    /// The same, because the grammar or schema reached a dead end.
    #[error("no output: the grammar or schema reached a dead end: {0}")]
    DeadEnd(String),
    /// The same with `--schema`, without truncation as an explanation.
    #[error("no output: the answer is not valid JSON ({0})")]
    NoJson(serde_json::Error),
    /// The answer is not a commit message.
    #[error("no message: {0}")]
    NoMessage(String),
    /// The time limit expired during the answer.
    #[error("the answer did not finish within {}", humantime::format_duration(*.0))]
    Incomplete(std::time::Duration),
    /// The daemon cancelled it without our request.
    #[error("beastd cancelled the answer")]
    Cancelled,
    /// There is no question.
    #[error("no question given")]
    NoQuestion,
    /// Invalid value of `BEAST_LOG_CONVERSATIONS`; guessing could save what must not be saved.
    #[error("invalid BEAST_LOG_CONVERSATIONS `{0}`; expected `always` or `never`")]
    LogWish(String),
    /// Invalid value of `BEAST_MARKDOWN`.
    #[error("invalid BEAST_MARKDOWN `{0}`; expected `always` or `never`")]
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
            TurnError::Cut(_) | TurnError::Withheld(_) => "raise --max-tokens, or shorten the input",
            TurnError::Repeats(_) => "--repeat-penalty 1.1, --temp 0.7, or a larger model: beastctl models list",
            TurnError::DeadEnd(_) => "change the grammar or schema",
            TurnError::NoJson(_) => "repeat the command, or simplify the --schema",
            TurnError::NoMessage(_) => {
                "repeat the command, commit less at once, or use a larger model: beastctl models list"
            }
            TurnError::Incomplete(_) => "raise --timeout, or lower --max-tokens",
            TurnError::Cancelled => "repeat the command",
            TurnError::NoQuestion => "beastctl ask 'QUESTION'",
            TurnError::LogWish(_) => "export BEAST_LOG_CONVERSATIONS=never",
            TurnError::MarkdownWish(_) => "export BEAST_MARKDOWN=never",
        };
        Some(hint.into())
    }
}
