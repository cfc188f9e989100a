//! Where the time of a step goes: with `BEAST_TIMINGS=1`, the log gets a line per second of work. Knows clocks and the
//! log, not what is timed.

use std::cell::RefCell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Commands, cancelled requests, prefixes from disk.
    Inbox,
    /// Proposing drafts.
    Draft,
    /// Planning the batch.
    Schedule,
    /// Passing the batch to llama.cpp; on a CPU this includes computing it.
    Submit,
    /// Waiting for a GPU to finish and return the logits.
    Wait,
    /// Searching a GPU's logits.
    Scan,
    /// Sampling, rolling back drafts.
    Sample,
    /// Updating scheduler and statistics.
    Commit,
    /// Detokenizing and sending.
    Deliver,
}

/// All of them, in order.
const PHASES: [(Phase, &str); 9] = [
    (Phase::Inbox, "inbox"),
    (Phase::Draft, "draft"),
    (Phase::Schedule, "schedule"),
    (Phase::Submit, "submit"),
    (Phase::Wait, "wait"),
    (Phase::Scan, "scan"),
    (Phase::Sample, "sample"),
    (Phase::Commit, "commit"),
    (Phase::Deliver, "deliver"),
];

/// Interval between lines.
const PERIOD: Duration = Duration::from_secs(1);

static IS_WANTED: LazyLock<bool> =
    LazyLock::new(|| std::env::var_os("BEAST_TIMINGS").is_some_and(|value| value == "1"));

/// This thread's sums since the last line.
struct Sums {
    began: Instant,
    n_steps: u32,
    n_rows: usize,
    /// Graphs that llama.cpp kept: at the beginning, and now.
    n_kept: (u32, u32),
    times: [Duration; PHASES.len()],
}

impl Sums {
    fn new() -> Self {
        Self { began: Instant::now(), n_steps: 0, n_rows: 0, n_kept: (0, 0), times: [Duration::ZERO; PHASES.len()] }
    }
}

thread_local! {
    static SUMS: RefCell<Sums> = RefCell::new(Sums::new());
}

/// Runs and times a phase.
pub fn timed<T>(phase: Phase, work: impl FnOnce() -> T) -> T {
    if !*IS_WANTED {
        return work();
    }
    let began = Instant::now();
    let outcome = work();
    SUMS.with_borrow_mut(|sums| sums.times[phase as usize] += began.elapsed());
    outcome
}

/// Adds the time of a phase that was measured elsewhere.
pub fn add(phase: Phase, time: Duration) {
    if *IS_WANTED {
        SUMS.with_borrow_mut(|sums| sums.times[phase as usize] += time);
    }
}

/// Sets the number of graphs that llama.cpp has kept so far; `n` is called only if somebody wants to know.
pub fn graphs_kept(n: impl FnOnce() -> u32) {
    if *IS_WANTED {
        SUMS.with_borrow_mut(|sums| sums.n_kept.1 = n());
    }
}

/// Counts a finished step of `n_rows` rows.
pub fn step(n_rows: usize) {
    if !*IS_WANTED {
        return;
    }
    SUMS.with_borrow_mut(|sums| {
        (sums.n_steps, sums.n_rows) = (sums.n_steps + 1, sums.n_rows + n_rows);
        if sums.began.elapsed() >= PERIOD {
            tracing::info!("step timings: {}", line(sums));
            *sums = Sums { n_kept: (sums.n_kept.1, sums.n_kept.1), ..Sums::new() };
        }
    });
}

fn line(sums: &Sums) -> String {
    let us = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(sums.n_steps.max(1));
    let parts = PHASES.map(|(phase, name)| format!("{name} {:.0}", us(sums.times[phase as usize])));
    let n_rows = sums.n_rows as f64 / f64::from(sums.n_steps.max(1));
    let all: Duration = sums.times.iter().sum();
    let n_kept = sums.n_kept.1.saturating_sub(sums.n_kept.0);
    format!(
        "{} steps of {n_rows:.1} rows, {n_kept} graphs kept, us a step: {}, all {:.0}",
        sums.n_steps,
        parts.join(", "),
        us(all)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_its_place_and_a_line_has_all() {
        assert!(PHASES.iter().enumerate().all(|(n, (phase, _))| *phase as usize == n));
        let mut sums = Sums { n_steps: 2, n_rows: 8, n_kept: (3, 4), ..Sums::new() };
        sums.times[Phase::Wait as usize] = Duration::from_micros(500);
        assert_eq!(
            line(&sums),
            "2 steps of 4.0 rows, 1 graphs kept, us a step: inbox 0, draft 0, schedule 0, submit 0, wait 250, \
             scan 0, sample 0, commit 0, deliver 0, all 250"
        );
    }
}
