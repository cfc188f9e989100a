//! One line on stderr that tells a waiting person what is going on, and is gone before the answer comes.

use std::{
    io::Write,
    time::{Duration, Instant},
};

/// Nothing is shown sooner, nor changed faster: what a person cannot read only flickers.
const PACE: Duration = Duration::from_millis(150);
/// A line of a terminal whose width is unknown.
const WIDTH: usize = 80;

/// The line. It prints only when it is due; [`Progress::due`] says when to come back.
#[derive(Debug)]
pub struct Progress<E> {
    err: E,
    is_enabled: bool,
    is_shown: bool,
    /// Not before this.
    next: Instant,
    pending: Option<String>,
}

impl<E: Write> Progress<E> {
    /// A line that is not shown yet.
    pub fn new(err: E, is_enabled: bool, now: Instant) -> Self {
        Self { err, is_enabled, is_shown: false, next: now + PACE, pending: None }
    }

    /// What is going on now.
    pub fn set(&mut self, text: String, now: Instant) {
        if self.is_enabled {
            self.pending = Some(text);
            self.tick(now);
        }
    }

    /// When [`Progress::tick`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.pending.is_some().then_some(self.next)
    }

    /// Shows what is pending, when it is due.
    pub fn tick(&mut self, now: Instant) {
        if now < self.next {
            return;
        }
        let Some(text) = self.pending.take() else { return };
        // A line that wraps could not be taken back.
        let text: String = text.chars().take(width().saturating_sub(1)).collect();
        let _ = write!(self.err, "\r\x1b[K{text}");
        let _ = self.err.flush();
        self.is_shown = true;
        self.next = now + PACE;
    }

    /// Takes the line back.
    pub fn erase(&mut self) {
        self.pending = None;
        if self.is_shown {
            self.is_shown = false;
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
        }
    }
}

fn width() -> usize {
    rustix::termios::tcgetwinsize(rustix::stdio::stderr())
        .ok()
        .map(|size| usize::from(size.ws_col))
        .filter(|width| *width > 0)
        .unwrap_or(WIDTH)
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
