//! One pass over a row of logits, after which the largest are found without another one. A row of 65,536 logits is 256
//! KiB, and each step has one per sequence. Numbers only: knows no llama.cpp.

use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Logits per block; a scan keeps the largest of each block.
pub(super) const BLOCK: usize = 256;
/// Threads for each row; a single row is not worth waking any.
const THREADS_OF_A_ROW: usize = 2;
const MOST_THREADS: usize = 8;
/// Share of the expected time during which helpers sleep; it is less than 1 so that they are awake when work arrives.
const SLEEP: f64 = 0.8;
/// How often to look elsewhere while helpers that have nothing left to do leave.
const LEAVING: u32 = 64;
/// Time for which helpers stay awake without work.
const PATIENCE: Duration = Duration::from_millis(2);

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

    /// All logits, in order.
    pub(super) fn iter(self) -> impl Iterator<Item = (i32, f32)> + 'a {
        (0..).zip((0..self.logits.len().div_ceil(BLOCK)).flat_map(move |n| self.block(n).iter().copied()))
    }
}

/// The result of a pass.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    /// The largest logit of each block; NaN if the block has one.
    maxima: Vec<f32>,
    /// The block with the largest logit; of several, the first.
    best: usize,
    has_nan: bool,
}

impl Scan {
    pub(super) fn of(logits: &[f32]) -> Self {
        Self::of_maxima(logits.chunks(BLOCK).map(maximum).collect())
    }

    fn of_maxima(maxima: Vec<f32>) -> Self {
        let (mut best, mut largest, mut has_nan) = (0, f32::NEG_INFINITY, false);
        for (n, &max) in maxima.iter().enumerate() {
            has_nan |= max.is_nan();
            if max > largest {
                (best, largest) = (n, max);
            }
        }
        Self { maxima, best, has_nan }
    }

    /// The scan of the same row with these blocks replaced.
    pub(super) fn with(&self, changed: &BTreeMap<usize, Vec<f32>>) -> Self {
        let mut maxima = self.maxima.clone();
        for (n, block) in changed {
            maxima[*n] = maximum(block);
        }
        Self::of_maxima(maxima)
    }

    /// The largest logit.
    pub(super) fn max(&self) -> f32 {
        self.maxima.get(self.best).copied().unwrap_or(f32::NEG_INFINITY)
    }

    /// Whether all logits are numbers, so that they have an order, and the largest is finite.
    pub(super) fn is_sound(&self) -> bool {
        !self.has_nan && self.max().is_finite()
    }

