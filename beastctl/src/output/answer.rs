//! Writes the answer to stdout: no leading whitespace, exactly one newline at the end, each piece at once.

use std::{
    borrow::Cow,
    io::{self, Write},
    mem,
};

use beast_launchd::shown::harmless;

use super::markdown::Markdown;

/// An answer so far, and how much of it has been written.
#[derive(Debug)]
pub struct Answer<W> {
    out: W,
    is_streamed: bool,
    is_terminal: bool,
    markdown: Option<Markdown>,
    /// Written before the text.
    lead: &'static str,
    text: String,
    /// Whitespace that is written only if text follows, since trailing whitespace is not part of the answer.
    held: String,
}

impl<W: Write> Answer<W> {
    /// An answer that is written as it arrives (`is_streamed`) or only collected. A terminal gets no control
    /// characters, because untrusted input may have led the model to write some.
    pub fn new(out: W, is_streamed: bool, is_terminal: bool) -> Self {
        Self { out, is_streamed, is_terminal, markdown: None, lead: "", text: String::new(), held: String::new() }
    }

    /// Puts a blank line before the answer, if it has any text.
    pub fn set_apart(&mut self) {
        self.lead = "\n";
    }

    /// Formats the answer, for a terminal.
    #[must_use]
    pub fn painted(self, markdown: Option<Markdown>) -> Self {
        Self { is_terminal: self.is_terminal || markdown.is_some(), markdown, ..self }
    }

    /// Takes the next piece; returns the text that it adds to [`Answer::text`].
    pub fn push(&mut self, piece: &str) -> io::Result<String> {
        let piece = if self.text.is_empty() { piece.trim_start() } else { piece };
        let body = piece.trim_end();
        if body.is_empty() {
            if !self.text.is_empty() {
                self.held += piece;
            }
            return Ok(String::new());
        }
        let mut ready = mem::take(&mut self.held);
        ready += body;
        self.held = piece[body.len()..].to_owned();
        self.text += &ready;
        if self.is_streamed {
            self.write(&ready)?;
        }
        Ok(ready)
    }

    /// The text so far, without surrounding whitespace.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether escape codes are written, which must be reset at the end.
    pub fn is_painted(&self) -> bool {
        self.markdown.is_some()
    }

    /// Ends the answer with a newline, after the text itself if it was not streamed. Writes nothing if there is no
    /// text.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        if !self.is_streamed {
            let text = mem::take(&mut self.text);
            let written = self.write(&text);
            self.text = text;
            written?;
        }
        let mut rest = self.markdown.as_mut().map(Markdown::finish).unwrap_or_default();
        rest.push('\n');
        self.out.write_all(rest.as_bytes())?;
        self.out.flush()
    }

    /// Ends an answer that was not streamed by writing a part of its text, unchanged; nothing if that is empty.
    pub fn finish_with(&mut self, part: &str) -> io::Result<()> {
        let part = part.trim_end_matches(['\n', '\r']);
        if part.is_empty() {
            return Ok(());
        }
        self.markdown = None;
        self.write(part)?;
        self.write("\n")
    }

    /// Ends an interrupted answer: written text stays, buffered text is dropped.
    pub fn abandon(&mut self) -> io::Result<()> {
        if self.is_streamed { self.finish() } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(mem::take(&mut self.lead).as_bytes())?;
        // `\r\n` is never split between two pieces, because trailing whitespace is held back.
        let text = if self.is_terminal { harmless(text) } else { Cow::Borrowed(text) };
        match &mut self.markdown {
            Some(markdown) => self.out.write_all(markdown.push(&text).as_bytes())?,
            None => self.out.write_all(text.as_bytes())?,
        }
        self.out.flush()
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
