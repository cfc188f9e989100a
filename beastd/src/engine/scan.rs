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
/// Rows per thread.
const ROWS_OF_A_THREAD: usize = 2;
const MOST_THREADS: usize = 8;
/// Share of the expected time during which helpers sleep; it is less than 1 so that they are awake when work arrives.
const SLEEP: f64 = 0.8;
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

    /// The scan of the same row with these blocks replaced.
    pub(super) fn with(&self, changed: &BTreeMap<usize, Vec<f32>>) -> Self {
        let mut scan = self.clone();
        for (n, block) in changed {
            scan.maxima[*n] = maximum(block).0;
        }
        scan
    }

    /// The largest logit.
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

/// Threads that scan many rows together; they start with the first of these.
#[derive(Default)]
pub(super) struct Scanners(OnceLock<Option<ThreadPool>>);

impl Scanners {
    /// Scans `n_rows` rows. `rows` waits for them, probably as long as `expected`; meanwhile the other threads wake up,
    /// which takes as long as scanning a row or two.
    pub(super) fn scan<'a>(
        &self,
        n_rows: usize,
        expected: Duration,
        rows: impl FnOnce() -> Vec<&'a [f32]>,
    ) -> Vec<Scan> {
        let n_most = thread::available_parallelism().map_or(1, usize::from).div_euclid(2).min(MOST_THREADS);
        let n_threads = (n_rows / ROWS_OF_A_THREAD).min(n_most);
        let pool = if n_threads < 2 { None } else { self.0.get_or_init(|| pool(n_most - 1)).as_ref() };
        let Some(pool) = pool else { return rows().into_iter().map(Scan::of).collect() };
        let (there, next, n_resting) = (OnceLock::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        let (sleepers, scans) = (Mutex::new(Vec::new()), Mutex::new(Vec::with_capacity(n_rows)));
        let scan = |rows: &[&[f32]]| {
            let mine = std::iter::repeat_with(|| next.fetch_add(1, Relaxed)).take_while(|n| *n < rows.len());
            let mine: Vec<_> = mine.map(|n| (n, Scan::of(rows[n]))).collect();
            lock(&scans).extend(mine);
        };
        pool.in_place_scope(|scope| {
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
        });
        let mut scans = scans.into_inner().unwrap_or_else(PoisonError::into_inner);
        scans.sort_unstable_by_key(|(n, _)| *n);
        scans.into_iter().map(|(_, scan)| scan).collect()
    }
}

/// `None` if no threads can be started.
fn pool(n_threads: usize) -> Option<ThreadPool> {
    let builder = ThreadPoolBuilder::new().num_threads(n_threads);
    builder.thread_name(|n| format!("scan {n}")).build().ok()
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

/// The largest logit of a block and the number of NaN, in separate lanes, which the compiler turns into vector
/// registers.
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
