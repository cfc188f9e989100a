//! The material of a task: files, stdin, a diff, a question. Knows no prompts and no daemon.

pub(crate) mod words;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::TurnError;
use crate::{
    escapes,
    exit::Result,
    git::{Git, GitError, Staged},
    input::{self, Input, InputError},
    output::Console,
    wait::Wait,
};

/// Time without input after which a note says what is being waited for.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Material {
    /// An instruction that differs from the conversation's.
    pub(crate) front: String,
    /// The long part, which may be truncated or split.
    pub(crate) text: String,
    /// The question about it, or instead of it.
    pub(crate) question: String,
    /// Changes on the way, one line each.
    pub(crate) warnings: Vec<String>,
}

impl From<Input> for Material {
    fn from(input: Input) -> Self {
        Self { text: input.text, warnings: input.warnings, ..Self::default() }
    }
}

impl From<Staged> for Material {
    fn from(staged: Staged) -> Self {
        Self { text: staged.text, warnings: staged.warnings, ..Self::default() }
    }
}

/// Material for `summarize` and `run`. `prompt` is for the hint when there is none.
pub(crate) fn files(prompt: &str, files: &[PathBuf], wait: &Wait, console: Console) -> Result<Material, InputError> {
    if files.is_empty() {
        hint_at_stdin(wait, console);
    }
    let input = input::read(files, wait).map_err(|error| words::explained(error, prompt, files))?;
    if input.is_blank() {
        let example = match prompt {
            "summarize" => "cat FILE | beastctl summarize, or beastctl summarize FILE",
            _ => "cat FILE | beastctl run PROMPT, or beastctl run PROMPT FILE",
        };
        return Err(InputError::Empty { example });
    }
    Ok(input.into())
}

/// Material for `run` with a single text argument: that text, or piped input followed by the text, as with `ask`.
pub(crate) fn text(text: &str, wait: &Wait, console: Console) -> Result<Material, InputError> {
    if !input::stdin_is_terminal() {
        hint_at_stdin(wait, console);
        let input = input::read(&[], wait)?;
        if !input.is_blank() {
            return Ok(Material { question: text.trim().into(), ..input.into() });
        }
    }
    Ok(Material { text: text.into(), ..Material::default() })
}

/// Material for `commit-msg`: stdin, or the staged changes if stdin is a terminal.
pub(crate) fn diff(wait: &Wait, console: Console) -> Result<Material> {
    if input::stdin_is_terminal() {
        return Ok(Staged::read(Git::new(wait))?.into());
    }
    hint_at_stdin(wait, console);
    let mut input = input::read(&[], wait)?;
    if input.is_blank() {
        // Some programs start others with empty stdin; staged changes are then what is meant.
        return match Staged::read(Git::new(wait)) {
            Ok(staged) => {
                console.info("stdin is empty; using the staged changes");
                Ok(staged.into())
            }
            // git's own message about a repository that it rejects is the real reason.
            Err(GitError::Failed { command, reason }) => Err(GitError::NoInput { command, reason }.into()),
            Err(GitError::Missing(_) | GitError::NothingStaged) => {
                Err(InputError::Empty { example: "git diff --staged | beastctl commit-msg" }.into())
            }
            Err(error) => Err(error.into()),
        };
    }
    if input.text.contains(escapes::ESCAPE) {
        input.text = escapes::removed(&input.text);
    }
    Ok(input.into())
}

/// A question and its subject: files, and stdin if it is piped.
pub(crate) fn question(words: &[String], files: &[PathBuf], wait: &Wait, console: Console) -> Result<Material> {
    let names_stdin = words.iter().any(|word| word == "-");
    let question = words.iter().filter(|word| *word != "-").map(String::as_str).collect::<Vec<_>>().join(" ");
    let question = question.trim().to_owned();
    hint_at_file(words, console);
    if !files.is_empty() {
        return about_files(question, files, names_stdin, wait, console);
    }
    if input::stdin_is_terminal() && !names_stdin {
        if question.is_empty() {
            return Err(TurnError::NoQuestion.into());
        }
        return Ok(Material { question, ..Material::default() });
    }
    hint_at_stdin(wait, console);
    let input = input::read(&[], wait)?;
    match input.is_blank() {
        true if question.is_empty() => Err(InputError::Empty { example: "beastctl ask 'QUESTION'" }.into()),
        // An empty pipe: many programs start others that way.
        true => Ok(Material { question, ..Material::default() }),
        false => Ok(Material { question, ..input.into() }),
    }
}

/// What is piped in is material as well, or the question where none was typed.
fn about_files(
    mut question: String,
    files: &[PathBuf],
    names_stdin: bool,
    wait: &Wait,
    console: Console,
) -> Result<Material> {
    let mut input = named(files, wait, console)?;
    let is_read = files.iter().any(|file| file.as_os_str() == "-");
    if !is_read && (names_stdin || !input::stdin_is_terminal()) {
        hint_at_stdin(wait, console);
        let piped = input::read(&[], wait)?;
        match piped.is_blank() {
            true => {}
            false if question.is_empty() => question = piped.text.trim().to_owned(),
            false => input.add_stdin(piped),
        }
    }
    if question.is_empty() {
        return Err(TurnError::NoQuestion.into());
    }
    Ok(Material { question, ..input.into() })
}

/// Files with their names, which say what they are.
pub(crate) fn named(files: &[PathBuf], wait: &Wait, console: Console) -> Result<Input> {
    if files.iter().any(|file| file.as_os_str() == "-") {
        hint_at_stdin(wait, console);
    }
    let input = input::read_named(files, wait)?;
    if input.is_blank() {
        return Err(InputError::Empty { example: "beastctl ask -f FILE 'QUESTION'" }.into());
    }
    Ok(input)
}

/// `ask notes.txt` asks about two words, where other programs would read the file.
fn hint_at_file(words: &[String], console: Console) {
    // Many words are also file names.
    let looks_like_file = |word: &&String| words.len() == 1 || word.contains(['.', '/']);
    if let Some(file) = words.iter().find(|word| looks_like_file(word) && Path::new(word.as_str()).is_file()) {
        let text = "is taken as the question, not read as a file; try: beastctl ask -f";
        console.info(&format!("`{file}` {text} {} 'QUESTION'", crate::text::quoted(file)));
    }
}

/// Waiting silently for input looks like a hang.
pub(crate) fn hint_at_stdin(wait: &Wait, console: Console) {
    if !console.stderr_is_terminal || console.is_quiet {
        return;
    }
    if input::stdin_is_terminal() {
        console.info("reading from the terminal; press Ctrl-D to finish");
    } else if input::stdin_is_silent(wait, PATIENCE) {
        console.info("waiting for input on stdin");
    }
}
