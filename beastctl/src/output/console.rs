//! The output streams and how to print on them.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use beast_launchd::shown::{harmless, one_line};

use super::{colour::ColorChoice, error::OutputError, lines::columns, markdown::Markdown};

/// The output streams, and the verbosity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Console {
    /// stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// `-q`: errors only.
    pub is_quiet: bool,
    /// stderr may be styled.
    pub has_colour: bool,
    /// stdout may be styled.
    pub stdout_has_colour: bool,
}

impl Console {
    pub fn new(is_quiet: bool, color: Option<ColorChoice>) -> Self {
        let (stdout_is_terminal, stderr_is_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            stdout_is_terminal,
            stderr_is_terminal,
            is_quiet,
            has_colour: super::colour::is_styled(color, stderr_is_terminal),
            stdout_has_colour: super::colour::is_styled(color, stdout_is_terminal),
        }
    }

    /// Formats the answer and wraps it on a terminal; `None` leaves it as the model wrote it.
    pub fn markdown(&self) -> Option<Markdown> {
        let is_wanted = env::var_os("BEAST_MARKDOWN").is_none_or(|value| value != "never");
        let n_columns = self.stdout_columns();
        if !is_wanted || !self.stdout_has_colour && n_columns.is_none() {
            return None;
        }
        let markdown = Markdown::new(super::tables::bar::is_utf8()).wrapped(n_columns);
        Some(if self.stdout_has_colour { markdown } else { markdown.plain() })
    }

    /// Columns of a terminal on stdout; `None` for a pipe, whose bytes stay unchanged.
    fn stdout_columns(&self) -> Option<usize> {
        columns(io::stdout()).filter(|_| self.stdout_is_terminal)
    }

    /// Prints lines for people, wrapped at words on a terminal. The last cell of a line may have any width.
    pub fn print_lines(&self, text: &str) -> Result<(), OutputError> {
        match self.stdout_columns() {
            Some(n_columns) => self.print(&super::wrap::lines(text, n_columns)),
            None => self.print(text),
        }
    }

    /// The same for lines with our own colours; see [`Console::print_painted`].
    pub fn print_painted_lines(&self, text: &str) -> Result<(), OutputError> {
        match self.stdout_columns() {
            Some(n_columns) => self.print_painted(&super::wrap::lines(text, n_columns)),
            None => self.print_painted(text),
        }
    }

    pub fn shows_progress(&self) -> bool {
        self.stderr_is_terminal && !self.is_quiet && !is_dumb()
    }

    /// Prints the result: sanitized for a terminal, unchanged otherwise.
    pub fn print(&self, text: &str) -> Result<(), OutputError> {
        if self.stdout_is_terminal { self.print_painted(&harmless(text)) } else { self.print_painted(text) }
    }

    /// Prints text with our own colours. Untrusted parts must have gone through [`one_line`].
    pub fn print_painted(&self, text: &str) -> Result<(), OutputError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    pub fn info(&self, text: &str) {
        if self.stderr_is_terminal && !self.is_quiet {
            self.say("", text);
        }
    }

    pub fn warning(&self, text: &str) {
        if !self.is_quiet {
            self.say("warning: ", text);
        }
    }

    pub fn error(&self, text: &str) {
        self.say("", text);
    }

    /// The output of `--stats`.
    pub fn stats(&self, lines: &str) {
        // A failure to write stderr cannot be reported; the same holds below.
        let _ = io::stderr().write_all(lines.as_bytes());
    }

    /// Whether a person sees what the model thinks: without dim letters it would look like the answer.
    pub fn shows_thoughts(&self) -> bool {
        self.stdout_is_terminal && self.shows_progress() && self.has_colour
    }

    /// A piece of the model's thoughts, dim and beside the answer.
    pub fn thought(&self, text: &str) {
        let _ = io::stderr().write_all(format!("\x1b[2m{}\x1b[0m", harmless(text)).as_bytes());
    }

    fn say(&self, kind: &str, text: &str) {
        let (on, off) = if self.has_colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let line = format!("{on}beastctl:{off} {kind}{}\n", one_line(text));
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}
