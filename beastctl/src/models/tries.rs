//! Retries: how many, and with which pauses.

use std::time::Duration;

use super::{
    download::{Means, Patience, Report},
    error::ModelError,
    flow::{FlowError, Whose},
    url::shown,
};

/// Pause between tries as long as new bytes arrive.
const SHORT_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Counts failures, and waits before the next try.
pub(super) struct Tries {
    url: String,
    patience: Patience,
    n_failed: u32,
    /// Whether the server has been reached before.
    had_progress: bool,
}

impl Tries {
    pub(super) fn new(url: &str, patience: Patience) -> Self {
        Self { url: shown(url), patience, n_failed: 0, had_progress: false }
    }

    /// Waits for the next try; the error says why there is none.
    pub(super) fn failed(
        &mut self,
        failure: FlowError,
        after: Option<Duration>,
        has_progress: bool,
        n_kept: u64,
        means: &mut Means<'_>,
    ) -> Result<(), ModelError> {
        let (url, reason) = (self.url.clone(), failure.reason);
        self.had_progress |= has_progress;
        match failure.whose {
            Whose::Server => return Err(ModelError::Misled { url, reason }),
            Whose::Way if !self.had_progress => return Err(ModelError::Unreachable { url, reason }),
            Whose::Way | Whose::Connection => {}
        }
        self.n_failed = if has_progress { 0 } else { self.n_failed + 1 };
        if self.n_failed > self.patience.n_tries {
            return Err(ModelError::GaveUp { url, reason, n_tries: self.n_failed, n_kept });
        }
        let doubled = |n| self.patience.pause.saturating_mul(1_u32 << n).min(LONGEST_PAUSE);
        let pause = self.n_failed.checked_sub(1).map_or(SHORT_PAUSE, |n| doubled(n.min(16)));
        let pause = pause.max(after.unwrap_or_default());
        (means.report)(Report::Pause(reason, pause));
        Ok(means.wait.pause(pause)?)
    }
}

#[cfg(test)]
#[path = "tries_tests.rs"]
mod tests;
