//! Prompts by name: those built in, and the user's own, which win.
//!
//! A prompt is a Markdown file. Its text is the instruction; a block of YAML before it, between two lines `---`, holds the
//! settings ([`front_matter`]). Whatever can be wrong with a file is found when it is loaded, and told with its line.

mod catalogue;
mod file;
mod front_matter;
mod parts;
mod schema;
mod variables;
mod yaml;

use std::{io, path::PathBuf};

use beast_launchd::paths::{self, PathError};
use beast_protocol::Sampling;

use crate::{
    exit::{self, Failing, advice},
    text::{did_you_mean, quoted, some},
};

pub use catalogue::{Entry, Origin, Source, check_name, find, is_built_in, list, load, names, own_file};
pub use variables::Variable;

/// Why a prompt cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A name that would lead out of the folder, or could not be typed.
    #[error("`{0}` is not a name of a prompt")]
    Name(String),
    /// There is none.
    #[error("there is no prompt `{name}`{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The most similar one.
        nearest: Option<String>,
        /// All there are.
        all: Vec<String>,
    },
    /// The user's file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The user's file makes no sense.
    #[error("{file}:{line}: {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
        /// What to do about it.
        hint: String,
    },
    /// The first word of a command line.
    #[error("unknown command `{word}`{}", did_you_mean(nearest.as_deref()))]
    NoCommand {
        /// Neither a command nor a prompt.
        word: String,
        /// The most similar of both.
        nearest: Option<String>,
    },
    /// `--param` names a variable that the prompt has not.
    #[error("the prompt `{prompt}` has no variable `{key}`{}", did_you_mean(nearest.as_deref()))]
    UnknownVariable {
        /// The prompt.
        prompt: String,
        /// What was given.
        key: String,
        /// The most similar variable.
        nearest: Option<String>,
        /// All there are.
        all: Vec<String>,
    },
    /// A variable without a default was not given.
    #[error("the prompt `{prompt}` needs a value for {}", .keys.join(", "))]
    MissingVariables {
        /// The prompt.
        prompt: String,
        /// Which ones.
        keys: Vec<String>,
    },
    /// A variable was given nothing.
    #[error("the value of `{key}` is empty, and the prompt `{prompt}` needs one")]
    EmptyVariable {
        /// The prompt.
        prompt: String,
        /// The variable.
        key: String,
    },
    /// Without a home there is no folder for prompts.
    #[error(transparent)]
    NoFolder(#[from] PathError),
    /// `prompts new` never overwrites.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// The prompt's name.
        name: String,
    },
    /// A command has this name, so the prompt could not be called by it.
    #[error("`{0}` is a command")]
    Reserved(String),
    /// A new prompt may not take the place of a built-in one by accident.
    #[error("the prompt `{0}` is built in")]
    BuiltIn(String),
    /// A built-in prompt that the user has no file of.
    #[error("the prompt `{0}` is built in and has no file")]
    NoFile(String),
    /// The user's file cannot be written.
    #[error("cannot write {}", .path.display())]
    Unwritable {
        /// The file or its folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The editor did not do its work.
    #[error("the editor `{editor}` {problem}")]
    Editor {
        /// Its command.
        editor: String,
        /// What happened.
        problem: String,
    },
}

impl Failing for PromptError {
    fn exit_code(&self) -> u8 {
        match self {
            PromptError::Unwritable { .. } | PromptError::Editor { .. } => exit::FAILED,
            _ => exit::USAGE,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            PromptError::Name(_) => {
                "a name without `/` that begins with a letter or digit; the file NAME.md is found by it".into()
            }
            PromptError::Unknown { name, all, .. } => {
                format!("one of {}, or beastctl prompts new {}", some(all), quoted(name))
            }
            PromptError::NoCommand { .. } => {
                "beastctl --help for the commands, beastctl prompts for the prompts".into()
            }
            PromptError::Malformed { hint, .. } => hint.clone(),
            PromptError::UnknownVariable { all, .. } if all.is_empty() => "without -p: it has none".into(),
            PromptError::UnknownVariable { all, .. } => format!("one of {}", all.join(", ")),
            PromptError::MissingVariables { keys, .. } => {
                let given: Vec<_> = keys.iter().map(|key| format!("-p {key}=VALUE")).collect();
                given.join(" ")
            }
            PromptError::EmptyVariable { key, .. } => format!("-p {key}=VALUE"),
            PromptError::Exists { name, .. } => format!("beastctl prompts edit {}", quoted(name)),
            PromptError::Reserved(_) => "another name".into(),
            PromptError::BuiltIn(name) => {
                format!("beastctl prompts edit {name} for a copy to change, or another name")
            }
            PromptError::NoFile(name) => {
                format!("beastctl prompts show {name}, or beastctl prompts edit {name} for a copy of your own")
            }
            PromptError::Editor { .. } => "EDITOR=nano, or any other that is installed".into(),
            PromptError::Unreadable { path, source } if source.kind() == io::ErrorKind::IsADirectory => {
                advice::in_the_way(path)
            }
            PromptError::Unreadable { path, source } => advice::reading(path, source),
            PromptError::Unwritable { path, source } => advice::writing(path, source),
            // Its text ends with it.
            PromptError::NoFolder(_) => return None,
        })
    }
}

/// Where the user's own prompts are.
///
/// # Errors
/// [`PathError`] when there is no home.
pub fn folder() -> Result<PathBuf, PathError> {
    Ok(paths::config_dir()?.join("prompts"))
}

/// What is wrong in a file, and where.
#[derive(Debug, PartialEq, Eq)]
struct Mistake {
    /// From 1.
    line: usize,
    problem: String,
    /// What to do, when it is something else than to mend that line.
    hint: Option<String>,
}

impl Mistake {
    fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What a prompt sets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt {
    /// What it is called by.
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
    /// A JSON schema that the answer has to satisfy, as JSON text.
    pub schema: Option<String>,
    /// How answers to parts of a long input become one: the instruction for that, empty for the prompt's own; `None` refuses long input.
    pub reduce: Option<String>,
}

impl Prompt {
    /// The prompt with values in place of its variables.
    ///
    /// # Errors
    /// [`PromptError::UnknownVariable`] and [`PromptError::MissingVariables`].
    pub fn fill(mut self, given: &[(String, String)]) -> Result<Self, PromptError> {
        let values = variables::values(&self, given)?;
        for text in [&mut self.system, &mut self.instruction].into_iter().chain(&mut self.reduce) {
            *text = variables::fill(text, &values);
        }
        Ok(self)
    }

    /// The prompt with another instruction in place of all that it says itself. What is given for its variables is still
    /// checked: a wrong name is a slip, whether the value is used or not.
    ///
    /// # Errors
    /// [`PromptError::UnknownVariable`].
    pub fn replace(self, system: &str, given: &[(String, String)]) -> Result<Self, PromptError> {
        variables::check_given(&self, given)?;
        // Instructions for merging answers to another instruction would not fit: the new one merges them too.
        let reduce = self.reduce.map(|_| String::new());
        Ok(Self { system: system.to_owned(), instruction: String::new(), reduce, ..self })
    }
}
