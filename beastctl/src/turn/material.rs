//! What a task is about: files, stdin, a diff, a question. Nothing here has seen a prompt or the daemon.

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

/// After this time without input a person is told what is being waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The user's side of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Material {
    /// What a prompt says that is not that of the conversation.
    pub(crate) front: String,
    /// What may be long, and may be divided or shortened when it is too long.
    pub(crate) text: String,
    /// What is asked about it, or instead of it.
    pub(crate) question: String,
    /// What was changed on the way, a line each.
    pub(crate) warnings: Vec<String>,
}

impl From<Input> for Material {
    fn from(input: Input) -> Self {
        Self { text: input.text, warnings: input.warnings, ..Self::default() }
    }
}

/// The material of `summarize` and `run`. `prompt` is for the advice when there is none.
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

/// The material of `run` when its only argument is a text: that, or what is piped in with the text after it, as in
/// `ask`.
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

/// The material of `commit-msg`: stdin, or what is staged when a person sits there.
pub(crate) fn diff(wait: &Wait, console: Console) -> Result<Material> {
    if input::stdin_is_terminal() {
        let Staged { text, warnings, .. } = Staged::read(Git::new(wait))?;
        return Ok(Material { text, warnings, ..Material::default() });
    }
    hint_at_stdin(wait, console);
    let mut input = input::read(&[], wait)?;
    if input.is_blank() {
        // Programs start others with nothing to read; whoever has staged something means that.
        return match Staged::read(Git::new(wait)) {
            Ok(Staged { text, warnings, .. }) => {
                console.info("stdin is empty, so the message is for what is staged");
                Ok(Material { text, warnings, ..Material::default() })
            }
            // What git says of a repository that it refuses is the real reason.
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

/// A question and, when something is piped in, what it is about.
pub(crate) fn question(words: &[String], wait: &Wait, console: Console) -> Result<Material> {
    let names_stdin = words.iter().any(|word| word == "-");
    let question = words.iter().filter(|word| *word != "-").map(String::as_str).collect::<Vec<_>>().join(" ");
    let question = question.trim().to_owned();
    hint_at_file(words, console);
    if input::stdin_is_terminal() && !names_stdin {
        if question.is_empty() {
            return Err(TurnError::NoQuestion.into());
        }
        return Ok(Material { question, ..Material::default() });
    }
    hint_at_stdin(wait, console);
    let input = input::read(&[], wait)?;
    if !input.is_blank() {
        return Ok(Material { question, ..input.into() });
    }
    if question.is_empty() {
        return Err(InputError::Empty { example: "beastctl ask 'QUESTION'" }.into());
    }
    // A pipe without anything in it: many programs start others that way.
    Ok(Material { question, ..Material::default() })
}

/// `ask notes.txt` asks about two words, where other programs would read the file.
fn hint_at_file(words: &[String], console: Console) {
    // Many a word is also the name of some file.
    let looks_like_file = |word: &&String| words.len() == 1 || word.contains(['.', '/']);
    if let Some(file) = words.iter().find(|word| looks_like_file(word) && Path::new(word.as_str()).is_file()) {
        let text = "is the question itself, its content is not read; try: beastctl ask 'QUESTION' <";
        console.info(&format!("`{file}` {text} {}", crate::text::quoted(file)));
    }
}

/// A program that waits for input in silence looks as if it hung.
pub(crate) fn hint_at_stdin(wait: &Wait, console: Console) {
    if !console.stderr_is_terminal || console.is_quiet {
        return;
    }
    if input::stdin_is_terminal() {
        console.info("reading from the terminal, Ctrl-D ends it");
    } else if input::stdin_is_silent(wait, PATIENCE) {
        console.info("waiting for input on stdin");
    }
}
