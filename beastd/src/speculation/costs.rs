//! Cost of a step of n tokens on this machine, in microseconds: measured, not assumed.
//!
//! A GPU computes sixteen tokens in hardly more time than one; two CPU cores need two to six times as long. This curve
//! decides more than anything else whether speculation pays, so every step refines it, with one curve per number of
//! threads.

use std::collections::BTreeMap;

/// Weight of a new measurement.
const WEIGHT: f64 = 0.2;
/// A step this many times slower than expected was disturbed; it moves the estimate by at most this factor. The first
/// step of a size is compared with what was assumed: if it counted in full, a busy moment could end drafts for good,
/// since what seems not to pay is not tried again.
const OUTLIER: f64 = 1.5;
/// Before anything larger was measured, each further token is assumed to cost this share of the first: optimistic, so
/// that larger steps get tried. On a GPU it is accurate.
const UNKNOWN_SLOPE: f64 = 0.1;

/// One curve per number of threads.
#[derive(Debug, Clone, Default)]
pub struct StepCosts {
    n_threads: usize,
    change_us: f64,
    curves: BTreeMap<usize, Curve>,
    /// One curve per number of rows, for steps of several rows where shapes matter.
    by_rows: BTreeMap<usize, Curve>,
}

/// Microseconds by tokens of a step.
type Curve = BTreeMap<usize, f64>;

impl StepCosts {
    /// No measurements.
    pub fn new(n_threads: usize) -> Self {
        Self { n_threads, change_us: 0.0, curves: BTreeMap::new(), by_rows: BTreeMap::new() }
    }

    /// Earlier measurements for the current number of threads: (tokens of a step, microseconds).
    #[must_use]
    pub fn knowing(mut self, curve: impl IntoIterator<Item = (usize, f64)>) -> Self {
        self.curves.entry(self.n_threads).or_default().extend(curve);
        self
    }

    /// Sets the cost of a shape change: the total extra time of the first steps of another shape, in microseconds.
    #[must_use]
    pub fn changing(self, change_us: f64) -> Self {
        Self { change_us, ..self }
    }

    /// The cost of a shape change; 0 where the shape of the previous step does not matter, as on a CPU.
    pub fn change_us(&self) -> f64 {
        self.change_us
    }

    /// Sets the number of threads.
    pub fn set_threads(&mut self, n_threads: usize) {
        self.n_threads = n_threads;
    }

    /// Records a step of `n` tokens in `n_rows` rows.
    pub fn record(&mut self, n_rows: usize, n: usize, us: f64) {
        let curve = match self.is_by_rows(n_rows) {
            true => self.by_rows.entry(n_rows).or_default(),
            false => self.curves.entry(self.n_threads).or_default(),
        };
        if let Some(remembered) = curve.get_mut(&n) {
            *remembered += (us.min(*remembered * OUTLIER) - *remembered) * WEIGHT;
            return;
        }
        let assumed = curve.range(..n).next().and_then(|_| on(curve, n));
        curve.insert(n, assumed.map_or(us, |assumed| us.min(assumed * OUTLIER)));
    }

    /// Microseconds of a step of `n` tokens in `n_rows` rows, interpolated. `None` before anything was measured.
    pub fn us(&self, n_rows: usize, n: usize) -> Option<f64> {
        let single = |n| on(self.curves.get(&self.n_threads)?, n);
        let rows = self.by_rows.get(&n_rows).filter(|_| self.is_by_rows(n_rows));
        let Some((curve, (&most, &us))) = rows.and_then(|curve| Some((curve, curve.last_key_value()?))) else {
            return single(n);
        };
        if n <= most {
            return on(curve, n);
        }
        // Tokens beyond the largest measured step cost as much as in a single row.
        Some(us + (single(n)? - single(most)?).max(0.0))
    }

    /// On a GPU, a step of sixteen sequences with one token each takes twice as long as one of a single sequence with
    /// sixteen tokens; on a CPU, they take the same time.
    fn is_by_rows(&self, n_rows: usize) -> bool {
        self.change_us > 0.0 && n_rows > 1
    }
}

/// The time at `n` tokens.
fn on(curve: &Curve, n: usize) -> Option<f64> {
    let below = curve.range(..=n).next_back();
    let above = curve.range(n..).next();
    match (below, above) {
        (Some((&a, &us_a)), Some((&b, &us_b))) if a < b => Some(us_a + (us_b - us_a) * (n - a) as f64 / (b - a) as f64),
        (Some((_, &us)), Some(_)) => Some(us),
        (Some((&a, &us)), None) => {
            let (&first, &us_first) = curve.iter().next()?;
            Some(us + us_first / first as f64 * UNKNOWN_SLOPE * (n - a) as f64)
        }
        // A step is never cheaper per token than a larger one.
        (None, Some((&b, &us))) => Some(us * n as f64 / b as f64),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_measured_sizes_it_is_in_proportion_and_beyond_them_hopeful() {
        let costs = StepCosts::new(2).knowing([(1, 100.0), (5, 300.0)]);
        let at = |n| costs.us(1, n).expect("known");
        assert_eq!((at(1), at(3), at(5)), (100.0, 200.0, 300.0));
        assert_eq!(at(7), 320.0);
        assert_eq!(StepCosts::new(1).us(1, 1), None);
    }

    #[test]
    fn it_learns_and_a_disturbed_step_hardly_counts() {
        let mut costs = StepCosts::new(1);
        costs.record(1, 1, 100.0);
        costs.record(1, 1, 4000.0);
        assert_eq!(costs.us(1, 1), Some(110.0));
        for _ in 0..50 {
            costs.record(1, 1, 50.0);
        }
        assert!(costs.us(1, 1).is_some_and(|us| us < 51.0));
    }

    #[test]
    fn a_disturbed_first_step_does_not_end_drafts_for_good() {
        let mut costs = StepCosts::new(1);
        costs.record(1, 1, 100.0);
        costs.record(1, 8, 9000.0);
        assert_eq!(
            costs.us(1, 8),
            Some(255.0),
            "as if it had taken 1.5 times as long as assumed, so it is tried again"
        );
        costs.record(1, 4, 110.0);
        assert_eq!(costs.us(1, 4), Some(110.0), "nothing disturbed that");
        (0..20).for_each(|_| costs.record(1, 8, 600.0));
        assert!(costs.us(1, 8).is_some_and(|us| us > 590.0), "what is always slow is learned");
    }

    #[test]
    fn each_number_of_threads_has_its_own_curve() {
        let mut costs = StepCosts::new(2).knowing([(1, 50.0)]);
        costs.set_threads(1);
        assert_eq!(costs.us(1, 1), None);
        costs.record(1, 1, 70.0);
        costs.set_threads(2);
        assert_eq!(costs.us(1, 1), Some(50.0));
    }

    #[test]
    fn where_shapes_matter_each_number_of_rows_has_its_own_curve() {
        let mut costs = StepCosts::new(1).knowing([(1, 100.0), (16, 130.0), (64, 226.0)]).changing(500.0);
        assert_eq!(costs.us(4, 4), costs.us(1, 4), "as a guess");
        costs.record(16, 16, 260.0);
        assert_eq!((costs.us(16, 16), costs.us(1, 16)), (Some(260.0), Some(130.0)));
        assert_eq!(costs.us(16, 64), Some(260.0 + 96.0));
        costs.record(16, 64, 300.0);
        assert_eq!((costs.us(16, 64), costs.us(16, 40)), (Some(300.0), Some(280.0)));
    }
}
