//! The file in which git, its hooks and an editor put a commit message together.
//!
//! It is changed at the very end and all at once: whatever happens before that, it is as git wrote it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::Settings;

/// After the mark of a comment: the line below which nothing belongs to the message.
const SCISSORS: &[u8] = b" ------------------------ >8 ------------------------";
/// Words of which a heading such as "Here is the commit message:" is made.
const HEADING: &[&str] = &[
    "a",
    "an",
    "for",
    "git",
    "here",
    "here's",
    "is",
    "line",
    "of",
    "proposed",
    "subject",
    "suggested",
    "the",
    "these",
    "this",
    "changes",
    "your",
    "commit",
    "message",
    "msg",
];
/// One of them has to be there.
const HEADING_NOUNS: &[&str] = &["message", "msg", "subject"];
/// What is put around a text that is quoted.
const QUOTES: &[[char; 2]] = &[['"', '"'], ['\'', '\''], ['`', '`'], ['*', '*'], ['“', '”'], ['‘', '’'], ['«', '»']];

/// The file as git wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl MessageFile {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the file.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), bytes: fs::read(path)? })
    }

    /// Whether somebody has written a message into it already.
    pub fn has_message(&self, settings: &Settings) -> bool {
        let comment = settings.comment.as_bytes();
        let message = self.lines().take_while(|line| !is_scissors(line, comment));
        message.into_iter().any(|line| !line.trim_ascii().is_empty() && !line.starts_with(comment))
    }

    /// Puts a message at the top, and `notes` beside git's own comments; whether there were any.
    ///
    /// # Errors
    /// Those of the file, which then is as it was.
    pub fn write(&self, message: Option<&str>, notes: &[String], settings: &Settings) -> io::Result<bool> {
        let mut bytes = self.bytes.clone();
        let place = self.place_of_notes(settings);
        if let Some(place) = place {
            let comment = &settings.comment;
            let notes: String = notes.iter().map(|note| format!("{comment} beast: {note}\n")).collect();
            bytes.splice(place..place, notes.into_bytes());
        }
        if let Some(message) = message {
            bytes.splice(0..0, format!("{message}\n").into_bytes());
        }
        if bytes != self.bytes {
            self.replace(&bytes)?;
        }
        Ok(place.is_some())
    }

    /// Where a comment is as safe as git's own: before the first of these. What becomes of comments depends on options that
    /// no hook is told of, and on the program that opens the file instead of an editor; without any comment of git's, one of
    /// ours might be committed.
    fn place_of_notes(&self, settings: &Settings) -> Option<usize> {
        let comment = settings.comment.as_bytes();
        let mut start = 0;
        for line in self.lines() {
            if is_scissors(line, comment) {
                // Above the scissors even comments may belong to the message. The lines below them explain the line
                // itself.
                let below = self.bytes[start..].split_inclusive(|byte| *byte == b'\n');
                return Some(
                    start + below.take_while(|line| line.starts_with(comment)).map(<[u8]>::len).sum::<usize>(),
                );
            }
            if line.starts_with(comment) {
                return Some(start);
            }
            start += line.len();
        }
        None
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split_inclusive(|byte| *byte == b'\n')
    }

    /// Renamed into place: a hook that is ended leaves the old file or the new one.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let name = self.path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let part = self.path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        let written = write_new(&part, bytes, &self.path).and_then(|()| fs::rename(&part, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written
    }
}

/// Others may read the old file (`core.sharedRepository`), so they may read the new one.
fn write_new(part: &Path, bytes: &[u8], old: &Path) -> io::Result<()> {
    let permissions = fs::metadata(old)?.permissions();
    let mut file = File::options().write(true).create_new(true).open(part)?;
    file.write_all(bytes)?;
    file.set_permissions(permissions)
}

fn is_scissors(line: &[u8], comment: &[u8]) -> bool {
    line.strip_prefix(comment).is_some_and(|rest| rest.trim_ascii_end() == SCISSORS)
}

/// What of an answer is a commit message; `None` when nothing is. Lines that git would take for comments lose what makes
/// them so.
pub fn clean(answer: &str, comment: &str) -> Option<String> {
    let text: String = answer.replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect();
    let mut text = text.trim();
    // A heading may be quoted, and what follows it may be, too.
    loop {
        let inner = unquoted(unfenced(without_heading(text))).trim();
        if inner == text {
            break;
        }
        text = inner;
    }
    let lines: Vec<&str> = text.lines().map(|line| uncommented(line, comment).trim_end()).collect();
    let message = lines.join("\n").trim().to_owned();
    (!message.is_empty()).then_some(message)
}

/// Without a first line, or the beginning of one, that only says what follows.
fn without_heading(text: &str) -> &str {
    let Some((heading, rest)) = text.split_once(':') else { return text };
    let heading = heading.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '#' | '_')).to_lowercase();
    let mut words = heading.split_whitespace().peekable();
    let is_heading = words.peek().is_some()
        && words.clone().all(|word| HEADING.contains(&word))
        && words.any(|word| HEADING_NOUNS.contains(&word));
    // The end of emphasis that began before the heading.
    if is_heading { rest.trim_start_matches(|c: char| c == '*' || c == '_' || c.is_whitespace()) } else { text }
}

/// Without the fence of a block of code around all of it.
fn unfenced(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    match inner.and_then(|inner| inner.split_once('\n')) {
        // After the fence only the name of a language may stand.
        Some((language, inner)) if !language.trim().contains(' ') && !inner.contains("```") => inner,
        _ => text,
    }
}

fn unquoted(text: &str) -> &str {
    for [open, close] in QUOTES {
        if let Some(inner) = text.strip_prefix(*open).and_then(|text| text.strip_suffix(*close))
            && !inner.contains([*open, *close])
        {
            return inner;
        }
    }
    text
}

fn uncommented<'a>(line: &'a str, comment: &str) -> &'a str {
    let mut rest = line;
    while let Some(text) = rest.strip_prefix(comment) {
        rest = text.trim_start();
    }
    rest
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
