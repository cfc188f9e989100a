//! Writes the answer to stdout: no leading whitespace, exactly one newline at the end, each piece at once.

use std::{
    borrow::Cow,
    io::{self, Write},
    mem,
};

use beast_launchd::shown::harmless;

use super::markdown::Markdown;

/// What has come of an answer, and how much of it has been written.
#[derive(Debug)]
pub struct Answer<W> {
    out: W,
    is_streamed: bool,
    is_terminal: bool,
    markdown: Option<Markdown>,
    /// Written before the text.
    lead: &'static str,
    text: String,
    /// Whitespace that is written only when text follows: the answer's own end is not part of it.
    held: String,
}

impl<W: Write> Answer<W> {
    /// An answer that is written as it comes (`is_streamed`) or only kept. A terminal gets no control characters: what
    /// the model read may have come from anywhere, and must not command the terminal.
    pub fn new(out: W, is_streamed: bool, is_terminal: bool) -> Self {
        Self { out, is_streamed, is_terminal, markdown: None, lead: "", text: String::new(), held: String::new() }
    }

    /// A blank line goes before it, if it has any text.
    pub fn set_apart(&mut self) {
        self.lead = "\n";
    }

    /// The same, painted: then it goes to a terminal, sooner or later.
    #[must_use]
    pub fn painted(self, markdown: Option<Markdown>) -> Self {
        Self { is_terminal: self.is_terminal || markdown.is_some(), markdown, ..self }
    }

    /// Takes the next piece; returns what it adds to [`Answer::text`].
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

    /// The whole text so far, without whitespace around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether escape codes are written, which have to be taken back.
    pub fn is_painted(&self) -> bool {
        self.markdown.is_some()
    }

    /// Ends the answer: its newline, and first the answer itself when it was not streamed. Nothing when there is no
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

    /// Ends an answer that was not streamed with a part of its text, as it is: nothing when there is nothing in it.
    pub fn finish_with(&mut self, part: &str) -> io::Result<()> {
        let part = part.trim_end_matches(['\n', '\r']);
        if part.is_empty() {
            return Ok(());
        }
        self.markdown = None;
        self.write(part)?;
        self.write("\n")
    }

    /// Ends an answer that stopped in the middle: what was written stays, what was kept is not written.
    pub fn abandon(&mut self) -> io::Result<()> {
        if self.is_streamed { self.finish() } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(mem::take(&mut self.lead).as_bytes())?;
        // Both characters of another system's newline come together: what ends a piece is held.
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
