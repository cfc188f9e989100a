//! Turns of plain steps and turns of steps with drafts, for devices on which a change between them is expensive: a
//! GPU's first steps of another shape take several times as long, because graphs are rebuilt. Arithmetic only.

/// A turn of drafts begins when drafts would have saved this many times the cost of two changes. That cost is doubled
/// for each turn that did not pay. With 1, eight texts that repeat themselves for a few tokens lose 14 % in the
/// simulation (`in_turns_tests.rs`); with 1.5, none loses more than 3 %.
const PROOF: f64 = 1.5;
/// Most times that the cost is doubled.
const MOST_FAILED: u32 = 4;
/// A turn ends when its latest drafts have cost this share of two changes.
const PATIENCE: f64 = 0.5;
/// Within this many steps, a turn of the draft model should have paid: its drafts cannot be checked for free
/// beforehand.
const HORIZON: f64 = 32.0;

/// The current turn.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turns {
    /// Drafts per row; 0 in a turn of plain steps.
    n_draft: usize,
    /// Microseconds: in a turn of plain steps, what drafts would have saved lately; in a turn of drafts, what they have
    /// cost lately.
    balance_us: f64,
    /// Microseconds that this turn has saved.
    saved_us: f64,
    /// Turns of drafts in a row that did not pay.
    n_failed: u32,
}

impl Turns {
    pub(super) fn n_draft(self) -> usize {
        self.n_draft
    }

    /// Records after a plain step what drafts would have saved; negative if they would have cost time.
    pub(super) fn would_have_saved(&mut self, us: f64) {
        self.balance_us = (self.balance_us + us).max(0.0);
    }

    /// Whether the text so far proves that drafts pay, if a change costs `change_us`.
    pub(super) fn is_proven(self, change_us: f64) -> bool {
        self.balance_us >= PROOF * self.stake(change_us)
    }

    /// Whether drafts that save `us` per step are worth a try without proof.
    pub(super) fn is_worth_a_try(self, us: f64, change_us: f64) -> bool {
        us * HORIZON >= self.stake(change_us)
    }

    /// The cost of the two changes of a turn of drafts, doubled for each recent failure.
    fn stake(self, change_us: f64) -> f64 {
        2.0 * change_us * f64::from(1_u32 << self.n_failed.min(MOST_FAILED))
    }

    /// Records that a turn of drafts would not have paid.
    pub(super) fn fail(&mut self) {
        self.n_failed += 1;
    }

    /// Begins a turn of drafts.
    pub(super) fn begin(&mut self, n_draft: usize) {
        *self = Self { n_draft, n_failed: self.n_failed, ..Self::default() };
    }

    /// Records that a step with drafts saved `us`, and would have saved `usual_us` if no change had slowed it down.
    pub(super) fn saved(&mut self, us: f64, usual_us: f64) {
        self.saved_us += us;
        self.balance_us = (self.balance_us - usual_us).max(0.0);
    }

    /// Whether drafts no longer pay.
    pub(super) fn is_lost(self, change_us: f64) -> bool {
        self.n_draft > 0 && self.balance_us > PATIENCE * 2.0 * change_us
    }

    /// Begins a turn of plain steps.
    pub(super) fn end(&mut self, change_us: f64) {
        if self.n_draft > 0 {
            let has_paid = self.saved_us > change_us;
            self.n_failed = if has_paid { 0 } else { self.n_failed + 1 };
        }
        *self = Self { n_failed: self.n_failed, ..Self::default() };
    }

    /// To be called when nothing runs: earlier failures count less then.
    pub(super) fn rest(&mut self, change_us: f64) {
        if self.n_draft == 0 {
            self.n_failed = self.n_failed.saturating_sub(1);
        }
        self.end(change_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_needs_proof_and_after_a_failure_more_of_it() {
        let mut turns = Turns::default();
        let steps_to_proof = |turns: &mut Turns| {
            let n = (1..).find(|_| {
                turns.would_have_saved(100.0);
                turns.is_proven(1000.0)
            });
            n.expect("it ends")
        };
        assert_eq!(steps_to_proof(&mut turns), 30);
        turns.begin(7);
        turns.saved(-1000.0, 0.0);
        assert!(!turns.is_lost(1000.0), "the change itself is no reason to change again");
        (0..11).for_each(|_| turns.saved(-100.0, -100.0));
        assert!(turns.is_lost(1000.0) && turns.n_draft() == 7);
        turns.end(1000.0);
        assert_eq!((turns.n_draft(), steps_to_proof(&mut turns)), (0, 60));
        turns.begin(7);
        (0..50).for_each(|_| turns.saved(100.0, 100.0));
        turns.end(1000.0);
        assert_eq!(steps_to_proof(&mut turns), 30, "a success makes up for failures");
    }

    #[test]
    fn what_drafts_would_have_cost_counts_against_them() {
        let mut turns = Turns::default();
        for _ in 0..1000 {
            turns.would_have_saved(100.0);
            turns.would_have_saved(-120.0);
        }
        assert!(!turns.is_proven(100.0));
        turns.rest(100.0);
        assert!(!turns.is_worth_a_try(1.0, 100.0) && turns.is_worth_a_try(10.0, 100.0));
    }
}
