//! Exit codes, and the error line of a failed run. Knows no room: each room's error provides its own code and hint
//! ([`Failing`]).

pub mod advice;
mod file;

use std::{
    error::Error,
    fmt::{self, Display},
    io,
};

use beast_launchd::{Advised, SocketError, paths::PathError};
use beast_protocol::ErrorCode;

pub use file::{FileError, READ, entries, remove_file};

// `CODES` has their meanings.
pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const UNREACHABLE: u8 = 3;
pub const TOO_LONG: u8 = 4;
pub const CUT: u8 = 5;
/// `decide` answered no; for `decide`, [`FAILED`] means nothing else.
pub const NO: u8 = FAILED;
pub const UNSURE: u8 = 6;
/// `decide` failed where other verbs exit with [`FAILED`] (`EX_SOFTWARE`).
pub const SOFTWARE: u8 = 70;
/// `EX_TEMPFAIL`.
pub const BUSY: u8 = 75;
pub const INTERRUPTED: u8 = 130;

#[derive(Debug, Clone, Copy)]
pub struct Code {
    pub number: u8,
    /// What programs read as `code`.
    pub word: &'static str,
    pub meaning: &'static str,
}

/// All exit codes: help, manual page and docs/scripting.md follow from these.
pub const CODES: [Code; 10] = [
    Code::new(DONE, "done", "done; also when the reader of stdout had seen enough"),
    Code::new(FAILED, "failed", "the request failed"),
    Code::new(USAGE, "usage", "usage: the command line, a prompt or the input makes no sense"),
    Code::new(UNREACHABLE, "unreachable", "the daemon cannot be reached or started"),
    Code::new(TOO_LONG, "too_long", "the input is too long"),
    Code::new(
        CUT,
        "cut",
        "the answer was truncated (with `--strict`), or is not what `--schema`, `--grammar` or `-x` asked for",
    ),
    Code::new(UNSURE, "unsure", "`decide` is unsure (with `--unsure`)"),
    Code::new(SOFTWARE, "no_answer", "`decide` failed (its 1 means no), or the CPU lacks what beastctl was built for"),
    Code::new(BUSY, "busy", "busy or shutting down; the same command may succeed later"),
    Code::new(INTERRUPTED, "interrupted", "Ctrl-C"),
];

impl Code {
    const fn new(number: u8, word: &'static str, meaning: &'static str) -> Self {
        Self { number, word, meaning }
    }
}

/// An error that can end a run.
pub trait Failing: Error + Send + Sync + 'static {
    fn exit_code(&self) -> u8 {
        self.passed_on().map_or(FAILED, |error| error.exit_code())
    }

    /// What to do next, a command or an imperative. Only for errors where it depends on the cause, which is printed
    /// before it. All others have it in their message.
    fn hint(&self) -> Option<String> {
        self.passed_on()?.hint()
    }

    /// A one-word reason for programs, if it says more than the exit code.
    fn word(&self) -> Option<String> {
        self.passed_on()?.word()
    }

    /// The error of another room, if this one only wraps it.
    fn passed_on(&self) -> Option<&dyn Failing> {
        None
    }
}

/// Why a run failed: an error of any room, and the context in which it occurred.
pub struct Failure {
    error: Box<dyn Failing>,
    /// Outermost last.
    doing: Vec<String>,
    /// Overrides the error's own.
    code: Option<u8>,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl<E: Failing> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), doing: Vec::new(), code: None }
    }
}

impl Failure {
    pub fn context(mut self, doing: impl Display) -> Self {
        self.doing.push(doing.to_string());
        self
    }

    /// The error of this type, whether it is the error itself or wrapped.
    pub fn find<E: Failing>(&self) -> Option<&E> {
        let causes = std::iter::successors(Some(&*self.error), |error| error.passed_on());
        causes.map(|error| error as &dyn Error).find_map(|error| error.downcast_ref())
    }

    pub fn is<E: Failing>(&self) -> bool {
        self.find::<E>().is_some()
    }

    /// Overrides the error's exit code.
    pub fn with_code(mut self, code: u8) -> Self {
        self.code = Some(code);
        self
    }

    pub fn code(&self) -> u8 {
        self.code.unwrap_or_else(|| self.error.exit_code())
    }

    /// The line to print, or `None` if there is nothing to say.
    pub fn line(&self) -> Option<String> {
        if self.is::<AlreadyTold>() || matches!(self.code(), DONE | INTERRUPTED) {
            return None;
        }
        Some(self.advised().to_string())
    }

    /// Context, error and causes, and what to do next.
    pub fn advised(&self) -> Advised {
        Advised::new(&self.to_string()).or_try(|| self.error.hint())
    }

    /// A one-word reason for programs: the daemon's own if it refused, else the meaning of the exit code.
    pub fn word(&self) -> String {
        self.error.word().unwrap_or_else(|| of_code(self.code()).into())
    }
}

/// Context, error and causes on one line.
impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for doing in self.doing.iter().rev() {
            write!(f, "{doing}: ")?;
        }
        write!(f, "{}", self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.doing, self.error)
    }
}

pub trait During<T> {
    fn context(self, doing: impl Display) -> Result<T>;

    /// The same, computed lazily.
    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Failure>> During<T> for std::result::Result<T, E> {
    fn context(self, doing: impl Display) -> Result<T> {
        self.map_err(|error| error.into().context(doing))
    }

    fn with_context<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
    }
}

/// A run of several questions or checks failed with this code; each failure has been reported already.
#[derive(Debug, thiserror::Error)]
#[error("some questions were not answered")]
pub struct AlreadyTold(pub u8);

impl Failing for AlreadyTold {
    fn exit_code(&self) -> u8 {
        self.0
    }
}

impl Failing for io::Error {
    fn hint(&self) -> Option<String> {
        Some(advice::system(self))
    }
}

/// Includes help and version: the parser's messages are worded where they are printed.
impl Failing for clap::Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

impl Failing for PathError {
    fn exit_code(&self) -> u8 {
        UNREACHABLE
    }
}

impl Failing for SocketError {
    fn exit_code(&self) -> u8 {
        UNREACHABLE
    }
}

pub fn of_wire(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::TooLong => TOO_LONG,
        ErrorCode::Overloaded | ErrorCode::ShuttingDown => BUSY,
        // A schema or grammar that only the daemon can check is a usage error too.
        ErrorCode::Invalid => USAGE,
        ErrorCode::ModelUnavailable | ErrorCode::Engine | ErrorCode::Protocol | ErrorCode::Internal => FAILED,
    }
}

/// The meaning of an exit code in one word.
pub fn of_code(number: u8) -> &'static str {
    CODES.iter().find(|code| code.number == number).map_or("failed", |code| code.word)
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "exit/texts_tests.rs"]
mod texts;
