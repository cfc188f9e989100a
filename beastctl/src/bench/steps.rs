//! Progress of a run: one line on stderr with a bar, the current step and the time left.

use std::{
    io::{self, Stderr},
    time::{Duration, Instant},
};

use crate::output::{
    Console, Progress,
    tables::{bar, is_utf8},
    units::span,
};

const BAR_WIDTH: usize = 20;
/// The remaining time is unknown until this fraction of the whole is done.
const ENOUGH_TO_TELL: f64 = 0.05;

pub(super) struct Steps {
    progress: Progress<Stderr>,
    started: Instant,
    /// Approximate duration of each table, relative to the others.
    weights: Vec<f64>,
    n_tables: usize,
    /// Steps done of the current table.
    n_done: u32,
    n_total: u32,
    table: &'static str,
    what: String,
}

impl Steps {
    pub(super) fn new(console: Console, weights: Vec<f64>) -> Self {
        let started = Instant::now();
        let progress = Progress::new(io::stderr(), console.shows_progress(), started);
        Self { progress, started, weights, n_tables: 0, n_done: 0, n_total: 0, table: "", what: String::new() }
    }

    pub(super) fn begin(&mut self, table: &'static str, n_total: u32) {
        (self.n_done, self.n_total) = (0, n_total);
        (self.table, self.what) = (table, "starting beastd".into());
    }

    pub(super) fn step(&mut self, what: impl Into<String>) {
        self.what = what.into();
        self.show("");
        self.n_done += 1;
    }

    pub(super) fn finish_table(&mut self) {
        self.n_tables += 1;
        (self.n_done, self.n_total) = (0, 0);
    }

    pub(super) fn set(&mut self, what: &str) {
        self.what = what.into();
        self.show("");
    }

    pub(super) fn tick(&mut self, more: &str) {
        self.show(&format!(", {more}"));
    }

    pub(super) fn set_fraction(&mut self, n_done: u32, n_total: u32, what: &str) {
        (self.n_done, self.n_total) = (n_done, n_total);
        self.set(what);
    }

    /// When [`Steps::wake`] must be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.progress.due()
    }

    pub(super) fn wake(&mut self) {
        self.progress.tick(Instant::now());
    }

    pub(super) fn erase(&mut self) {
        self.progress.erase();
    }

    fn show(&mut self, more: &str) {
        let fraction = fraction(&self.weights, self.n_tables, self.n_done, self.n_total);
        let table = if self.table.is_empty() { String::new() } else { format!("{}: ", self.table) };
        let line = line(fraction, &format!("{table}{}{more}", self.what), self.started.elapsed(), is_utf8());
        self.progress.set(line, Instant::now());
    }
}

/// Fraction of the whole run that is done, 0 to 1.
fn fraction(weights: &[f64], n_tables: usize, n_done: u32, n_total: u32) -> f64 {
    let all: f64 = weights.iter().sum();
    let before: f64 = weights.iter().take(n_tables).sum();
    let current = weights.get(n_tables).copied().unwrap_or_default();
    let part = if n_total > 0 { f64::from(n_done) / f64::from(n_total) } else { 0.0 };
    if all > 0.0 { ((before + current * part.min(1.0)) / all).clamp(0.0, 1.0) } else { 0.0 }
}

fn line(fraction: f64, what: &str, elapsed: Duration, is_utf8: bool) -> String {
    let rest = elapsed.mul_f64((1.0 - fraction) / fraction.max(ENOUGH_TO_TELL));
    let rest = match u64::try_from(rest.as_millis()) {
        // Whole seconds flicker less.
        Ok(ms) if ms > 0 && fraction >= ENOUGH_TO_TELL => format!(", about {} left", span(ms.div_ceil(1000) * 1000)),
        _ => String::new(),
    };
    let bar = bar(fraction, BAR_WIDTH, is_utf8);
    format!("[{bar:<BAR_WIDTH$}] {:>3.0} %  {what}{rest}", fraction * 100.0)
}

#[cfg(test)]
#[path = "steps_tests.rs"]
mod tests;
