//! A progress line on stderr that disappears before the answer.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use beast_launchd::shown::one_line;

use super::{console::columns, tables::is_utf8, width::cut};

/// Nothing is shown sooner, nor changed faster: what a person cannot read only flickers.
const PACE: Duration = Duration::from_millis(150);
/// A spinner shows that something moves.
const SPINNER_PACE: Duration = Duration::from_millis(100);
/// A line of a terminal whose width is unknown.
const WIDTH: usize = 80;
const FRAMES: &[&str] = &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const ASCII_FRAMES: &[&str] = &["|", "/", "-", "\\"];

/// The line. It prints only when it is due; [`Progress::due`] says when to come back.
#[derive(Debug)]
pub struct Progress<E> {
    err: E,
    is_enabled: bool,
    is_shown: bool,
    /// Not before this.
    next: Instant,
    text: Option<String>,
    is_new: bool,
    /// Empty for a line that changes with its text only.
    frames: &'static [&'static str],
    n_frames: usize,
}

impl<E: Write> Progress<E> {
    pub fn new(err: E, is_enabled: bool, now: Instant) -> Self {
        let (text, frames) = (None, &[]);
        Self { err, is_enabled, is_shown: false, next: now + PACE, text, is_new: false, frames, n_frames: 0 }
    }

    /// The same with a spinner before it, which moves also when there is no news.
    pub fn with_spinner(err: E, is_enabled: bool, now: Instant) -> Self {
        Self { frames: if is_utf8() { FRAMES } else { ASCII_FRAMES }, ..Self::new(err, is_enabled, now) }
    }

    pub fn set(&mut self, text: String, now: Instant) {
        if self.is_enabled {
            self.text = Some(one_line(&text));
            self.is_new = true;
            self.tick(now);
        }
    }

    /// When [`Progress::tick`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        (self.text.is_some() && (self.is_new || !self.frames.is_empty())).then_some(self.next)
    }

    pub fn tick(&mut self, now: Instant) {
        let Some(text) = self.text.as_ref().filter(|_| now >= self.next && self.due().is_some()) else { return };
        let line = match self.frames.get(self.n_frames % self.frames.len().max(1)) {
            Some(frame) => format!("{frame} {text}"),
            None => text.clone(),
        };
        let width = columns(io::stderr()).unwrap_or(WIDTH);
        // A line that wraps could not be taken back.
        let _ = write!(self.err, "\r\x1b[K{}", cut(&line, width.saturating_sub(1)));
        let _ = self.err.flush();
        self.is_shown = true;
        self.is_new = false;
        self.n_frames += 1;
        self.next = now + if self.frames.is_empty() { PACE } else { SPINNER_PACE };
    }

    pub fn erase(&mut self) {
        self.text = None;
        if self.is_shown {
            self.is_shown = false;
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
        }
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
