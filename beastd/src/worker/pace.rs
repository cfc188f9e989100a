//! How long a chunk of a prompt takes, and until when it may be given up. Knows no clock.

/// How fast a prompt that is alone is read.
pub(super) struct Pace {
    regular_chunk: usize,
    us_per_token: Option<f64>,
}

impl Pace {
    pub(super) fn new(regular_chunk: usize) -> Self {
        Self { regular_chunk, us_per_token: None }
    }

    /// Until when a chunk may be given up: while what is left of it takes longer than a regular one, which whoever
    /// comes may have to wait for at any time. Always, as long as nobody knows what a token takes. `None` for a chunk
    /// that is no larger than that.
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
