//! The form of every message to a person: what happened, then the step that helps.
//!
//! An error is worded by its own room, often as one text. This is the only place that knows what separates the two
//! halves, for whoever shows them apart or adds a step where there is none.

use std::fmt::{self, Display};

const SEPARATOR: &str = "; try: ";

/// A message and its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advised {
    pub text: String,
    /// A command or an imperative.
    pub step: Option<String>,
}

impl Advised {
    /// Takes a message apart. Of several steps, as when one program quotes another, the first counts.
    pub fn new(message: &str) -> Self {
        let mut parts = message.split(SEPARATOR);
        Self { text: parts.next().unwrap_or_default().to_owned(), step: parts.next().map(str::to_owned) }
    }

    /// Adds a step if the message has none: its own knows the cause better.
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
