//! Errors of `decide`, with their hints.

use std::path::{Path, PathBuf};

use crate::{
    exit::{self, Failing, advice},
    text::quoted,
};

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// The values of `--choice` are unusable.
    #[error("invalid --choice: {0}")]
    Choice(&'static str),
    /// The question is blank.
    #[error("the question is empty")]
    NoQuestion,
    /// The question is a file's name: it would be decided without reading the file.
    #[error("{} is a file, not a question", .0.display())]
    IsFile(PathBuf),
    /// `--calibrate` takes a single question.
    #[error("--calibrate takes one question, not {0}")]
    Questions(usize),
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// A line of the file of examples is unusable.
    #[error("invalid example in line {line} of {}: {why}", path.display())]
    Example { path: PathBuf, line: usize, why: String },
    #[error("too few examples in {}: {n}, and at least {least} are needed", path.display())]
    TooFew { path: PathBuf, n: usize, least: usize },
    /// The daemon's answers do not fit the questions.
    #[error("invalid response from beastd: the answers do not match the questions")]
    Mismatch,
}

impl Failing for DecideError {
    fn exit_code(&self) -> u8 {
        match self {
            DecideError::Mismatch => exit::SOFTWARE,
            _ => exit::USAGE,
        }
    }

    fn hint(&self) -> Option<String> {
        let example = r#"write lines such as {"text": "I love it", "label": "yes"}"#;
        Some(match self {
            DecideError::Choice(_) => "use 2 to 26 distinct answers, such as --choice bug,feature,question".into(),
            DecideError::NoQuestion => "beastctl decide 'QUESTION'".into(),
            DecideError::IsFile(path) => format!("beastctl decide -f {} QUESTION", quoted(&path.display().to_string())),
            DecideError::Questions(_) => "give one QUESTION, or a `question` in each line of the file".into(),
            DecideError::Unreadable { path, source } => advice::reading(Path::new(path), source),
            DecideError::Example { .. } => example.into(),
            DecideError::TooFew { .. } => "add more examples".into(),
            DecideError::Mismatch => "beastctl stop, then repeat the command".into(),
        })
    }
}
