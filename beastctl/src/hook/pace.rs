//! Prefill speed of the daemon, and whether it can finish in time. Knows numbers and a clock, nothing of the text.

use std::time::{Duration, Instant};

use beast_protocol::Event;

/// More bytes of diff per second of the limit are not worth a try: four times what a small model reads on the fastest
/// machines.
const MAX_BYTES_PER_SECOND: f64 = 128.0 * 1024.0;
/// Prefill slows down towards the end of a prompt and never speeds up, and an estimate may be off by half.
const PROMPT_SLACK: u32 = 2;
/// Parts are computed concurrently, as many as the daemon has slots, so the first one to end represents several.
const PARTS_SLACK: u32 = 8;

/// Whether no machine could read a diff of this length within the limit.
pub(super) fn is_too_long(n_bytes: usize, limit: Duration) -> bool {
    // A float represents lengths up to some petabytes exactly.
    #[allow(clippy::cast_precision_loss, reason = "a text in memory is far below 2^53 bytes")]
    let n_bytes = n_bytes as f64;
    n_bytes > limit.as_secs_f64() * MAX_BYTES_PER_SECOND
}

#[derive(Debug, Default)]
pub(super) struct Pace {
    current: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    began: Instant,
    n_total: u64,
    n_done: u64,
    slack: u32,
}

impl Pace {
    pub(super) fn hear(&mut self, event: &Event, now: Instant) {
        match (event, &mut self.current) {
            (Event::Round(round), _) => self.begin(round.n_parts.into(), PARTS_SLACK, now),
            (Event::Part(part), Some(reading)) => reading.n_done = part.n_done.into(),
            // Tokens that were cached or computed before the first of these events would distort the speed.
            (Event::Progress { n_done, n_total }, current) => match current {
                Some(reading) if reading.slack == PROMPT_SLACK => {
                    let n_left = u64::from(n_total.saturating_sub(*n_done));
                    reading.n_done = reading.n_total.saturating_sub(n_left);
                }
                _ => self.begin(n_total.saturating_sub(*n_done).into(), PROMPT_SLACK, now),
            },
            (Event::Started { .. } | Event::Piece { .. }, _) => self.current = None,
            _ => {}
        }
    }

    fn begin(&mut self, n_total: u64, slack: u32, now: Instant) {
        self.current = Some(Reading { began: now, n_total, n_done: 0, slack });
    }

    /// Whether the rest would take far longer than the time that is left, at the speed so far.
    pub(super) fn is_hopeless(&self, now: Instant, end: Instant) -> bool {
        self.current.as_ref().is_some_and(|Reading { began, n_total, n_done, slack }| {
            let n_left = u32::try_from(n_total.saturating_sub(*n_done)).unwrap_or(u32::MAX);
            let needed = u32::try_from(*n_done).ok().filter(|n| *n > 0).map(|n| (now - *began) / n);
            needed.is_some_and(|each| each.saturating_mul(n_left) > end.saturating_duration_since(now) * *slack)
        })
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
