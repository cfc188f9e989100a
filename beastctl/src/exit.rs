//! Exit codes, and what a failed run says. It knows no room: each room's error says its own code and advice
//! ([`Failing`]).

pub mod advice;

use std::{
    error::Error,
    fmt::{self, Display},
    io,
};

use beast_launchd::{SocketError, paths::PathError};
use beast_protocol::ErrorCode;

/// Done; also when the reader of stdout had seen enough.
pub const DONE: u8 = 0;
/// The request failed.
pub const FAILED: u8 = 1;
/// The command line or its input makes no sense.
pub const USAGE: u8 = 2;
/// The daemon cannot be reached, or is of another version.
pub const UNREACHABLE: u8 = 3;
/// The input does not fit.
pub const TOO_LONG: u8 = 4;
/// The answer was cut, under `--strict` or where half of it is worth nothing.
pub const CUT: u8 = 5;
/// `decide` answers no: [`FAILED`] means that there and nothing else.
pub const NO: u8 = FAILED;
/// `decide` cannot tell, under `--unsure`.
pub const UNSURE: u8 = 6;
/// `decide` has failed where others say [`FAILED`] (`EX_SOFTWARE`).
pub const SOFTWARE: u8 = 70;
/// The daemon is busy or going away; the same request may succeed later (`EX_TEMPFAIL`).
pub const BUSY: u8 = 75;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Between what went wrong and what to do about it.
const STEP: &str = "; try: ";

/// An error that can end a run.
pub trait Failing: Error + Send + Sync + 'static {
    /// One of the codes above.
    fn exit_code(&self) -> u8;

    /// What to do next: an imperative or a command. `None` where the text says it already.
    fn hint(&self) -> Option<String>;

    /// What went wrong in a word, for programs, where that says more than the exit code.
    fn word(&self) -> Option<String> {
        None
    }

    /// The error of another room that this one only passes on.
    fn passed_on(&self) -> Option<&dyn Failing> {
        None
    }
}

/// Why a run failed: an error of any room, and what was being done when it came.
pub struct Failure {
    error: Box<dyn Failing>,
    /// The outermost last.
    doing: Vec<String>,
    /// In place of the error's own.
    code: Option<u8>,
}

/// What commands return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl<E: Failing> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), doing: Vec::new(), code: None }
    }
}

impl Failure {
    /// Says what was being done.
    pub fn context(mut self, doing: impl Display) -> Self {
        self.doing.push(doing.to_string());
        self
    }

    /// The error of this type: it, or one that it passes on.
    pub fn find<E: Failing>(&self) -> Option<&E> {
        let causes = std::iter::successors(Some(&*self.error), |error| error.passed_on());
        causes.map(|error| error as &dyn Error).find_map(|error| error.downcast_ref())
    }

    /// Whether the error is one of this type.
    pub fn is<E: Failing>(&self) -> bool {
        self.find::<E>().is_some()
    }

    /// Ends the run with this code in place of the error's own.
    pub fn with_code(mut self, code: u8) -> Self {
        self.code = Some(code);
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code.unwrap_or_else(|| self.error.exit_code())
    }

    /// The line to print, or `None` when there is nothing to say.
    pub fn line(&self) -> Option<String> {
        if self.is::<AlreadyTold>() || matches!(self.code(), DONE | INTERRUPTED) {
            return None;
        }
        let mut line = self.to_string();
        // One next step is enough: what comes from the daemon, or from another program of ours, has its own.
        match line.match_indices(STEP).map(|(at, _)| at).nth(1) {
            Some(second) => line.truncate(second),
            None if line.contains(STEP) => {}
            None => line.extend(self.error.hint().map(|hint| format!("{STEP}{hint}"))),
        }
        Some(line)
    }

    /// What went wrong in a word, for programs: the daemon's own where it refused, else what the exit code means.
    pub fn word(&self) -> String {
        self.error.word().unwrap_or_else(|| of_code(self.code()).into())
    }
}

/// What was being done, the error, and its causes, all on one line.
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

/// Results that can say what was being done.
pub trait During<T> {
    /// Says it.
    fn context(self, doing: impl Display) -> Result<T>;

    /// The same where it costs something to say it.
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

/// A run of several questions (of a person or of the doctor) has failed with this code, and each failure was told when
/// it came.
#[derive(Debug, thiserror::Error)]
#[error("not every question was answered")]
pub struct AlreadyTold(pub u8);

impl Failing for AlreadyTold {
    fn exit_code(&self) -> u8 {
        self.0
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

impl Failing for io::Error {
    fn exit_code(&self) -> u8 {
        FAILED
    }

    fn hint(&self) -> Option<String> {
        Some(advice::system(self))
    }
}

/// Help and version among them: the parser's messages are worded where they are printed.
impl Failing for clap::Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

/// It says at its end what to do.
impl Failing for PathError {
    fn exit_code(&self) -> u8 {
        UNREACHABLE
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

/// It says at its end what to do.
impl Failing for SocketError {
    fn exit_code(&self) -> u8 {
        UNREACHABLE
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

/// The exit code of what the daemon answers when a request fails.
pub fn of_wire(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::TooLong => TOO_LONG,
        ErrorCode::Overloaded | ErrorCode::ShuttingDown => BUSY,
        // A schema or a grammar that only the daemon can judge is as much a matter of usage as one that is no JSON.
        ErrorCode::Invalid => USAGE,
        ErrorCode::ModelUnavailable | ErrorCode::Engine | ErrorCode::Protocol | ErrorCode::Internal => FAILED,
    }
}

/// What an exit code means, in a word.
pub fn of_code(code: u8) -> &'static str {
    match code {
        DONE => "done",
        USAGE => "usage",
        UNREACHABLE => "unreachable",
        TOO_LONG => "too_long",
        CUT => "cut",
        UNSURE => "unsure",
        BUSY => "busy",
        INTERRUPTED => "interrupted",
        _ => "failed",
    }
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "exit/texts_tests.rs"]
mod texts;
