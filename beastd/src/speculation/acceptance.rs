//! Acceptance: the probability that the next draft is right.

/// A probability learned from trials, starting from a prior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    n_right: f64,
    n_tried: f64,
}

/// Weight of the prior, in trials.
const BELIEF: f64 = 4.0;
/// Decay per trial: about the last fifty matter.
const MEMORY: f64 = 0.98;

impl Rate {
    /// A rate without trials, whose prior is `share`.
    pub fn believed(share: f64) -> Self {
        Self { n_right: share * BELIEF, n_tried: BELIEF }
    }

    /// Records whether a draft was accepted.
    pub fn record(&mut self, is_right: bool) {
        self.n_right = self.n_right * MEMORY + f64::from(u8::from(is_right));
        self.n_tried = self.n_tried * MEMORY + 1.0;
    }

    /// The estimate, strictly between 0 and 1.
    pub fn share(&self) -> f64 {
        (self.n_right / self.n_tried).clamp(0.01, 0.99)
    }
}

/// Expected tokens per step with `k` drafts, each accepted with probability `p` given those before it: (1 − p^(k+1)) /
/// (1 − p) (Leviathan et al. 2023, <https://arxiv.org/abs/2211.17192>, equation 1).
pub fn expected_tokens(p: f64, k: usize) -> f64 {
    let k = i32::try_from(k).unwrap_or(i32::MAX - 1);
    (1.0 - p.powi(k + 1)) / (1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_belief_gives_way_to_what_is_seen() {
        let mut rate = Rate::believed(0.5);
        assert_eq!(rate.share(), 0.5);
        (0..100).for_each(|_| rate.record(true));
        assert!(rate.share() > 0.95);
        (0..100).for_each(|_| rate.record(false));
        assert!(rate.share() < 0.15, "{}", rate.share());
    }

    #[test]
    fn the_yield_of_a_step_is_a_geometric_sum() {
        assert_eq!(expected_tokens(0.5, 0), 1.0);
        assert_eq!(expected_tokens(0.5, 1), 1.5);
        assert_eq!(expected_tokens(0.5, 2), 1.75);
        assert!((expected_tokens(0.99, 15) - 14.85).abs() < 0.1);
    }
}