    /// The index of the largest; ties go to the lower token, as in llama.cpp.
    pub(super) fn argmax(&self, row: Row<'_>) -> usize {
        let max = self.max();
        if self.maxima.is_empty() {
            return 0;
        }
        self.best * BLOCK + row.block(self.best).iter().position(|&logit| logit == max).unwrap_or(0)
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

/// Threads that scan many rows together; they start with the first of these.
#[derive(Default)]
pub(super) struct Scanners(OnceLock<Threads>);

/// Helpers, and how many threads they are with the caller's; no helpers on a machine with few cores, or if none can be
/// started.
struct Threads {
    helpers: Option<ThreadPool>,
    n_most: usize,
}

impl Scanners {
    /// Scans `n_rows` rows of `n_logits` each. `rows` waits for them, probably as long as `expected`; meanwhile the
    /// helpers wake up, which takes as long as scanning a row or two. Whatever can be done before is: from the moment
    /// that the rows are there the GPU is idle, and allocating there would let threads wait for each other.
    pub(super) fn scan<'a>(
        &self,
        (n_rows, n_logits): (usize, usize),
        expected: Duration,
        rows: impl FnOnce() -> Vec<&'a [f32]>,
    ) -> Vec<Scan> {
        let Threads { helpers, n_most } = self.0.get_or_init(Threads::start);
        let n_threads = if n_rows < 2 { 1 } else { (n_rows * THREADS_OF_A_ROW).min(*n_most) };
        let Some(helpers) = helpers.as_ref().filter(|_| n_threads > 1) else {
            return rows().into_iter().map(Scan::of).collect();
        };
        let n_blocks = n_logits.div_ceil(BLOCK);
        let mut maxima = vec![vec![f32::NAN; n_blocks]; n_rows];
        // No smaller than needed: memory is read fastest in one go.
        let size = n_blocks.div_ceil(n_threads.div_ceil(n_rows)).max(1);
        let pieces = maxima.iter_mut().enumerate().flat_map(|(row, maxima)| {
            let pieces = (0..).step_by(size).zip(maxima.chunks_mut(size));
            pieces.map(move |(block, maxima)| Mutex::new(Piece { row, block, maxima }))
        });
        let pieces: Vec<_> = pieces.collect();
        let (there, next, n_resting) = (OnceLock::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        let sleepers = Mutex::new(Vec::with_capacity(n_threads));
        let scan = |rows: &[&[f32]]| {
            while let Some(piece) = pieces.get(next.fetch_add(1, Relaxed)) {
                lock(piece).scan(rows);
            }
        };
        helpers.in_place_scope(|scope| {
            for _ in 1..n_threads {
                scope.spawn(|_| {
                    lock(&sleepers).push(thread::current());
                    scan(wait_for(&there, expected.mul_f64(SLEEP)));
                    n_resting.fetch_add(1, Release);
                });
            }
            // If `rows` panics, this releases the others, which would otherwise wait forever.
            let released = Released(&there);
            let rows = released.0.get_or_init(rows);
            lock(&sleepers).iter().for_each(thread::Thread::unpark);
            scan(rows);
            // To sleep at the end of the scope and be woken up takes longer than what is left to do.
            while n_resting.load(Acquire) + 1 < n_threads {
                std::hint::spin_loop();
            }
            for _ in 0..LEAVING {
                std::hint::spin_loop();
            }
        });
        drop(pieces);
        maxima.into_iter().map(Scan::of_maxima).collect()
    }
}

impl Threads {
    /// For half of the cores.
    fn start() -> Self {
        Self::of(thread::available_parallelism().map_or(1, usize::from).div_euclid(2).min(MOST_THREADS))
    }

    fn of(n_most: usize) -> Self {
        let builder = ThreadPoolBuilder::new().num_threads(n_most.saturating_sub(1));
        let helpers = (n_most > 1).then(|| builder.thread_name(|n| format!("scan {n}")).build().ok());
        Self { helpers: helpers.flatten(), n_most }
    }
}

/// Some blocks of a row, and the place for their maxima.
struct Piece<'m> {
    row: usize,
    /// The first block.
    block: usize,
    maxima: &'m mut [f32],
}

impl Piece<'_> {
    fn scan(&mut self, rows: &[&[f32]]) {
        // There are no rows if waiting for them has failed.
        let logits = rows.get(self.row).and_then(|row| row.get(self.block * BLOCK..)).unwrap_or_default();
        for (max, block) in self.maxima.iter_mut().zip(logits.chunks(BLOCK)) {
            *max = maximum(block);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the rows to none when dropped, if they are not set yet, so that waiting threads continue.
struct Released<'p, 'a>(&'p OnceLock<Vec<&'a [f32]>>);

impl Drop for Released<'_, '_> {
    fn drop(&mut self) {
        self.0.get_or_init(Vec::new);
    }
}

/// Waits for the rows: sleeps, spins around the expected time, then sleeps again. Waking up takes as long as scanning a
/// row.
fn wait_for<'p, 'a>(there: &'p OnceLock<Vec<&'a [f32]>>, expected: Duration) -> &'p [&'a [f32]] {
    let began = Instant::now();
    loop {
        if let Some(rows) = there.get() {
            return rows;
        }
        match began.elapsed() {
            early if early < expected => thread::park_timeout(expected - early),
            late if late < expected + PATIENCE => std::hint::spin_loop(),
            _ => thread::park_timeout(PATIENCE),
        }
    }
}

/// The largest logit of a block, or NaN if one is. In separate lanes, which the compiler turns into vector registers.
fn maximum(block: &[f32]) -> f32 {
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
    let n_nan = n_nan.iter().sum::<u32>() + rest.iter().map(|logit| u32::from(logit.is_nan())).sum::<u32>();
    if n_nan > 0 {
        return f32::NAN;
    }
    maxima.iter().chain(rest).copied().fold(f32::NEG_INFINITY, larger)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
