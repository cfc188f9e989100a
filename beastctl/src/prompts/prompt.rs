//! A prompt: its settings, and its texts with variables filled in.

use std::path::PathBuf;

use beast_launchd::paths::{self, PathError};
use beast_protocol::Sampling;

use super::{error::PromptError, variables::Variable};

/// The folder of the user's own prompts.
///
/// # Errors
/// [`PathError`] if there is no home folder.
pub fn folder() -> Result<PathBuf, PathError> {
    Ok(paths::config_dir()?.join("prompts"))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The line, counted from 1.
    pub(super) line: usize,
    pub(super) problem: String,
    /// Advice, if it is anything but fixing that line.
    pub(super) hint: Option<String>,
}

impl Mistake {
    pub(super) fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    pub name: String,
    /// The system turn; it may be empty.
    pub system: String,
    /// Text at the beginning of the user turn, before the material; usually empty.
    pub instruction: String,
    /// A description on one line, for lists.
    pub description: Option<String>,
    /// Name of the model that it is for, which the command line overrides.
    pub model: Option<String>,
    /// The variables `{{NAME}}` in its texts.
    pub variables: Vec<Variable>,
    /// Sampling parameters, which the command line overrides.
    pub sampling: Sampling,
    /// Its token limit for the answer, which the command line overrides.
    pub max_tokens: Option<u32>,
    /// Where its answers should begin to end.
    pub soft_limit: Option<SoftLimit>,
    /// Whether to leave out copies of a sentence before the soft limit as well.
    pub distinct: bool,
    /// Its stop strings, which the command line overrides.
    pub stop: Vec<String>,
    /// Whether only the first line of the answer is wanted.
    pub one_line: bool,
    /// Whether the model thinks first, which the command line overrides; `None` for the model's default.
    pub think: Option<bool>,
    /// A JSON schema for the answer, as JSON text.
    pub schema: Option<String>,
    /// The instruction for merging answers to the parts of a long input, empty for the prompt's own; `None` refuses
    /// long input.
    pub reduce: Option<String>,
}

/// Where answers should begin to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoftLimit {
    /// After this many tokens, fewer than `max_tokens`.
    Tokens(u32),
    /// When they are clearly longer than the material.
    Input,
}

impl SoftLimit {
    /// Tokens that even the answer to a short text may have.
    const LEAST: u32 = 64;
    /// Bytes of material for each token of the answer. English text has four bytes per token, code and other scripts
    /// two to three.
    const BYTES_PER_TOKEN: usize = 2;

    /// In tokens, for material of `n_bytes`.
    pub fn tokens(self, n_bytes: usize) -> u32 {
        match self {
            Self::Tokens(n) => n,
            Self::Input => {
                Self::LEAST.saturating_add(u32::try_from(n_bytes / Self::BYTES_PER_TOKEN).unwrap_or(u32::MAX))
            }
        }
    }
}

impl Prompt {
    /// Replaces the variables by their values.
    pub fn fill(mut self, given: &[(String, String)]) -> Result<Self, PromptError> {
        let values = super::variables::values(&self, given)?;
        for text in [&mut self.system, &mut self.instruction].into_iter().chain(&mut self.reduce) {
            *text = super::variables::fill(text, &values);
        }
        Ok(self)
    }

    /// Replaces all of the prompt's texts by another instruction. The values for its variables are checked all the
    /// same, because a wrong name is a typo even if it has no effect.
    pub fn replace(self, system: &str, given: &[(String, String)]) -> Result<Self, PromptError> {
        super::variables::check_given(&self, given)?;
        // The prompt's own merging instruction would not fit the new one, which therefore merges as well.
        let reduce = self.reduce.map(|_| String::new());
        // The new instruction may need more than one line.
        Ok(Self { system: system.to_owned(), instruction: String::new(), reduce, one_line: false, ..self })
    }
}
