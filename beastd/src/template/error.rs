//! Why a template produced no text, and what to try. Renders nothing.

use std::fmt;

use beast_protocol::{Message, Role};
use minijinja::{Error, ErrorKind};

/// Why a template produced no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// The template rejected the conversation, with this message.
    Refused(String),
    /// The template uses something that Jinja in Python has and beastd lacks, or that does not exist.
    Unsupported(String),
    /// It is not valid Jinja.
    Invalid(String),
    /// It is too large, nests too deep, takes too many steps or produces too much text.
    TooComplex(String),
    /// It failed at run time, for example on a missing value.
    Failed(String),
}

/// The source of an error that the template itself raised.
#[derive(Debug)]
pub(super) struct Raised;

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("raised by the template")
    }
}

impl std::error::Error for Raised {}

impl TemplateError {
    /// Classifies an error of Jinja.
    pub(super) fn of(error: &Error) -> Self {
        let innermost = innermost(error);
        let detail = innermost.detail().map_or_else(|| innermost.kind().to_string(), str::to_owned);
        if is_raised(innermost) {
            return Self::Refused(detail);
        }
        let line = innermost.line().or_else(|| error.line()).map_or(String::new(), |line| format!(", line {line}"));
        match innermost.kind() {
            ErrorKind::UnknownFunction
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownMethod => Self::Unsupported(format!("{}: {detail}{line}", innermost.kind())),
            ErrorKind::SyntaxError | ErrorKind::BadEscape => Self::Invalid(format!("{detail}{line}")),
            ErrorKind::OutOfFuel => Self::TooComplex("it takes too many steps".into()),
            ErrorKind::WriteFailure => Self::TooComplex("it produces too much text".into()),
            kind if innermost.detail().is_some() => Self::Failed(format!("{kind}: {detail}{line}")),
            kind => Self::Failed(format!("{kind}{line}")),
        }
    }

    /// What to try next, given this conversation.
    pub fn advice(&self, messages: &[Message]) -> &'static str {
        let has_system = messages.iter().any(|message| message.role == Role::System);
        match self {
            Self::Refused(_) if has_system => "leave out the system message (-s)",
            Self::Refused(_) => "change the order of the messages, or use another model",
            _ => "use another model, or a newer file of this one",
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(words) => write!(f, "it refuses this conversation: {words}"),
            Self::Unsupported(what) => write!(f, "beastd does not support what it uses: {what}"),
            Self::Invalid(why) => write!(f, "invalid Jinja: {why}"),
            Self::TooComplex(why) => write!(f, "too complex: {why}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for TemplateError {}

/// The original error: errors in a macro or block are wrapped.
fn innermost(error: &Error) -> &Error {
    let mut inner = error;
    while let Some(next) = std::error::Error::source(inner).and_then(|source| source.downcast_ref::<Error>()) {
        inner = next;
    }
    inner
}

fn is_raised(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<Raised>())
}
