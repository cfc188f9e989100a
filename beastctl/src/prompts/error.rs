//! Why a prompt cannot be used or written.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
};

use beast_launchd::paths::PathError;

use crate::{
    exit::{self, Failing, advice},
    text::{did_you_mean, quoted, some},
};

#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// The name would lead outside the folder, or could not be typed.
    #[error(
        "invalid prompt name `{0}`; try: use a name without `/` that starts with a letter or digit; its file is NAME.md"
    )]
    Name(String),
    #[error(
        "no prompt `{name}`{}; try: use one of {}, or beastctl prompts new {}",
        did_you_mean(nearest.as_deref()), some(all), quoted(name)
    )]
    Unknown { name: String, nearest: Option<String>, all: Vec<String> },
    #[error("cannot read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The line counts from 1.
    #[error("{file}:{line}: {problem}")]
    Malformed { file: String, line: usize, problem: String, hint: String },
    /// The first word of the command line.
    #[error(
        "unknown command `{word}`{}; try: beastctl --help for commands, beastctl prompts for prompts",
        did_you_mean(nearest.as_deref())
    )]
    NoCommand { word: String, nearest: Option<String> },
    #[error(
        "the prompt `{prompt}` has no variable `{key}`{}; try: {}",
        did_you_mean(nearest.as_deref()), one_of_variables(all)
    )]
    UnknownVariable { prompt: String, key: String, nearest: Option<String>, all: Vec<String> },
    #[error("the prompt `{prompt}` needs a value for {}; try: {}", .keys.join(", "), with_values(keys))]
    MissingVariables { prompt: String, keys: Vec<String> },
    #[error("the value of `{key}` is empty, but the prompt `{prompt}` needs one; try: -p {key}=VALUE")]
    EmptyVariable { prompt: String, key: String },
    /// Without a home folder there is no folder for prompts.
    #[error(transparent)]
    NoFolder(#[from] PathError),
    #[error("{} exists already; try: beastctl prompts edit {}", .path.display(), quoted(name))]
    Exists { path: PathBuf, name: String },
    /// A command has this name, so the prompt could not be called by it.
    #[error("`{0}` is a command; try: use another name")]
    Reserved(String),
    #[error("the text of `{0}` is empty; try: beastctl prompts new {0} 'Write a haiku about the input.'")]
    NoText(String),
    /// A new prompt must not override a built-in one by accident.
    #[error("the prompt `{0}` is built in; try: edit a copy with beastctl prompts edit {0}, or use another name")]
    BuiltIn(String),
    #[error(
        "the prompt `{0}` is built in and has no file; try: beastctl prompts show {0}, or beastctl prompts edit {0} to \
         create your own copy"
    )]
    NoFile(String),
    /// The user's file or its folder cannot be written.
    #[error("cannot write {}", .path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    /// An editor would have no terminal. `is_own` says whether the prompt is one of the user's files.
    #[error(
        "cannot open an editor: stdin, stdout and stderr must be a terminal; try: {}",
        without_editor(name, *is_own)
    )]
    NoTerminal { name: String, is_own: bool },
}

impl Failing for PromptError {
    fn exit_code(&self) -> u8 {
        match self {
            PromptError::Unwritable { .. } => exit::FAILED,
            _ => exit::USAGE,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PromptError::Malformed { hint, .. } => Some(hint.clone()),
            PromptError::Unreadable { path, source } if source.kind() == ErrorKind::IsADirectory => {
                Some(advice::in_the_way(path))
            }
            PromptError::Unreadable { path, source } => Some(advice::reading(path, source)),
            PromptError::Unwritable { path, source } => Some(advice::writing(path, source)),
            _ => None,
        }
    }
}

fn one_of_variables(all: &[String]) -> String {
    if all.is_empty() { "leave out -p: it has no variables".into() } else { format!("use one of {}", all.join(", ")) }
}

fn with_values(keys: &[String]) -> String {
    keys.iter().map(|key| format!("-p {key}=VALUE")).collect::<Vec<_>>().join(" ")
}

fn without_editor(name: &str, is_own: bool) -> String {
    let name = quoted(name);
    match is_own {
        true => format!("beastctl prompts path {name}, for the file to change"),
        false => format!("beastctl prompts new {name} --from {name}, for a copy to change"),
    }
}
