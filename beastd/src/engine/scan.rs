//! One pass over a row of logits, after which the largest are found without another: a row of 65,536 is a quarter of a
//! megabyte, and there is one for each sequence in each step. Numbers only: knows no llama.cpp.

/// Logits of a block, of which the largest is remembered.
const BLOCK: usize = 256;

/// What a pass has found.
#[derive(Debug)]
pub(super) struct Scan {
    maxima: Vec<f32>,
    has_nan: bool,
}

impl Scan {
    pub(super) fn of(logits: &[f32]) -> Self {
        let mut n_nan = 0;
        let maximum = |block: &[f32]| {
            // The compiler turns both into vector instructions, as long as nothing asks for the place.
            let (max, n) = block.iter().fold((f32::NEG_INFINITY, 0_u32), |(max, n), &logit| {
                (if logit > max { logit } else { max }, n + u32::from(logit.is_nan()))
            });
            n_nan += n;
            max
        };
        let maxima = logits.chunks(BLOCK).map(maximum).collect();
        Self { maxima, has_nan: n_nan > 0 }
    }

    /// The largest.
    pub(super) fn max(&self) -> f32 {
        self.maxima.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// Whether all are numbers, and the largest is finite: what is not a number has no order.
    pub(super) fn is_sound(&self) -> bool {
        !self.has_nan && self.max().is_finite()
    }

    /// The place of the largest; ties go to the lower token, as in llama.cpp.
    pub(super) fn argmax(&self, logits: &[f32]) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for (n, &max) in self.maxima.iter().enumerate() {
            if max > best.1 {
                best = (n, max);
            }
        }
        let start = best.0 * BLOCK;
        start + logits[start..].iter().position(|&logit| logit == best.1).unwrap_or(0)
    }

    /// All that are at least this, in the order of the tokens.
    pub(super) fn at_least(&self, logits: &[f32], floor: f32) -> Vec<(i32, f32)> {
        let mut found = Vec::new();
        let blocks = self.maxima.iter().zip(logits.chunks(BLOCK)).enumerate();
        for (n, (_, block)) in blocks.filter(|(_, (max, _))| **max >= floor) {
            let first = i32::try_from(n * BLOCK).expect("a vocabulary fits into 31 bits");
            found.extend((first..).zip(block.iter().copied()).filter(|(_, logit)| *logit >= floor));
        }
        found
    }

    /// The `k` largest in descending order. `None` when equals among them leave that order open, or `k` is so large that
    /// sorting everything is no slower.
    pub(super) fn top(&self, logits: &[f32], k: usize) -> Option<Vec<(i32, f32)>> {
        if k == 0 || k >= self.maxima.len() {
            return None;
        }
        let mut maxima = self.maxima.clone();
        // Of so many blocks each has one that is at least this.
        let (_, floor, _) = maxima.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        let mut top = self.at_least(logits, *floor);
        top.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        let is_open = top.windows(2).take(k).any(|pair| pair[0].1 == pair[1].1);
        top.truncate(k);
        (!is_open).then_some(top)
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
