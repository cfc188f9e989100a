//! All prompts, and the file of a prompt by its name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    error::PromptError,
    file::{self, FileError},
    front_matter,
    prompt::{Mistake, Prompt},
};
use crate::text::{excerpt, nearest, quoted};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../prompts/", $name, ".md")))),*]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in![
    "ask",
    "commit-msg",
    "explain",
    "fix",
    "keywords",
    "review",
    "shell",
    "summarize",
    "title",
    "tldr",
    "translate",
];

/// The limit of file systems, less the extension.
const MAX_NAME_LEN: usize = 255 - ".md".len();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    BuiltIn,
    Own,
    /// In the user's folder, overriding a built-in one of the same name.
    OwnInPlace,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub origin: Origin,
    pub path: Option<PathBuf>,
    pub text: String,
}

impl Source {
    pub fn parse(&self) -> Result<Prompt, PromptError> {
        let folder = self.path.as_deref().and_then(Path::parent);
        front_matter::parse(&self.name, &self.text, folder).map_err(|mistake| {
            let file = self.path.as_ref().map_or_else(|| self.name.clone(), |path| path.display().to_string());
            malformed(file, &self.name, mistake)
        })
    }
}

/// Checks the text of a prompt that is to be written.
pub fn check_text(name: &str, text: &str, folder: &Path) -> Result<(), PromptError> {
    front_matter::parse(name, text, Some(folder)).map(drop).map_err(|Mistake { line, problem, hint }| {
        let hint = hint.unwrap_or_else(|| "fix that line".into());
        PromptError::Malformed { file: "the text".into(), line, problem, hint }
    })
}

fn malformed(file: String, name: &str, mistake: Mistake) -> PromptError {
    let Mistake { line, problem, hint } = mistake;
    let hint = hint.unwrap_or_else(|| format!("beastctl prompts edit {}", quoted(name)));
    PromptError::Malformed { file, line, problem, hint }
}

/// Finds and reads a prompt; `folder` holds the user's own.
pub fn load(name: &str, folder: Option<&Path>) -> Result<Prompt, PromptError> {
    find(name, folder)?.parse()
}

pub fn find(name: &str, folder: Option<&Path>) -> Result<Source, PromptError> {
    check_name(name)?;
    let built_in = BUILT_IN.iter().find(|(built_in, _)| *built_in == name);
    if let Some(path) = folder.map(|folder| own_file(name, folder))
        && let Some(text) = read_own(name, &path)?
    {
        let origin = if built_in.is_some() { Origin::OwnInPlace } else { Origin::Own };
        return Ok(Source { name: name.into(), origin, path: Some(path), text });
    }
    match built_in {
        Some((name, text)) => {
            Ok(Source { name: (*name).into(), origin: Origin::BuiltIn, path: None, text: (*text).into() })
        }
        None => Err(unknown(name, folder)),
    }
}

/// Path of the user's file for a prompt, whether or not it exists.
pub fn own_file(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.md"))
}

/// Whether there is a built-in prompt of this name.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}

/// Checks that a prompt may have this name: a file in the folder, and a word that can be typed.
pub fn check_name(name: &str) -> Result<(), PromptError> {
    let is_wrong = |c: char| matches!(c, '/' | '\\') || c.is_control();
    if name.is_empty() || name.starts_with(['.', '-']) || name.contains(is_wrong) || name.len() > MAX_NAME_LEN {
        return Err(PromptError::Name(excerpt(name)));
    }
    Ok(())
}

fn read_own(name: &str, path: &Path) -> Result<Option<String>, PromptError> {
    match file::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(FileError::Missing) => Ok(None),
        // Reported like any other error: a folder without permission, or one in place of the file.
        Err(FileError::Unreadable(source)) => Err(PromptError::Unreadable { path: path.to_owned(), source }),
        Err(FileError::Unusable(mistake)) => Err(malformed(path.display().to_string(), name, mistake)),
    }
}

fn unknown(name: &str, folder: Option<&Path>) -> PromptError {
    let all = names(folder);
    let nearest = nearest(name, all.iter().map(String::as_str)).map(str::to_owned);
    PromptError::Unknown { name: name.into(), nearest, all }
}

/// The names of all prompts, sorted. Opens no file.
pub fn names(folder: Option<&Path>) -> Vec<String> {
    let mut all: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
    // An unreadable folder yields no names; loading one of its prompts reports the reason.
    let files = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    all.extend(files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".md")?.to_owned())));
    all.retain(|name| check_name(name).is_ok());
    all.sort();
    all.dedup();
    all
}

#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub origin: Origin,
    pub path: Option<PathBuf>,
    pub prompt: Result<Prompt, PromptError>,
}

/// All prompts sorted by name, including broken ones.
///
/// # Errors
/// [`PromptError::Unreadable`] if the folder exists but cannot be read.
pub fn list(folder: Option<&Path>) -> Result<Vec<Entry>, PromptError> {
    // If a parent of the folder is no folder, there is none either.
    if let Some(folder) = folder.filter(|folder| fs::symlink_metadata(folder).is_ok())
        && let Err(source) = fs::read_dir(folder)
    {
        return Err(PromptError::Unreadable { path: folder.to_owned(), source });
    }
    Ok(names(folder).into_iter().map(|name| entry(name, folder)).collect())
}

fn entry(name: String, folder: Option<&Path>) -> Entry {
    match find(&name, folder) {
        Ok(source) => {
            let prompt = source.parse();
            Entry { name, origin: source.origin, path: source.path, prompt }
        }
        // Only the user's own files can be unreadable.
        Err(error) => Entry {
            origin: if is_built_in(&name) { Origin::OwnInPlace } else { Origin::Own },
            path: folder.map(|folder| own_file(&name, folder)),
            name,
            prompt: Err(error),
        },
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
