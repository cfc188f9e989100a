//! Text of others (a model, a file's name, a setting) as a terminal or a log may get it.
//!
//! Knows text only; never knows who reads it.

use std::{borrow::Cow, fmt::Write as _};

/// Takes the place of a character that would command the terminal: nobody can read what it was.
const COMMAND: char = char::REPLACEMENT_CHARACTER;

/// Whether a character does something to the terminal or to the text around it instead of standing in it.
pub fn is_hidden(c: char) -> bool {
    is_command(c) || is_direction(c)
}

fn is_command(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// Embeddings, overrides and isolates change the order of all that follows, so that one text is read as another. The
/// marks U+200E, U+200F and U+061C stay: they are part of correctly written Hebrew and Arabic, and move nothing but the
/// punctuation beside them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Separators of lines that are no control characters.
fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// The text for a terminal: commands are replaced, and what changes the direction is an escape. A newline stays of what
/// another system ends its lines with.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        push(&mut shown, c);
        shown
    }))
}

/// The text as one line: several lines become one with blanks between them.
pub fn one_line(text: &str) -> String {
    let is_break = |c: char| c == '\n' || c == '\r' || is_separator(c);
    let lines = text.split(is_break).map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    line.chars().fold(String::with_capacity(line.len()), |mut shown, c| {
        push(&mut shown, if c.is_control() { ' ' } else { c });
        shown
    })
}

/// The text as a part of a line in a log: nothing of it is lost, and none of it looks like a line of its own.
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

/// Whether JSON text has to escape a character, which it may do with any.
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

/// As JSON, TOML and many shells read it.
fn escape(shown: &mut String, c: char) {
    // Writing to a String cannot fail.
    let _ = write!(shown, "\\u{:04x}", u32::from(c));
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
