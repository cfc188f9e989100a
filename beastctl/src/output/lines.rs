//! Prints complete lines for people.

use std::{
    borrow::Cow,
    io::{self, Write},
    os::fd::AsFd,
};

use beast_launchd::shown::harmless;
use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};

use super::{console::Console, wrap};

impl Console {
    /// Lines that a person has asked for in the middle of something else; or a question, without its newline.
    pub fn lines(&self, text: &str) {
        let text = match columns(io::stderr()).filter(|_| self.stderr_is_terminal) {
            Some(n_columns) => Cow::Owned(wrap::lines(text, n_columns)),
            None => Cow::Borrowed(text),
        };
        // Nowhere is left to say that stderr cannot be written.
        let _ = io::stderr().write_all(harmless(&text).as_bytes());
    }
}

/// Whether what is written to stdout is lost: Rust opens /dev/null, to read and write, in the place of a stdout that is
/// closed. Other programs (Python's `DEVNULL`) do the same, so it is no proof; a shell's `> /dev/null` opens it to
/// write.
pub fn is_stdout_lost() -> bool {
    let stdout = io::stdout();
    let is_both_ways = fcntl_getfl(&stdout).is_ok_and(|flags| flags.contains(OFlags::RDWR));
    is_both_ways && fstat(&stdout).is_ok_and(|seen| stat("/dev/null").is_ok_and(|null| null.st_rdev == seen.st_rdev))
}

/// Columns of the terminal that a stream is, if it is one.
pub fn columns(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
