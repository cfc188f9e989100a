//! The output streams and how to print on them.

use std::{
    borrow::Cow,
    env,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
};

use beast_launchd::shown::{harmless, one_line};
use beast_protocol::{Notice, NoticeKind};
use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};

use super::{
    colour::{ColorChoice, is_styled},
    error::OutputError,
    markdown::Markdown,
    tables::is_utf8,
    wrap,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Console {
    pub stdout_is_terminal: bool,
    pub stderr_is_terminal: bool,
    /// `-q`: errors only.
    pub is_quiet: bool,
    pub has_colour: bool,
    pub stdout_has_colour: bool,
}

impl Console {
    pub fn new(is_quiet: bool, color: Option<ColorChoice>) -> Self {
        let (stdout_is_terminal, stderr_is_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Self {
            stdout_is_terminal,
            stderr_is_terminal,
            is_quiet,
            has_colour: is_styled(color, stderr_is_terminal),
            stdout_has_colour: is_styled(color, stdout_is_terminal),
        }
    }

    /// A formatter that wraps the answer on a terminal; `None` leaves it as the model wrote it.
    pub fn markdown(&self) -> Option<Markdown> {
        let is_wanted = env::var_os("BEAST_MARKDOWN").is_none_or(|value| value != "never");
        let n_columns = self.stdout_columns();
        if !is_wanted || !self.stdout_has_colour && n_columns.is_none() {
            return None;
        }
        let markdown = Markdown::new(is_utf8()).wrapped(n_columns);
        Some(if self.stdout_has_colour { markdown } else { markdown.plain() })
    }

    /// Columns of a terminal on stdout; `None` for a pipe, whose bytes stay unchanged.
    fn stdout_columns(&self) -> Option<usize> {
        columns(io::stdout()).filter(|_| self.stdout_is_terminal)
    }

    /// Prints lines for people, wrapped at words on a terminal. Continuation lines align with the last cell.
    pub fn print_lines(&self, text: &str) -> Result<(), OutputError> {
        self.print(&wrapped(text, self.stdout_columns()))
    }

    /// The same for lines with our own colours; see [`Console::print_painted`].
    pub fn print_painted_lines(&self, text: &str) -> Result<(), OutputError> {
        self.print_painted(&wrapped(text, self.stdout_columns()))
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
        self.print_bytes(text.as_bytes())
    }

    /// Prints bytes that are not text, which a terminal must not get.
    pub fn print_bytes(&self, bytes: &[u8]) -> Result<(), OutputError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
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

    /// Prints a notice from the daemon.
    pub fn notice(&self, notice: &Notice) {
        match notice.kind {
            NoticeKind::Info => self.info(&notice.text),
            NoticeKind::Warning => self.warning(&notice.text),
        }
    }

    pub fn error(&self, text: &str) {
        self.say("", text);
    }

    /// Lines that the user requested in between, or a prompt without a newline.
    pub fn lines(&self, text: &str) {
        let text = wrapped(text, columns(io::stderr()).filter(|_| self.stderr_is_terminal));
        self.stats(&harmless(&text));
    }

    /// The output of `--stats`.
    pub fn stats(&self, lines: &str) {
        // A failure to write stderr cannot be reported; the same holds below.
        let _ = io::stderr().write_all(lines.as_bytes());
    }

    /// Whether to show the model's thoughts: without dim text they would look like the answer.
    pub fn shows_thoughts(&self) -> bool {
        self.stdout_is_terminal && self.shows_progress() && self.has_colour
    }

    /// Prints a piece of the model's thoughts, dim, on stderr.
    pub fn thought(&self, text: &str) {
        let _ = io::stderr().write_all(format!("\x1b[2m{}\x1b[0m", harmless(text)).as_bytes());
    }

    fn say(&self, kind: &str, text: &str) {
        let (on, off) = if self.has_colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let line = format!("{on}beastctl:{off} {kind}{}\n", one_line(text));
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn wrapped(text: &str, n_columns: Option<usize>) -> Cow<'_, str> {
    n_columns.map_or(Cow::Borrowed(text), |n_columns| Cow::Owned(wrap::lines(text, n_columns)))
}

fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether output on stdout is lost: for a closed stdout, Rust opens /dev/null for reading and writing. Other
/// programs (Python's `DEVNULL`) do the same, so this is no proof of a mistake; a shell's `> /dev/null` opens it only
/// for writing.
pub fn is_stdout_lost() -> bool {
    let stdout = io::stdout();
    let is_both_ways = fcntl_getfl(&stdout).is_ok_and(|flags| flags.contains(OFlags::RDWR));
    is_both_ways && fstat(&stdout).is_ok_and(|seen| stat("/dev/null").is_ok_and(|null| null.st_rdev == seen.st_rdev))
}

/// Columns of the terminal behind this stream, if there is one.
pub fn columns(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
