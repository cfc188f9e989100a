//! The form of every message to the user: what happened, then what to do.
//!
//! Errors are worded by their own rooms, usually as one text. Only this file knows the separator between the two
//! halves, for code that shows them apart or adds a missing step.

use std::fmt::{self, Display};

const SEPARATOR: &str = "; try: ";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advised {
    pub text: String,
    /// A command or an imperative.
    pub step: Option<String>,
}

impl Advised {
    /// Splits a message. If it has several steps, because one program quotes another, the first counts.
    pub fn new(message: &str) -> Self {
        let mut parts = message.split(SEPARATOR);
        Self { text: parts.next().unwrap_or_default().to_owned(), step: parts.next().map(str::to_owned) }
    }

    /// Adds a step if the message has none; its own step knows the cause better.
    #[must_use]
    pub fn or_try(self, step: impl FnOnce() -> Option<String>) -> Self {
        Self { step: self.step.or_else(step), ..self }
    }
}

impl Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.step.as_ref().map_or(Ok(()), |step| write!(f, "{SEPARATOR}{step}"))
    }
}

#[cfg(test)]
#[path = "advised_tests.rs"]
mod tests;
