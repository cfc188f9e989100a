//! Why an answer is not a success, or why none was requested.

use std::time::Duration;

use humantime::format_duration;

use crate::exit::{self, Failing};

#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// With `--strict`: the answer is truncated.
    #[error("{0}; try: raise --max-tokens, or shorten the input")]
    Cut(String),
    /// With `--strict`: the answer repeats itself.
    #[error("{0}; try: --repeat-penalty 1.1, --temp 0.7, or a larger model: beastctl models list")]
    Repeats(String),
    /// The answer violates its constraint; nothing was printed.
    #[error("no output: {0}; try: raise --max-tokens, or shorten the input")]
    Withheld(String),
    #[error("no output: the grammar or schema reached a dead end: {0}; try: change the grammar or schema")]
    DeadEnd(String),
    /// With `--schema`: the answer is invalid, although it is not truncated.
    #[error("no output: the answer is not valid JSON ({0}); try: repeat the command, or simplify the --schema")]
    NoJson(serde_json::Error),
    /// With `-x json`: the answer contains none, although it is not truncated.
    #[error("no output: the answer contains no JSON; try: repeat the command, or pass a --schema")]
    NoJsonFound,
    /// For `commit-msg`: the answer is not a message.
    #[error(
        "no message: {0}; try: repeat the command, commit less at once, or use a larger model: beastctl models list"
    )]
    NoMessage(String),
    #[error("the answer did not finish within {}; try: raise --timeout, or lower --max-tokens", format_duration(*.0))]
    Incomplete(Duration),
    /// Cancelled, but not by us.
    #[error("beastd cancelled the answer; try: repeat the command")]
    Cancelled,
    #[error("no question given; try: beastctl ask 'QUESTION'")]
    NoQuestion,
    /// An invalid value of a variable. A guess could save something that must not be saved.
    #[error("invalid {variable} `{value}`; expected `always` or `never`; try: export {variable}=never")]
    Wish { variable: &'static str, value: String },
}

impl Failing for TurnError {
    fn exit_code(&self) -> u8 {
        match self {
            TurnError::Cut(_)
            | TurnError::Repeats(_)
            | TurnError::Withheld(_)
            | TurnError::DeadEnd(_)
            | TurnError::NoJson(_)
            | TurnError::NoJsonFound => exit::CUT,
            TurnError::Cancelled => exit::BUSY,
            TurnError::NoQuestion | TurnError::Wish { .. } => exit::USAGE,
            TurnError::NoMessage(_) | TurnError::Incomplete(_) => exit::FAILED,
        }
    }
}
