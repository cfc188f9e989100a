//! Why a prompt cannot be used or written.

use std::{io, path::PathBuf};

use beast_launchd::paths::PathError;

use crate::{
    exit::{self, Failing, advice},
    text::{did_you_mean, quoted, some},
};

#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A name that would lead out of the folder, or could not be typed.
    #[error("invalid prompt name `{0}`")]
    Name(String),
    /// There is none.
    #[error("no prompt `{name}`{}", did_you_mean(nearest.as_deref()))]
    Unknown { name: String, nearest: Option<String>, all: Vec<String> },
    /// The user's file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The user's file makes no sense.
    #[error("{file}:{line}: {problem}")]
    Malformed {
        file: String,
        /// The line, from 1.
        line: usize,
        problem: String,
        hint: String,
    },
    /// The first word of a command line.
    #[error("unknown command `{word}`{}", did_you_mean(nearest.as_deref()))]
    NoCommand { word: String, nearest: Option<String> },
    /// `--param` names a variable that the prompt has not.
    #[error("the prompt `{prompt}` has no variable `{key}`{}", did_you_mean(nearest.as_deref()))]
    UnknownVariable { prompt: String, key: String, nearest: Option<String>, all: Vec<String> },
    /// A variable without a default was not given.
    #[error("the prompt `{prompt}` needs a value for {}", .keys.join(", "))]
    MissingVariables { prompt: String, keys: Vec<String> },
    /// A variable was given nothing.
    #[error("the value of `{key}` is empty, but the prompt `{prompt}` needs one")]
    EmptyVariable { prompt: String, key: String },
    /// Without a home there is no folder for prompts.
    #[error(transparent)]
    NoFolder(#[from] PathError),
    /// `prompts new` never overwrites.
    #[error("{} exists already", .path.display())]
    Exists { path: PathBuf, name: String },
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
        source: io::Error,
    },
    /// An editor has nobody to talk to.
    #[error("cannot open an editor: stdin, stdout and stderr must be a terminal")]
    NoTerminal {
        /// The prompt's name.
        name: String,
        /// Whether it is a file of the user's.
        is_own: bool,
    },
    /// The editor did not do its work.
    #[error("the editor `{editor}` {problem}")]
    Editor { editor: String, problem: String },
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
                "use a name without `/` that starts with a letter or digit; its file is NAME.md".into()
            }
            PromptError::Unknown { name, all, .. } => {
                format!("use one of {}, or beastctl prompts new {}", some(all), quoted(name))
            }
            PromptError::NoCommand { .. } => "beastctl --help for commands, beastctl prompts for prompts".into(),
            PromptError::Malformed { hint, .. } => hint.clone(),
            PromptError::UnknownVariable { all, .. } if all.is_empty() => "leave out -p: it has no variables".into(),
            PromptError::UnknownVariable { all, .. } => format!("use one of {}", all.join(", ")),
            PromptError::MissingVariables { keys, .. } => {
                let given: Vec<_> = keys.iter().map(|key| format!("-p {key}=VALUE")).collect();
                given.join(" ")
            }
            PromptError::EmptyVariable { key, .. } => format!("-p {key}=VALUE"),
            PromptError::Exists { name, .. } => format!("beastctl prompts edit {}", quoted(name)),
            PromptError::Reserved(_) => "use another name".into(),
            PromptError::BuiltIn(name) => {
                format!("edit a copy with beastctl prompts edit {name}, or use another name")
            }
            PromptError::NoFile(name) => {
                format!("beastctl prompts show {name}, or beastctl prompts edit {name} to create your own copy")
            }
            PromptError::NoTerminal { name, is_own: true } => {
                format!("beastctl prompts path {}, for the file to change", quoted(name))
            }
            PromptError::NoTerminal { name, is_own: false } => {
                format!("beastctl prompts new {0} --from {0}, for a copy to change", quoted(name))
            }
            PromptError::Editor { .. } => "set EDITOR=nano, or another installed editor".into(),
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
