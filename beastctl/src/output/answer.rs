//! The answer on its way to stdout: no blank before it, exactly one newline after it, each piece at once.

use std::io::{self, Write};

use super::is_command;

/// What has come of an answer, and how much of it has been written.
#[derive(Debug)]
pub struct Answer<W> {
    out: W,
    is_streamed: bool,
    is_terminal: bool,
    /// Written before the text.
    lead: &'static str,
    text: String,
    /// Whitespace that is written only when text follows: the answer's own end is not part of it.
    held: String,
}

impl<W: Write> Answer<W> {
    /// An answer that is written as it comes (`is_streamed`) or only kept. A terminal gets no control characters: what the
    /// model read may have come from anywhere, and must not command the terminal.
    pub fn new(out: W, is_streamed: bool, is_terminal: bool) -> Self {
        Self { out, is_streamed, is_terminal, lead: "", text: String::new(), held: String::new() }
    }

    /// A blank line goes before it, if it has any text.
    pub fn set_apart(&mut self) {
        self.lead = "\n";
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn push(&mut self, piece: &str) -> io::Result<()> {
        let piece = if self.text.is_empty() { piece.trim_start() } else { piece };
        let body = piece.trim_end();
        if body.is_empty() {
            if !self.text.is_empty() {
                self.held += piece;
            }
            return Ok(());
        }
        let mut ready = std::mem::take(&mut self.held);
        ready += body;
        self.held = piece[body.len()..].to_owned();
        self.text += &ready;
        if self.is_streamed { self.write(&ready) } else { Ok(()) }
    }

    /// The whole text so far, without whitespace around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Ends the answer: its newline, and first the answer itself when it was not streamed. Nothing when there is no text.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let text = if self.is_streamed { String::new() } else { self.text.clone() };
        self.write(&(text + "\n"))
    }

    /// Ends an answer that stopped in the middle: what was written stays, what was kept is not written.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn abandon(&mut self) -> io::Result<()> {
        if self.is_streamed { self.finish() } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(std::mem::take(&mut self.lead).as_bytes())?;
        if self.is_terminal && text.contains(is_command) {
            self.out.write_all(text.replace(is_command, "\u{fffd}").as_bytes())?;
        } else {
            self.out.write_all(text.as_bytes())?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
