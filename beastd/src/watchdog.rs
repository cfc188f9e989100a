//! Detects an engine step that does not finish, and the requests in it. Such a step cannot be stopped, only reported.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::batch::{Batch, SeqId};
use crate::clock::now_us;

/// Steps that take longer are reported. The largest prefill chunk has about 500 tokens: a machine that computes five
/// per second is slow, not stuck.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Default)]
pub struct Watchdog {
    /// Start of the step; 0 between steps.
    began_us: AtomicU64,
    requests: Mutex<Vec<SeqId>>,
    was_told: AtomicBool,
}

/// A step that has taken too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// Its duration so far.
    pub lasts: Duration,
    /// The requests in it.
    pub requests: Vec<u64>,
}

impl Watchdog {
    /// Records the start of a step.
    pub fn begin(&self, batch: &Batch, began_us: u64) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.clear();
        requests.extend(batch.rows.iter().map(|row| row.seq));
        self.was_told.store(false, Relaxed);
        self.began_us.store(began_us, Relaxed);
    }

    /// Records the end of the step.
    pub fn end(&self) {
        self.began_us.store(0, Relaxed);
    }

    /// The current step, if it has run for too long.
    pub fn stall(&self, now_us: u64) -> Option<Stall> {
        let began_us = self.began_us.load(Relaxed);
        let lasts = Duration::from_micros(now_us.saturating_sub(began_us));
        (began_us > 0 && lasts >= LIMIT).then(|| {
            let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            Stall { lasts, requests: requests.iter().map(|id| id.0).collect() }
        })
    }

    /// Checks periodically while a client waits, and logs a stall once. Never resolves.
    pub async fn watch(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LIMIT).await;
            if let Some(Stall { lasts, requests }) = self.stall(now_us())
                && !self.was_told.swap(true, Relaxed)
            {
                tracing::error!(
                    ?requests,
                    ?lasts,
                    "an engine step does not finish; try: kill the process and restart it"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Row, SlotId};

    #[test]
    fn a_step_that_lasts_too_long_is_told_with_its_requests_until_it_ends() {
        let row = Row { seq: SeqId(7), slot: SlotId(0), pos: 0, tokens: Vec::new(), n_draft: 0, sample: false };
        let (watchdog, batch) = (Watchdog::default(), Batch { edits: Vec::new(), rows: vec![row] });
        let later = 1 + u64::try_from(LIMIT.as_micros()).expect("short");
        assert_eq!(watchdog.stall(later), None);
        watchdog.begin(&batch, 1);
        assert_eq!(watchdog.stall(later - 1), None);
        assert_eq!(watchdog.stall(later), Some(Stall { lasts: LIMIT, requests: vec![7] }));
        watchdog.end();
        assert_eq!(watchdog.stall(later), None);
    }
}
