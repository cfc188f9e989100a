//! Text given where a file is expected: `beastctl shell 'list the five largest files'`. Decides which arguments are
//! text, and explains likely mistakes. Reads no file.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use crate::{cli::prompt_verb, input::InputError, prompts, text};

/// The prompt whose material is always a document: a text in its place is a missing file.
const OF_DOCUMENTS: &str = "summarize";
/// Longest extension of a file name.
const MAX_EXTENSION_LEN: usize = 5;

/// The only argument as text, if it cannot be a file.
pub(crate) fn text<'a>(prompt: &str, files: &'a [PathBuf]) -> Option<&'a str> {
    let [argument] = files else { return None };
    let text = argument.to_str()?;
    let is_text = text.trim().contains(char::is_whitespace) && !looks_like_a_path(text) && is_nowhere(argument);
    (prompt != OF_DOCUMENTS && is_text).then_some(text)
}

/// The error about a missing file, with what the user probably meant.
pub(super) fn explained(error: InputError, prompt: &str, files: &[PathBuf]) -> InputError {
    let InputError::Unreadable { name, source } = &error else { return error };
    if !matches!(source.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) {
        return error;
    }
    let command = command(prompt);
    let all: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
    let are_words = files.len() > 1 && files.iter().all(|file| is_nowhere(file) && !is_like_a_path(file));
    let is_word = files.len() == 1 && !looks_like_a_path(name);
    if prompt != OF_DOCUMENTS && are_words {
        let words = text::excerpt(&all.join(" "));
        let way = format!("{command} {}", text::quoted(&words));
        return InputError::Words { words, way };
    }
    if prompt != OF_DOCUMENTS && is_word || name.trim().contains(char::is_whitespace) {
        let words = text::excerpt(name);
        let way = format!("echo {} | {command}", text::quoted(&words));
        return InputError::Words { words, way };
    }
    error
}

fn command(prompt: &str) -> String {
    let is_command = prompts::check_name(prompt).is_ok() && !prompt_verb::is_command(prompt) || prompt == OF_DOCUMENTS;
    format!("beastctl {}{}", if is_command { "" } else { "run " }, text::quoted(prompt))
}

fn is_nowhere(path: &Path) -> bool {
    let kinds = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::InvalidFilename];
    fs::symlink_metadata(path).is_err_and(|error| kinds.contains(&error.kind()))
}

fn is_like_a_path(path: &Path) -> bool {
    path.to_str().is_none_or(looks_like_a_path)
}

/// Whether a text looks like a path: `./x`, `/x`, `~/x`, `my notes.txt`, `docs/plan`. File names have no line breaks.
fn looks_like_a_path(text: &str) -> bool {
    let text = text.trim();
    if text.contains('\n') {
        return false;
    }
    let is_one_word = !text.contains(char::is_whitespace);
    let begins = ["/", "./", "../", "~"].iter().any(|start| text.starts_with(start));
    text == "-" || begins || is_one_word && text.contains('/') || has_extension(text)
}

/// Whether the last word ends like a file name.
fn has_extension(text: &str) -> bool {
    let word = text.split_whitespace().next_back().unwrap_or_default();
    let extension = Path::new(word).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let is_short = (1..=MAX_EXTENSION_LEN).contains(&extension.len());
    is_short && extension.chars().all(|c| c.is_ascii_alphanumeric()) && extension.contains(|c: char| c.is_alphabetic())
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
