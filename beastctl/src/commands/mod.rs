//! One command, one file, each with a `run`; here the choice among them and what they share.

pub(crate) mod alfred;
mod answering;
mod asking;
mod bench;
mod chat;
mod commit_message;
pub mod completions;
mod conversing;
mod doctor;
mod generate;
mod history;
mod hook;
mod load;
pub(crate) mod logs;
pub mod man;
mod material;
mod models;
pub mod prompt_verb;
mod prompts;
mod request;
pub(crate) mod service;
mod settings;
mod status;
mod stop;
mod version;

use std::{path::PathBuf, time::Instant};

use crate::{
    cli::{Cli, Verb},
    exit::{self, Failing, Result},
    output::Console,
};

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
    CannotStop {
        /// Its process.
        pid: u32,
        /// Why not.
        source: std::io::Error,
    },
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

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// Who listens.
    pub console: Console,
    /// When this process started.
    pub started: Instant,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--timeout`.
    pub timeout: Option<std::time::Duration>,
}

impl Context {
    /// Where the daemon listens, checked for what a socket's path may be.
    ///
    /// # Errors
    /// Those of the paths of this system.
    pub fn socket(&self) -> Result<PathBuf> {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => beast_launchd::paths::socket_path()?,
        };
        beast_launchd::check_socket_path(&path)?;
        Ok(path)
    }
}

/// Runs what was typed.
///
/// # Errors
/// Whatever the command fails with; [`exit::verdict`] turns it into a line and a code.
pub fn run(cli: Cli, console: Console, started: Instant) -> Result<()> {
    let context = Context { console, started, socket: cli.socket, timeout: cli.timeout };
    match cli.verb {
        Verb::Summarize { files, options } => {
            generate::run(&context, generate::Task::of_prompt("summarize".into(), files), &options)
        }
        Verb::Ask { question, options } => generate::run(&context, generate::Task::Ask { question }, &options),
        Verb::CommitMsg { options } => generate::run(&context, generate::Task::CommitMsg, &options),
        Verb::Run { prompt, files, options } => {
            generate::run(&context, generate::Task::of_prompt(prompt, files), &options)
        }
        // Not reached: `prompt_verb::parse` has made the help of it.
        Verb::Help { .. } => Ok(()),
        Verb::Prompt(words) => Err(prompt_verb::unknown(&words, crate::prompts::folder().ok().as_deref()).into()),
        Verb::Prompts(options) => prompts::run(&context, options),
        Verb::Completions { shell } => completions::run(&context, shell),
        Verb::Man(options) => man::run(&context, &options),
        Verb::Chat { prompt, options } => chat::run(&context, prompt, &options),
        Verb::History(options) => history::run(&context, options),
        Verb::Models(options) => models::run(&context, options),
        Verb::Bench(options) => bench::run(&context, &options),
        Verb::Logs(options) => logs::run(&context, &options),
        Verb::Doctor(options) => doctor::run(&context, &options),
        Verb::Alfred { verb } => alfred::run(&context, verb),
        Verb::Hook { verb } => hook::run(&context, verb),
        Verb::Service { verb } => service::run(&context, &verb),
        Verb::Status { json } => status::run(&context, json),
        Verb::Load => load::load(&context),
        Verb::Unload => load::unload(&context),
        Verb::Stop => stop::run(&context),
        Verb::Version { json } => version::run(&context, json),
    }
}
