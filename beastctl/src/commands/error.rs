//! Why an answer that came is still not a success.

use crate::exit::{self, Failing};

/// Why an answer that came is still not a success.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Cut, under `--strict`.
    #[error("{0}")]
    Cut(String),
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
    /// What was typed into a chat makes no sense.
    #[error("{0}")]
    Chat(String),
    /// `BEAST_LOG_CONVERSATIONS` has a value that means nothing; a guess could keep what must not be kept.
    #[error("BEAST_LOG_CONVERSATIONS is `{0}`, and may be `always` or `never`")]
    LogWish(String),
    /// `BEAST_MARKDOWN` has a value that means nothing.
    #[error("BEAST_MARKDOWN is `{0}`, and may be `always` or `never`")]
    MarkdownWish(String),
    /// Nobody could answer the calls.
    #[error("a chat cannot answer the calls of --tools")]
    ToolsInChat,
    /// `history rm --all` may not go on by itself.
    #[error("nothing was removed: {0}")]
    NotRemoved(&'static str),
    /// `stop` could not stop.
    #[error("cannot stop beastd (process {pid})")]
    CannotStop { pid: u32, source: std::io::Error },
    /// `stop` has waited long enough.
    #[error("beastd has not ended within {}", humantime::format_duration(*.0))]
    StillRunning(std::time::Duration),
    /// `status` found nobody; the object of `--json` has been printed.
    #[error(transparent)]
    NotRunning(crate::client::ClientError),
    /// `bench` has nothing to start.
    #[error("the program beastd is not to be found")]
    NoProgram,
    /// `bench` cannot measure now.
    #[error("nothing can be measured now: {0}")]
    MachineBusy(String),
    /// `bench` could not measure everything; why not stands in the tables.
    #[error("not measured: {0}")]
    NotMeasured(String),
    /// `bench --calibrate` failed.
    #[error("beastd could not calibrate: {0}")]
    NotCalibrated(String),
}

impl Failing for CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            CommandError::Cut(_) | CommandError::Withheld(_) | CommandError::DeadEnd(_) | CommandError::NoJson(_) => {
                exit::CUT
            }
            CommandError::Cancelled | CommandError::MachineBusy(_) => exit::BUSY,
            CommandError::NoProgram => exit::UNREACHABLE,
            CommandError::NotMeasured(_) | CommandError::NotCalibrated(_) => exit::FAILED,
            CommandError::NoQuestion
            | CommandError::ToolsInChat
            | CommandError::Chat(_)
            | CommandError::LogWish(_)
            | CommandError::MarkdownWish(_)
            | CommandError::NotRemoved(_) => exit::USAGE,
            CommandError::NoMessage(_)
            | CommandError::Incomplete(_)
            | CommandError::CannotStop { .. }
            | CommandError::StillRunning(_) => exit::FAILED,
            CommandError::NotRunning(error) => error.exit_code(),
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            CommandError::Cut(_) | CommandError::Withheld(_) => "a larger --max-tokens, or less input",
            CommandError::DeadEnd(_) => "another grammar or schema",
            CommandError::NoJson(_) => "the same command again, or a simpler --schema",
            CommandError::NoMessage(_) => {
                "the same command again, less at once, or a larger model: beastctl models list"
            }
            CommandError::Incomplete(_) => "a longer --timeout, or a smaller --max-tokens",
            CommandError::Cancelled => "the same command again",
            CommandError::Chat(_) => "/help",
            CommandError::ToolsInChat => "beastctl ask --tools FILE 'QUESTION'",
            CommandError::LogWish(_) => "export BEAST_LOG_CONVERSATIONS=never",
            CommandError::MarkdownWish(_) => "export BEAST_MARKDOWN=never",
            CommandError::NotRemoved(_) => "-y",
            CommandError::NoQuestion => "beastctl ask 'QUESTION'",
            CommandError::CannotStop { pid, source } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                return Some(format!("as the user who started it: ps -o user= -p {pid}"));
            }
            CommandError::CannotStop { .. } => "beastctl status, to see whether it still runs",
            CommandError::NotMeasured(tables) => {
                let tables = tables.replace(", ", ",");
                return Some(format!("mend what the tables name, then beastctl bench --only {tables}"));
            }
            CommandError::NotCalibrated(words) if words.contains("; try: ") => return None,
            CommandError::NotCalibrated(_) => "beastd --calibrate, for all that it says",
            CommandError::StillRunning(_) => "a longer --timeout, or beastctl status",
            CommandError::NotRunning(error) => return error.hint(),
            CommandError::NoProgram => "put beastd beside beastctl, or into a folder of PATH",
            CommandError::MachineBusy(_) => "again when it is idle, or --force for numbers that nobody should trust",
        };
        Some(hint.into())
    }
}
