//! Estimates how long a prompt chunk takes, and until when it may be interrupted. Knows no clock.

/// Prefill speed of a prompt that runs alone.
pub(super) struct Pace {
    regular_chunk: usize,
    us_per_token: Option<f64>,
}

impl Pace {
    pub(super) fn new(regular_chunk: usize) -> Self {
        Self { regular_chunk, us_per_token: None }
    }

    /// The time until which a chunk may be interrupted: while its remainder takes longer than a regular chunk, for
    /// which a new request may have to wait at any time. `u64::MAX` until the time per token is known. `None` for a
    /// chunk no larger than a regular one.
    pub(super) fn until_us(&self, began_us: u64, n_tokens: usize) -> Option<u64> {
        let n_more = n_tokens.checked_sub(self.regular_chunk).filter(|&n_more| n_more > 0)?;
        Some(self.us_per_token.map_or(u64::MAX, |us| began_us + (n_more as f64 * us) as u64))
    }

    pub(super) fn learn(&mut self, n_tokens: usize, us: u64) {
        self.us_per_token = Some(us as f64 / n_tokens as f64);
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
