//! Prompts by name: those built in, and the user's own, which win.
//!
//! A prompt is a Markdown file whose text becomes the system turn. It may open with a block of settings between two lines
//! `---`; nothing in that block is ignored.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../prompts/", $name, ".md")))),*]
    };
}

/// Name and file of each.
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

/// A name with more than one wrong letter in so many is another name, not a slip.
const LETTERS_PER_SLIP: usize = 3;

/// Why a prompt cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A name that would lead out of the folder.
    #[error("`{0}` is not a name of a prompt")]
    Name(String),
    /// There is none.
    #[error("there is no prompt `{name}`{}", nearest.as_ref().map(|name| format!(", did you mean `{name}`?")).unwrap_or_default())]
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
    },
}

impl PromptError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            PromptError::Name(_) => Some("a name without `/`; the file NAME.md is found by it".into()),
            PromptError::Unknown { all, .. } => {
                Some(format!("one of {}, or write your own as prompts/NAME.md beside config.toml", all.join(", ")))
            }
            PromptError::Unreadable { .. } | PromptError::Malformed { .. } => None,
        }
    }
}

/// What a prompt sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The system turn.
    pub system: String,
    /// One line about it, for lists.
    pub description: Option<String>,
    /// Its own limit of the answer, unless the command line has one.
    pub max_tokens: Option<u32>,
    /// How answers to parts of a long input become one: the instruction for that, empty for the prompt's own; `None` refuses long input.
    pub reduce: Option<String>,
}

/// Finds a prompt by its name; `folder` holds the user's own.
///
/// # Errors
/// See [`PromptError`].
pub fn load(name: &str, folder: Option<&Path>) -> Result<Prompt, PromptError> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Err(PromptError::Name(name.into()));
    }
    if let Some(folder) = folder {
        let path = folder.join(format!("{name}.md"));
        match fs::read_to_string(&path) {
            Ok(text) => return parse(&text, &path.display().to_string()),
            // A folder that is none of ours to read, or a file in its place, is told like any other trouble.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(PromptError::Unreadable { path, source }),
        }
    }
    match BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        Some((name, text)) => parse(text, name),
        None => Err(unknown(name, folder)),
    }
}

fn unknown(name: &str, folder: Option<&Path>) -> PromptError {
    let mut all: Vec<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
    // A folder that is not there holds no prompts.
    let files = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    all.extend(files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".md")?.to_owned())));
    all.sort();
    all.dedup();
    let distance = |other: &String| strsim::osa_distance(name, other);
    let nearest = all.iter().min_by_key(|other| distance(other));
    let nearest = nearest.filter(|nearest| distance(nearest) <= nearest.len().div_ceil(LETTERS_PER_SLIP)).cloned();
    PromptError::Unknown { name: name.into(), nearest, all }
}

/// Reads the text of a prompt; `file` is for messages.
fn parse(text: &str, file: &str) -> Result<Prompt, PromptError> {
    let malformed = |line: usize, problem: String| PromptError::Malformed { file: file.into(), line, problem };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut prompt = Prompt::default();
    let mut lines = text.split_inclusive('\n');
    let mut n_settings = 0;
    if text.lines().next().is_some_and(is_fence) {
        let mut is_closed = false;
        n_settings = lines.next().map_or(0, str::len);
        for (n, line) in lines.by_ref().enumerate() {
            n_settings += line.len();
            if is_fence(line) {
                is_closed = true;
                break;
            }
            set(&mut prompt, line.trim()).map_err(|problem| malformed(n + 2, problem))?;
        }
        if !is_closed {
            return Err(malformed(1, "the settings that begin here never end, a line `---` is missing".into()));
        }
    }
    prompt.system = text[n_settings..].trim().to_owned();
    if prompt.system.is_empty() {
        return Err(malformed(text.lines().count().max(1), "the prompt has no text".into()));
    }
    Ok(prompt)
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

fn set(prompt: &mut Prompt, line: &str) -> Result<(), String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let (key, value) = line.split_once(':').ok_or_else(|| format!("`{line}` is not of the form `key: value`"))?;
    let value = value.trim();
    match key.trim() {
        "description" => prompt.description = Some(value.to_owned()),
        "max_tokens" => {
            let n = value.parse().ok().filter(|n| *n >= 1);
            prompt.max_tokens = Some(n.ok_or_else(|| format!("max_tokens is `{value}`, but must be a number from 1"))?);
        }
        key => return Err(format!("unknown setting `{key}`; there are description and max_tokens")),
    }
    Ok(())
}

#[cfg(test)]
#[path = "prompts_tests.rs"]
mod tests;
