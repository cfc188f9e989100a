//! Helpers only speed things up: products are right whatever they do, and a helper that is held up delays nothing.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;

use super::*;

use beast_kernels::{BLOCK, InstructionSet, Weights};

/// A matrix of `n_rows` rows with two blocks each, and three columns; all bytes come from a seed.
struct Example {
    weights: Vec<u8>,
    columns: Vec<f32>,
    n_rows: usize,
}

const N_BLOCKS: usize = 2;
const N_COLUMNS: usize = 3;

impl Example {
    fn new(n_rows: usize, mut seed: u64) -> Self {
        let mut next = || {
            // xorshift64 (Marsaglia 2003).
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut weights: Vec<u8> = (0..n_rows * N_BLOCKS * block_bytes()).map(|_| next().to_le_bytes()[0]).collect();
        for block in weights.chunks_mut(block_bytes()) {
            // f16 values of about 0.01: random bytes could also be infinities.
            (block[1], block[3]) = (0x21, 0x21);
        }
        let columns = (0..N_COLUMNS * N_BLOCKS * BLOCK).map(|_| (next() % 2001) as f32 / 1000.0 - 1.0);
        Self { weights, columns: columns.collect(), n_rows }
    }

    fn product(&self, to: &mut [f32]) -> Product {
        assert_eq!(to.len(), self.n_rows * N_COLUMNS);
        let to = To { at: to.as_mut_ptr().cast(), column_bytes: self.n_rows * size_of::<f32>() };
        Product::of_parts(&self.weights, N_BLOCKS * block_bytes(), &self.columns, N_BLOCKS, to)
    }

    /// The result without helpers.
    fn expected(&self, way: &Way) -> Vec<f32> {
        let mut to = vec![f32::NAN; self.n_rows * N_COLUMNS];
        let product = self.product(&mut to);
        let mut task = Task::default();
        // SAFETY: the parts are alive, and the test has checked the CPU.
        unsafe {
            task.round(&product, way);
            way.compute(&product, task.columns(), 0..self.n_rows, product.to);
        }
        to
    }

    fn computed(&self, crew: &Crew, way: &Way) -> Vec<f32> {
        let mut to = vec![f32::NAN; self.n_rows * N_COLUMNS];
        // SAFETY: as above.
        unsafe { crew.multiply(&self.product(&mut to), way) };
        to
    }
}

fn block_bytes() -> usize {
    Weights::Q4K.block_bytes()
}

fn few_columns() -> Way {
    InstructionSet::best().and_then(|set| set.few(Weights::Q4K)).expect("the test has checked the CPU")
}

fn in_tiles() -> Way {
    InstructionSet::best().and_then(|set| set.tiles(Weights::Q4K)).expect("the test has checked the CPU")
}

fn is_supported() -> bool {
    let is_supported = InstructionSet::best().is_some_and(|set| set.few(Weights::Q4K).is_some());
    if !is_supported {
        beast_tests::skip("this CPU has no kernels");
    }
    is_supported
}

#[test]
fn products_are_the_same_however_many_help() {
    if !is_supported() {
        return;
    }
    // There are more helpers than cores, so they are paused at any moment, and their pieces computed again.
    for n_helpers in [1, 2, 7] {
        let sizes = [1, 2, 15, 16, 17, 33, 512, 1000, 4096].repeat(20);
        // The weights must outlive the helpers, which may be late.
        let examples: Vec<_> = (1..).zip(sizes).map(|(seed, n_rows)| Example::new(n_rows, seed)).collect();
        let crew = Crew::new(n_helpers);
        for example in &examples {
            for way in [few_columns(), in_tiles()] {
                let (n_rows, unit) = (example.n_rows, way.unit);
                let (computed, expected) = (example.computed(&crew, &way), example.expected(&way));
                assert_eq!(computed, expected, "{n_rows} rows, {n_helpers} helpers, {unit} rows at once");
            }
        }
    }
}

#[test]
fn a_helper_that_is_held_up_holds_up_nobody() {
    /// Helpers that have started a piece and may not finish it.
    static N_HELD: AtomicUsize = AtomicUsize::new(0);
    static MAY_END: AtomicBool = AtomicBool::new(false);

    unsafe fn compute(product: &Product, columns: *const u8, rows: Range<usize>, next: usize, to: To) {
        if thread::current().name().is_some_and(|name| name.starts_with("helper")) {
            N_HELD.fetch_add(1, Ordering::SeqCst);
            while !MAY_END.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        // SAFETY: as promised by the caller.
        unsafe { few_columns().compute_before(next, product, columns, rows, to) };
    }

    if !is_supported() {
        return;
    }
    // The weights must outlive the helpers, which may be late.
    let example = Example::new(512, 7);
    let crew = Crew::new(2);
    let way = Way { compute, ..few_columns() };
    let expected = example.expected(&few_columns());
    // Helpers need a moment to get their first piece; all products meanwhile must be right too.
    while N_HELD.load(Ordering::SeqCst) < 2 {
        assert_eq!(example.computed(&crew, &way), expected);
    }
    // Each helper blocks one job until it may finish.
    for seed in 1..50 {
        let other = Example::new(300, seed);
        assert_eq!(other.computed(&crew, &way), other.expected(&few_columns()));
    }
    MAY_END.store(true, Ordering::SeqCst);
    assert_eq!(example.computed(&crew, &way), expected);
}

#[test]
fn helpers_sleep_when_there_is_nothing_to_do_and_wake_up_again() {
    if !is_supported() {
        return;
    }
    static N_HELPED: AtomicUsize = AtomicUsize::new(0);
    unsafe fn compute(product: &Product, columns: *const u8, rows: Range<usize>, next: usize, to: To) {
        let is_helper = thread::current().name().is_some_and(|name| name.starts_with("helper"));
        N_HELPED.fetch_add(usize::from(is_helper), Ordering::SeqCst);
        // SAFETY: as promised by the caller.
        unsafe { few_columns().compute_before(next, product, columns, rows, to) };
    }
    let example = Example::new(512, 9);
    let crew = Crew::new(1);
    for _ in 0..3 {
        while !crew.shared.helpers[0].is_asleep.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let before = N_HELPED.load(Ordering::SeqCst);
        while N_HELPED.load(Ordering::SeqCst) == before {
            example.computed(&crew, &Way { compute, ..few_columns() });
        }
    }
}

#[test]
fn each_thread_has_helpers_of_its_own_for_as_long_as_somebody_keeps_them() {
    let n_helpers = || CREW.with_borrow(Weak::upgrade).map_or(0, |crew| crew.threads.len());
    let first = Helpers::of_this_thread(2);
    let second = Helpers::of_this_thread(2);
    assert_eq!(n_helpers(), 2);
    drop(first);
    assert_eq!(n_helpers(), 2);
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(CREW.with_borrow(Weak::upgrade).is_none())).join().expect("it ends").expect("told");
    assert!(told.recv().expect("it was told"), "another thread has none");
    drop(second);
    assert_eq!(n_helpers(), 0);
    drop(Helpers::of_this_thread(0));
}
