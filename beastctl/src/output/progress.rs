//! A progress line on stderr that disappears before the answer.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use beast_launchd::shown::one_line;

use super::{console::columns, tables::is_utf8, width::cut};

/// Delay before the line appears, and between its changes: faster changes would only flicker.
const PACE: Duration = Duration::from_millis(150);
/// Interval between frames of the spinner.
const SPINNER_PACE: Duration = Duration::from_millis(100);
/// Columns if the terminal's width is unknown.
const WIDTH: usize = 80;
const FRAMES: &[&str] = &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const ASCII_FRAMES: &[&str] = &["|", "/", "-", "\\"];

/// A progress line. It is printed only when due; [`Progress::due`] says when to call again.
#[derive(Debug)]
pub struct Progress<E> {
    err: E,
    is_enabled: bool,
    is_shown: bool,
    /// Earliest time of the next change.
    next: Instant,
    text: Option<String>,
    is_new: bool,
    /// Frames of the spinner; empty without one.
    frames: &'static [&'static str],
    n_frames: usize,
}

impl<E: Write> Progress<E> {
    pub fn new(err: E, is_enabled: bool, now: Instant) -> Self {
        let (text, frames) = (None, &[]);
        Self { err, is_enabled, is_shown: false, next: now + PACE, text, is_new: false, frames, n_frames: 0 }
    }

    /// A progress line with a spinner, which moves even without news.
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

    /// When [`Progress::tick`] must be called next.
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
        // A line that wraps could not be erased.
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
