//! One pass over a row of logits, after which the largest are found without another pass: a row of 65,536 is 256 KiB,
//! and each step has one per sequence. Numbers only: knows no llama.cpp.

use std::collections::BTreeMap;
use std::thread;

/// Logits per block; the largest of each block is kept.
pub(super) const BLOCK: usize = 256;
/// Rows per additional thread, and most threads. Starting a thread takes as long as one or two rows.
const ROWS_OF_A_THREAD: usize = 4;
const MOST_THREADS: usize = 4;

/// A row of logits with some blocks replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    logits: &'a [f32],
    changed: Option<&'a BTreeMap<usize, Vec<f32>>>,
}

impl<'a> Row<'a> {
    pub(super) fn plain(logits: &'a [f32]) -> Self {
        Self { logits, changed: None }
    }

    pub(super) fn changed(logits: &'a [f32], changed: &'a BTreeMap<usize, Vec<f32>>) -> Self {
        Self { logits, changed: Some(changed) }
    }

    fn block(&self, n: usize) -> &'a [f32] {
        match self.changed.and_then(|changed| changed.get(&n)) {
            Some(block) => block,
            None => &self.logits[n * BLOCK..self.logits.len().min((n + 1) * BLOCK)],
        }
    }

    /// All, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = (i32, f32)> + 'a {
        (0..).zip((0..self.logits.len().div_ceil(BLOCK)).flat_map(move |n| self.block(n).iter().copied()))
    }
}

/// The result of a pass.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    maxima: Vec<f32>,
    has_nan: bool,
}

impl Scan {
    pub(super) fn of(logits: &[f32]) -> Self {
        let mut n_nan = 0;
        let maximum = |block: &[f32]| {
            let (max, n) = maximum(block);
            n_nan += n;
            max
        };
        let maxima = logits.chunks(BLOCK).map(maximum).collect();
        Self { maxima, has_nan: n_nan > 0 }
    }

    /// Scans several rows, on several threads if that is faster.
    pub(super) fn of_all(rows: &[&[f32]]) -> Vec<Self> {
        let n_threads = (rows.len() / ROWS_OF_A_THREAD).min(MOST_THREADS);
        if n_threads < 2 {
            return rows.iter().map(|row| Self::of(row)).collect();
        }
        let mut parts = rows.chunks(rows.len().div_ceil(n_threads));
        let own = parts.next().unwrap_or_default();
        thread::scope(|scope| {
            let scan = |rows: &[&[f32]]| rows.iter().map(|row| Self::of(row)).collect::<Vec<_>>();
            let others: Vec<_> = parts.map(|part| scope.spawn(move || scan(part))).collect();
            let mut scans = scan(own);
            scans.extend(others.into_iter().flat_map(|other| other.join().expect("numbers do not panic")));
            scans
        })
    }

    /// The scan of the same row with these blocks replaced.
    pub(super) fn with(&self, changed: &BTreeMap<usize, Vec<f32>>) -> Self {
        let mut scan = self.clone();
        for (n, block) in changed {
            scan.maxima[*n] = maximum(block).0;
        }
        scan
    }

    /// The largest.
    pub(super) fn max(&self) -> f32 {
        self.maxima.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    /// Whether all logits are numbers, so that they have an order, and the largest is finite.
    pub(super) fn is_sound(&self) -> bool {
        !self.has_nan && self.max().is_finite()
    }

    /// The index of the largest; ties go to the lower token, as in llama.cpp.
    pub(super) fn argmax(&self, row: Row<'_>) -> usize {
        let mut best = (0, f32::NEG_INFINITY);
        for (n, &max) in self.maxima.iter().enumerate() {
            if max > best.1 {
                best = (n, max);
            }
        }
        if self.maxima.is_empty() {
            return 0;
        }
        best.0 * BLOCK + row.block(best.0).iter().position(|&logit| logit == best.1).unwrap_or(0)
    }

    /// All logits of at least `floor`, in token order.
    pub(super) fn at_least(&self, row: Row<'_>, floor: f32) -> Vec<(i32, f32)> {
        let mut found = Vec::new();
        for (n, _) in self.maxima.iter().enumerate().filter(|(_, max)| **max >= floor) {
            let first = i32::try_from(n * BLOCK).expect("a vocabulary fits into 31 bits");
            found.extend((first..).zip(row.block(n).iter().copied()).filter(|(_, logit)| *logit >= floor));
        }
        found
    }

    /// The `k` largest in descending order. `None` if ties leave that order open, or if `k` is so large that sorting
    /// all is as fast.
    pub(super) fn top(&self, row: Row<'_>, k: usize) -> Option<Vec<(i32, f32)>> {
        if k == 0 || k >= self.maxima.len() {
            return None;
        }
        let mut maxima = self.maxima.clone();
        // `k` blocks have a logit of at least this.
        let (_, floor, _) = maxima.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
        let mut top = self.at_least(row, *floor);
        top.sort_unstable_by(|a, b| b.1.total_cmp(&a.1));
        let is_open = top.windows(2).take(k).any(|pair| pair[0].1 == pair[1].1);
        top.truncate(k);
        (!is_open).then_some(top)
    }
}

/// The largest of a block and the number of NaN, in separate lanes, which the compiler turns into vector registers.
fn maximum(block: &[f32]) -> (f32, u32) {
    const LANES: usize = 16;
    let (mut maxima, mut n_nan) = ([f32::NEG_INFINITY; LANES], [0_u32; LANES]);
    let larger = |max: f32, logit: f32| if logit > max { logit } else { max };
    let chunks = block.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            maxima[lane] = larger(maxima[lane], chunk[lane]);
            n_nan[lane] += u32::from(chunk[lane].is_nan());
        }
    }
    let max = maxima.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger);
    let n_nan = n_nan.iter().sum::<u32>() + rest.iter().map(|logit| u32::from(logit.is_nan())).sum::<u32>();
    (max, n_nan)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
