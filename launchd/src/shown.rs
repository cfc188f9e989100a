//! Makes untrusted text (a model's output, a file name, a setting) safe for a terminal or a log.
//!
//! Knows only text; never knows where it is displayed.

use std::{borrow::Cow, fmt::Write as _};

/// Replaces a character that would control the terminal.
const COMMAND: char = char::REPLACEMENT_CHARACTER;

/// Whether a character controls the terminal or the text around it instead of being displayed.
pub fn is_hidden(c: char) -> bool {
    is_command(c) || is_direction(c)
}

fn is_command(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// Embeddings, overrides and isolates reorder all text that follows, so that it reads differently from what it is.
/// The marks U+200E, U+200F and U+061C stay: correct Hebrew and Arabic needs them, and they only affect adjacent
/// punctuation.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Line separators that are not control characters.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// The text for a terminal: control sequences are replaced, and direction changes escaped. Line ends of other systems
/// become newlines.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        push(&mut shown, c);
        shown
    }))
}

/// The text on one line: line ends become blanks.
pub fn one_line(text: &str) -> String {
    let is_break = |c: char| c == '\n' || c == '\r' || is_separator(c);
    let lines = text.split(is_break).map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    line.chars().fold(String::with_capacity(line.len()), |mut shown, c| {
        push(&mut shown, if c.is_control() { ' ' } else { c });
        shown
    })
}

/// The text within a log line: lossless, and unable to forge a line.
pub fn logged(text: &str) -> Cow<'_, str> {
    let is_end = |c: char| c == '\n' || c == '\r' || is_separator(c);
    if !text.contains(|c| is_hidden(c) || is_end(c)) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match c {
            '\n' => shown += "\\n",
            '\r' => shown += "\\r",
            c if is_separator(c) => escape(&mut shown, c),
            c => push(&mut shown, c),
        }
        shown
    }))
}

/// Whether JSON text must escape a character; it may escape any.
pub fn is_escaped_in_json(c: char) -> bool {
    c.is_control() || is_direction(c)
}

fn push(shown: &mut String, c: char) {
    match c {
        c if is_command(c) => shown.push(COMMAND),
        c if is_direction(c) => escape(shown, c),
        c => shown.push(c),
    }
}

/// An escape that JSON, TOML and many shells understand.
fn escape(shown: &mut String, c: char) {
    // Writing to a String cannot fail.
    let _ = write!(shown, "\\u{:04x}", u32::from(c));
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
