//! Why there is no decision.

use std::path::{Path, PathBuf};

use crate::exit::{self, Failing, advice};

/// Why there is no decision.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// Options that are none.
    #[error("invalid --choice: {0}")]
    Choice(&'static str),
    /// A question of nothing but blanks.
    #[error("the question is empty")]
    NoQuestion,
    /// More than one question for examples that name none.
    #[error("examples can have one question, and {0} are given")]
    Questions(usize),
    /// The file of examples cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// A line of it that is no example.
    #[error("line {line} of {} is no example: {why}", path.display())]
    Example { path: PathBuf, line: usize, why: String },
    /// Too few to learn from.
    #[error("{} has {n} examples; at least {least} are needed", path.display())]
    TooFew { path: PathBuf, n: usize, least: usize },
}

impl Failing for DecideError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }

    fn hint(&self) -> Option<String> {
        let example = r#"a line like {"text": "I love it", "label": "yes"}"#;
        Some(match self {
            DecideError::Choice(_) => "--choice bug,feature,question".into(),
            DecideError::NoQuestion => "beastctl decide 'QUESTION'".into(),
            DecideError::Questions(_) => "one QUESTION".into(),
            DecideError::Unreadable { path, source } => advice::reading(Path::new(path), source),
            DecideError::Example { .. } => example.into(),
            DecideError::TooFew { .. } => "more examples".into(),
        })
    }
}
