//! A prompt: its settings, and its texts with variables filled in.

use std::path::PathBuf;

use beast_launchd::paths::{self, PathError};
use beast_protocol::Sampling;

use super::{error::PromptError, variables::Variable};

/// Where the user's own prompts are.
///
/// # Errors
/// [`PathError`] when there is no home.
pub fn folder() -> Result<PathBuf, PathError> {
    Ok(paths::config_dir()?.join("prompts"))
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// From 1.
    pub(super) line: usize,
    pub(super) problem: String,
    /// What to do, when it is something else than to mend that line.
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
    /// What opens the user turn, before the material; mostly empty.
    pub instruction: String,
    /// One line about it, for lists.
    pub description: Option<String>,
    /// What `{{NAME}}` stands for in its texts.
    pub variables: Vec<Variable>,
    /// How tokens are chosen, unless the command line says it.
    pub sampling: Sampling,
    /// Its own limit of the answer, unless the command line has one.
    pub max_tokens: Option<u32>,
    /// The answer ends before the first of these texts, unless the command line has its own.
    pub stop: Vec<String>,
    /// Whether only the first line of the answer is wanted.
    pub one_line: bool,
    /// Whether the model thinks first, unless the command line says it; `None` for its own habit.
    pub think: Option<bool>,
    /// A JSON schema that the answer has to satisfy, as JSON text.
    pub schema: Option<String>,
    /// How answers to parts of a long input become one: the instruction for that, empty for the prompt's own; `None`
    /// refuses long input.
    pub reduce: Option<String>,
}

impl Prompt {
    /// The prompt with values in place of its variables.
    pub fn fill(mut self, given: &[(String, String)]) -> Result<Self, PromptError> {
        let values = super::variables::values(&self, given)?;
        for text in [&mut self.system, &mut self.instruction].into_iter().chain(&mut self.reduce) {
            *text = super::variables::fill(text, &values);
        }
        Ok(self)
    }

    /// The prompt with another instruction in place of all that it says itself. What is given for its variables is
    /// still checked: a wrong name is a slip, whether the value is used or not.
    pub fn replace(self, system: &str, given: &[(String, String)]) -> Result<Self, PromptError> {
        super::variables::check_given(&self, given)?;
        // Instructions for merging answers to another instruction would not fit: the new one merges them too.
        let reduce = self.reduce.map(|_| String::new());
        // What was asked for before fits in a line; what is asked for now may not.
        Ok(Self { system: system.to_owned(), instruction: String::new(), reduce, one_line: false, ..self })
    }
}
