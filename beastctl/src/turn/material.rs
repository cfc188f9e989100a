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

/// Time without input after which a note says what is awaited.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Material {
    /// The instruction of another prompt than the conversation's.
    pub(crate) front: String,
    /// The long part, which may be truncated or split.
    pub(crate) text: String,
    /// The question about it, or without it.
    pub(crate) question: String,
    /// Warnings about changes to the input, one line each.
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

/// Material for `summarize` and `run`. `prompt` appears in the hint if there is no input.
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
        // Some programs start others with an empty stdin; then the staged changes are meant.
        return match Staged::read(Git::new(wait)) {
            Ok(staged) => {
                console.info("stdin is empty; using the staged changes");
                Ok(staged.into())
            }
            // git rejects this repository, and its message is the real reason.
            Err(GitError::Failed { command, reason }) => Err(GitError::NoInput { command, reason }.into()),
            Err(GitError::Missing(_)) => {
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

/// A question and the material that it is about: files, and stdin if it is piped.
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
        // The pipe is empty: many programs start others like this.
        true => Ok(Material { question, ..Material::default() }),
        false => Ok(Material { question, ..input.into() }),
    }
}

/// Piped input is material too, or the question if none was typed.
fn about_files(
    mut question: String,
    files: &[PathBuf],
    names_stdin: bool,
    wait: &Wait,
    console: Console,
) -> Result<Material> {
    let mut input = named(files, wait, console)?;
    let is_read = files.iter().any(|file| input::is_stdin(file));
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

/// Files with their names, which tell the model what they are.
pub(crate) fn named(files: &[PathBuf], wait: &Wait, console: Console) -> Result<Input> {
    if files.iter().any(|file| input::is_stdin(file)) {
        hint_at_stdin(wait, console);
    }
    let input = input::read_named(files, wait)?;
    if input.is_blank() {
        return Err(InputError::Empty { example: "beastctl ask -f FILE 'QUESTION'" }.into());
    }
    Ok(input)
}

/// Warns that `ask notes.txt` asks about these words, where other programs would read the file.
fn hint_at_file(words: &[String], console: Console) {
    // Many ordinary words are also names of files.
    let looks_like_file = |word: &&String| words.len() == 1 || word.contains(['.', '/']);
    if let Some(file) = words.iter().find(|word| looks_like_file(word) && Path::new(word.as_str()).is_file()) {
        let text = "is taken as the question, not read as a file; try: beastctl ask -f";
        console.info(&format!("`{file}` {text} {} 'QUESTION'", crate::text::quoted(file)));
    }
}

/// Tells the user that stdin is being read, since waiting silently looks like a hang.
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
