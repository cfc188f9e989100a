//! Whole lines for a person, and text of others made harmless for a terminal.

use std::{
    borrow::Cow,
    io::{self, Write},
    os::fd::AsFd,
};

use super::{Console, wrap};

impl Console {
    /// Lines that a person has asked for in the middle of something else; or a question, without its newline.
    pub fn lines(&self, text: &str) {
        let text = match columns(io::stderr()).filter(|_| self.stderr_is_terminal) {
            Some(n_columns) => Cow::Owned(wrap::lines(text, n_columns)),
            None => Cow::Borrowed(text),
        };
        // Nowhere is left to say that stderr cannot be written.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Columns of the terminal that a stream is, if it is one.
pub fn columns(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Whether a character of a text commands the terminal instead of being shown by it.
pub(super) fn is_command(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// The same text without commands. What another system ends its lines with is none: a newline stays of it.
pub fn harmless(text: &str) -> String {
    text.replace("\r\n", "\n").replace(is_command, "\u{fffd}")
}
