//! The file in which git, its hooks and an editor prepare a commit message.
//!
//! Written at the very end and atomically: until then, it stays as git wrote it.

use std::{
    io,
    path::{Path, PathBuf},
};

use beast_launchd::{file, shown::is_hidden, whole::WholeFile};

use super::settings::Settings;

/// Far more than git writes, even with the diff of `commit -v`.
const MAX_BYTES: u64 = 64 << 20;

/// Follows the comment character: nothing below this line belongs to the message.
const SCISSORS: &[u8] = b" ------------------------ >8 ------------------------";
/// Closing an editor that opened with a message commits it, while closing an empty one aborts the commit.
const HOW_TO_ABORT: &str = "this is a suggestion; delete it to abort";
/// The line that `git cherry-pick -x` adds to the trailers.
const PICKED: &[u8] = b"(cherry picked from ";
/// Words of headings such as "Here is the commit message:".
const HEADING: &[&str] = &[
    "a",
    "an",
    "for",
    "git",
    "here",
    "here's",
    "is",
    "one-line",
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
/// A heading contains at least one of these.
const HEADING_NOUNS: &[&str] = &["message", "msg", "subject"];
/// Characters around quoted text.
const QUOTES: &[[char; 2]] = &[['"', '"'], ['\'', '\''], ['`', '`'], ['*', '*'], ['“', '”'], ['‘', '’'], ['«', '»']];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl MessageFile {
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), bytes: file::read(path, MAX_BYTES)? })
    }

    /// Whether the file contains a message already. Trailers alone are none, because `git commit -s` adds them before
    /// the message is written.
    pub fn has_message(&self, settings: &Settings) -> bool {
        !(self.text(settings).all(|line| line.trim_ascii().is_empty()) || self.has_only_trailers(settings))
    }

    /// Git leaves room for a subject above its trailers, so a first line is a subject even if it looks like a trailer
    /// (`fix: a thing`).
    fn has_only_trailers(&self, settings: &Settings) -> bool {
        let mut lines = self.text(settings).skip_while(|line| line.trim_ascii().is_empty()).peekable();
        self.lines().next().is_some_and(|line| line.trim_ascii().is_empty())
            && lines.peek().is_some()
            && lines.all(|line| line.trim_ascii().is_empty() || is_trailer(line))
    }

    fn text(&self, settings: &Settings) -> impl Iterator<Item = &[u8]> {
        let comment = settings.comment.as_bytes();
        self.lines().take_while(move |line| !is_scissors(line, comment)).filter(move |line| !line.starts_with(comment))
    }

    /// Puts a message at the top, and `notes` beside git's own comments, with a line on how to discard the message.
    /// Returns whether there were such comments.
    ///
    /// # Errors
    /// I/O errors; the file is then unchanged.
    pub fn write(&self, message: Option<&str>, notes: &[String], settings: &Settings) -> io::Result<bool> {
        let mut bytes = self.bytes.clone();
        let place = self.place_of_notes(settings);
        if let Some(place) = place {
            let comment = &settings.comment;
            let notes = message.map(|_| HOW_TO_ABORT).into_iter().chain(notes.iter().map(String::as_str));
            let notes: String = notes.map(|note| format!("{comment} beast: {note}\n")).collect();
            bytes.splice(place..place, notes.into_bytes());
        }
        if let Some(message) = message {
            // One empty line above the trailers, however many git left there.
            let n_blank = if self.has_only_trailers(settings) {
                self.lines().take_while(|line| line.trim_ascii().is_empty()).map(<[u8]>::len).sum()
            } else {
                0
            };
            let gap = if n_blank == 0 { "\n" } else { "\n\n" };
            bytes.splice(0..n_blank, format!("{message}{gap}").into_bytes());
        }
        if bytes != self.bytes {
            self.replace(&bytes)?;
        }
        Ok(place.is_some())
    }

    /// Position where a comment is as safe as git's own: before the first of these. Whether comments are removed
    /// depends on options that no hook can see, and on programs that replace the editor. If git wrote no comment,
    /// ours might be committed.
    fn place_of_notes(&self, settings: &Settings) -> Option<usize> {
        let comment = settings.comment.as_bytes();
        let mut start = 0;
        for line in self.lines() {
            if is_scissors(line, comment) {
                // Above the scissors even comments may belong to the message. The comments just below explain the
                // scissors.
                let below = self.bytes[start..].split_inclusive(|byte| *byte == b'\n');
                let n: usize = below.take_while(|line| line.starts_with(comment)).map(<[u8]>::len).sum();
                return Some(start + n);
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

    /// Keeps the permissions: if other users may read the old file (`core.sharedRepository`), they may read the new
    /// one.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        WholeFile::like(&self.path)?.with(bytes)?.finish()
    }
}

fn is_scissors(line: &[u8], comment: &[u8]) -> bool {
    line.strip_prefix(comment).is_some_and(|rest| rest.trim_ascii_end() == SCISSORS)
}

/// `Token: value`, or the line that `cherry-pick -x` adds.
fn is_trailer(line: &[u8]) -> bool {
    let token = line.split(|byte| *byte == b':').next().unwrap_or_default();
    let is_token = !token.is_empty() && token.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    let has_value = line.get(token.len()..).is_some_and(|rest| rest.starts_with(b": "));
    (is_token && has_value) || line.starts_with(PICKED)
}

/// The commit message in an answer; `None` if there is none. Lines that git would take for comments lose their
/// comment character.
pub fn clean(answer: &str, comment: &str) -> Option<String> {
    let text: String = answer.replace("\r\n", "\n").replace('\r', "\n");
    let text: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    let mut text = text.trim();
    // A heading may be quoted, and so may the text after it.
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

/// Removes a first line, or the beginning of one, that only announces the message.
fn without_heading(text: &str) -> &str {
    let Some((heading, rest)) = text.split_once(':') else { return text };
    // The end of emphasis that began before the heading.
    if is_heading(heading) {
        rest.trim_start_matches(|c: char| c == '*' || c == '_' || c.is_whitespace())
    } else {
        text
    }
}

/// Whether a line, or its beginning, only announces the message.
pub(super) fn is_heading(text: &str) -> bool {
    let heading = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '#' | '_')).to_lowercase();
    let mut words = heading.split_whitespace().peekable();
    words.peek().is_some()
        && words.clone().all(|word| HEADING.contains(&word))
        && words.any(|word| HEADING_NOUNS.contains(&word))
}

/// Removes a code fence around the whole text.
fn unfenced(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    match inner.and_then(|inner| inner.split_once('\n')) {
        // Only the name of a language may follow the fence.
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
