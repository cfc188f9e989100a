//! Compares attention, with all instruction sets that this CPU has, with its definition.

#![allow(clippy::print_stderr, reason = "what is not tested here is said")]

use std::io::Write;
use std::ops::Range;

use super::*;
use crate::InstructionSet;
use crate::tests::{Noise, half, sets};

/// A KV cache, queries and a mask.
struct Example {
    shape: Shape,
    queries: Vec<f32>,
    /// f16 values, cell by cell: all heads' keys, then all heads' values. Or head by head, all cells' keys, and then the
    /// values.
    cache: Vec<u16>,
    is_by_head: bool,
    /// Instead, the cache in Q8_0, in the same order.
    q8: Option<Vec<u8>>,
    /// The same as floats.
    floats: Vec<f32>,
    mask: Option<Vec<u16>>,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    n_rows: usize,
    n_cells: usize,
    n_kv_heads: usize,
    group: usize,
    size: usize,
    value_size: usize,
}

/// An f16 value of about -1 to 1.
fn noisy_half(noise: &mut Noise) -> u16 {
    let bits = u16::try_from(noise.below(0x1_0000)).expect("it fits");
    bits & 0x83ff | u16::try_from(8 + noise.below(7)).expect("small") << 10
}

impl Example {
    fn new(shape: Shape, mask: Option<Vec<u16>>, noise: &mut Noise) -> Self {
        let n_queries = shape.n_rows * shape.n_kv_heads * shape.group;
        let queries = (0..n_queries * shape.size).map(|_| 4.0 * noise.float()).collect();
        let n = shape.n_cells * shape.n_kv_heads * (shape.size + shape.value_size);
        let cache: Vec<u16> = (0..n).map(|_| noisy_half(noise)).collect();
        let floats = cache.iter().map(|bits| half(*bits)).collect();
        Self { shape, queries, cache, is_by_head: noise.below(2) == 1, q8: None, floats, mask }
    }

    /// Each row attends to its own cells and some before, as a prompt's tokens do at the end of a cache.
    fn causal(shape: Shape, noise: &mut Noise) -> Self {
        let Shape { n_rows, n_cells, .. } = shape;
        let is_masked = |row: usize, cell: usize| cell + n_rows > n_cells + row;
        let of_row = |row| (0..n_cells).map(move |cell| if is_masked(row, cell) { MASKED } else { 0 });
        Self::new(shape, Some((0..n_rows).flat_map(of_row).collect()), noise)
    }

    /// Each row attends to the last cells only, the later the fewer, so that the first blocks are nothing to some.
    fn late(shape: Shape, noise: &mut Noise) -> Self {
        let Shape { n_rows, n_cells, .. } = shape;
        let is_masked = |row: usize, cell: usize| cell * n_rows < row * n_cells;
        let of_row = |row| (0..n_cells).map(move |cell| if is_masked(row, cell) { MASKED } else { 0x3800 });
        Self::new(shape, Some((0..n_rows).flat_map(of_row).collect()), noise)
    }

    /// Any cells, some with a value of their own.
    fn scattered(shape: Shape, noise: &mut Noise) -> Self {
        let mask = (0..shape.n_rows * shape.n_cells).map(|_| match noise.below(4) {
            0 | 1 => MASKED,
            2 => 0,
            _ => noisy_half(noise),
        });
        let mask = mask.collect();
        Self::new(shape, Some(mask), noise)
    }

    /// The same with another cache, in Q8_0.
    fn with_bytes(mut self, noise: &mut Noise) -> Self {
        let mut q8 = Vec::new();
        for floats in self.floats.chunks_mut(32) {
            // 1 / 256 to 1 / 128.
            let scale = 7 << 10 | noisy_half(noise) & 0x3ff;
            q8.extend(scale.to_le_bytes());
            for x in floats {
                let byte = noise.next().to_le_bytes()[0];
                q8.push(byte);
                *x = half(scale) * f32::from(byte.cast_signed());
            }
        }
        self.q8 = Some(q8);
        self
    }

    fn cell_size(&self) -> usize {
        self.shape.n_kv_heads * (self.shape.size + self.shape.value_size)
    }

    /// Where all keys or values begin, and the numbers from one cell to the next, and from one head to the next.
    fn layout(&self, is_value: bool) -> [usize; 3] {
        let Shape { n_cells, n_kv_heads, size, value_size, .. } = self.shape;
        let own = if is_value { value_size } else { size };
        match self.is_by_head {
            true => [if is_value { n_cells * n_kv_heads * size } else { 0 }, own, n_cells * own],
            false => [if is_value { n_kv_heads * size } else { 0 }, self.cell_size(), own],
        }
    }

    /// Where the key or value of a cell and head is.
    fn place(&self, is_value: bool, cell: usize, head: usize) -> Range<usize> {
        let [start, by_cell, by_head] = self.layout(is_value);
        let at = start + cell * by_cell + head * by_head;
        at..at + if is_value { self.shape.value_size } else { self.shape.size }
    }

    fn set(&mut self, at: usize, bits: u16) {
        (self.cache[at], self.floats[at]) = (bits, half(bits));
    }

    /// One row with the same cache.
    fn alone(&self, row: usize) -> Self {
        let Shape { n_cells, n_kv_heads, group, size, .. } = self.shape;
        let n = n_kv_heads * group * size;
        Self {
            shape: Shape { n_rows: 1, ..self.shape },
            queries: self.queries[row * n..][..n].to_vec(),
            cache: self.cache.clone(),
            is_by_head: self.is_by_head,
            q8: self.q8.clone(),
            floats: self.floats.clone(),
            mask: self.mask.as_ref().map(|mask| mask[row * n_cells..][..n_cells].to_vec()),
        }
    }

    /// By row, query head and number.
    fn computed(&self, set: InstructionSet) -> Vec<f32> {
        self.computed_by(set, 1)
    }

    fn computed_by(&self, set: InstructionSet, n_threads: usize) -> Vec<f32> {
        let Shape { n_rows, n_cells, n_kv_heads, group, size, value_size } = self.shape;
        let n_heads = n_kv_heads * group;
        let mut results = vec![f32::NAN; n_rows * n_heads * value_size];
        let heads = |is_value| {
            let [start, by_cell, by_head] = self.layout(is_value);
            let size = self.place(is_value, 0, 0).len();
            let (numbers, at, bytes): (_, *const u8, fn(usize) -> usize) = match &self.q8 {
                Some(q8) => (Numbers::Q8, q8[start / 32 * 34..].as_ptr(), |n| n / 32 * 34),
                None => (Numbers::F16, self.cache[start..].as_ptr().cast(), |n| 2 * n),
            };
            let (row_bytes, head_bytes) = (bytes(by_cell), bytes(by_head));
            Heads { numbers, at, row_bytes, head_bytes, n_heads: n_kv_heads, size }
        };
        // With a gap after each row.
        let padded = self.mask.as_ref().map(|mask| {
            mask.chunks(n_cells).flat_map(|row| row.iter().copied().chain([0x7e00; 3])).collect::<Vec<_>>()
        });
        let attention = Attention {
            n_rows,
            n_cells,
            n_threads,
            queries: Heads {
                numbers: Numbers::F32,
                at: self.queries.as_ptr().cast(),
                row_bytes: 4 * n_heads * size,
                head_bytes: 4 * size,
                n_heads,
                size,
            },
            keys: heads(false),
            values: heads(true),
            mask: padded.as_ref().map_or(std::ptr::null(), |mask| mask.as_ptr().cast()),
            mask_bytes: 2 * (n_cells + 3),
            scale: SCALE,
            to: results.as_mut_ptr(),
        };
        assert!(attention.is_supported(), "{:?}", self.shape);
        let compute = set.attention().expect("there is one");
        for item in 0..attention.n_items() {
            // SAFETY: the caller has checked the CPU, and everything is alive.
            unsafe { compute(&attention, item) };
        }
        results
    }

    /// The same as defined, with the sums of the sizes of all terms.
    fn expected(&self) -> Vec<(f64, f64)> {
        let Shape { n_rows, n_cells, n_kv_heads, group, size, value_size } = self.shape;
        let mut results = Vec::new();
        for (row, head) in (0..n_rows).flat_map(|row| (0..n_kv_heads * group).map(move |head| (row, head))) {
            let query = &self.queries[(row * n_kv_heads * group + head) * size..][..size];
            let score = |cell| {
                let products = query.iter().zip(&self.floats[self.place(false, cell, head / group)]);
                let product: f64 = products.map(|(x, key)| f64::from(*x) * f64::from(*key)).sum();
                let mask = self.mask.as_ref().map_or(0.0, |mask| match mask[row * n_cells + cell] {
                    MASKED => f64::NEG_INFINITY,
                    bits => f64::from(half(bits)),
                });
                product * f64::from(SCALE) + mask
            };
            let scores: Vec<f64> = (0..n_cells).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shares = scores.iter().map(|s| if largest.is_finite() { (s - largest).exp() } else { 0.0 });
            let shares: Vec<f64> = shares.collect();
            let total: f64 = shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            for i in 0..value_size {
                let value = |cell| f64::from(self.floats[self.place(true, cell, head / group).start + i]);
                let terms = (0..n_cells).map(|cell| shares[cell] / total * value(cell));
                results.push(terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs())));
            }
        }
        results
    }

    fn compare(&self, set: InstructionSet) {
        for (i, (result, (expected, size))) in self.computed(set).into_iter().zip(self.expected()).enumerate() {
            let difference = (f64::from(result) - expected).abs();
            assert!(
                difference <= 2e-5 * size,
                "{}, {:?}: number {i}: {result}, not {expected}",
                set.name(),
                self.shape
            );
        }
    }
}

/// Minus infinity.
const MASKED: u16 = 0xfc00;
const SCALE: f32 = 0.125;
const SHAPE: Shape = Shape { n_rows: 1, n_cells: 70, n_kv_heads: 2, group: 4, size: 64, value_size: 64 };

fn bits(results: &[f32]) -> Vec<u32> {
    results.iter().map(|x| x.to_bits()).collect()
}

/// The instruction sets that compute attention.
fn those() -> Vec<InstructionSet> {
    let those: Vec<_> = sets().into_iter().filter(|set| set.attention().is_some()).collect();
    if those.is_empty() {
        let _ = writeln!(std::io::stderr(), "skipped: none of this CPU's instruction sets computes attention");
    }
    those
}

#[test]
fn results_are_those_of_the_definition() {
    for set in those() {
        let mut noise = Noise(3_141_592_653_589_793);
        let mut shapes: Vec<Shape> = [1, 2, 31, 32, 33, 64, 130, 512, 545, 1100]
            .into_iter()
            .flat_map(|n_cells| [1, 2, 17].map(|n_rows| Shape { n_rows: n_rows.min(n_cells), n_cells, ..SHAPE }))
            .collect();
        for (size, value_size, n_kv_heads, group) in
            [(16, 16, 1, 1), (128, 128, 3, 2), (80, 80, 2, 1), (96, 64, 1, 3), (64, 144, 1, 7), (256, 256, 1, 32)]
        {
            shapes.extend([3, 40].map(|n_rows| Shape { n_rows, n_cells: 90, n_kv_heads, group, size, value_size }));
        }
        for _ in 0..20 {
            let size = 16 * (1 + noise.below(16));
            let (n_cells, n_rows, group) = (1 + noise.below(200), 1 + noise.below(40), 1 + noise.below(9));
            let n_kv_heads = 1 + noise.below(2);
            shapes.push(Shape { n_rows: n_rows.min(n_cells), n_cells, n_kv_heads, group, size, value_size: size });
        }
        for shape in shapes {
            Example::causal(shape, &mut noise).compare(set);
            Example::scattered(shape, &mut noise).compare(set);
            Example::new(shape, None, &mut noise).compare(set);
            Example::late(shape, &mut noise).compare(set);
            if [shape.size, shape.value_size].iter().all(|size| size.is_multiple_of(32)) {
                Example::causal(shape, &mut noise).with_bytes(&mut noise).compare(set);
            }
        }
        eprintln!("compared: {} attention", set.name());
    }
}

/// Whether a row attends to a cell.
type Attends<'a> = &'a dyn Fn(usize, usize) -> bool;

/// Otherwise greedy text would depend on drafts and on other requests.
#[test]
fn a_row_does_not_depend_on_others_nor_on_threads() {
    let causal = |row: usize, cell: usize| cell <= 660 + row;
    let window = |row: usize, cell: usize| (560 + row..=660 + row).contains(&cell);
    // Two sequences, in turn or one after the other, and cells of each in between.
    let two = |row: usize, cell: usize| cell % 2 == row % 2 && cell <= 660 + row;
    let parts = |row: usize, cell: usize| cell % 2 == row / 20 && cell <= 660 + row;
    // Cells of a prompt that lie in front of older ones.
    let turned = |row: usize, cell: usize| cell >= 40 || cell <= row;
    let kinds: [(&str, Attends); 5] =
        [("causal", &causal), ("window", &window), ("two", &two), ("parts", &parts), ("turned", &turned)];
    for (set, (kind, attends)) in those().into_iter().flat_map(|set| kinds.map(|kind| (set, kind))) {
        let mut noise = Noise(271_828_182_845_904);
        let shape = Shape { n_rows: 40, n_cells: 700, ..SHAPE };
        let of_row = |row| (0..shape.n_cells).map(move |cell| if attends(row, cell) { 0 } else { MASKED });
        let mask = (0..shape.n_rows).flat_map(of_row).collect();
        let all = Example::new(shape, Some(mask), &mut noise);
        let results = all.computed(set);
        let n = shape.n_kv_heads * shape.group * shape.value_size;
        for row in [0, 1, 7, 19, 20, 39] {
            for n_threads in 1..4 {
                let alone = all.alone(row).computed_by(set, n_threads);
                assert_eq!(
                    bits(&alone),
                    bits(&results[row * n..][..n]),
                    "{}, {kind}, row {row}, {n_threads} threads",
                    set.name()
                );
            }
        }
    }
}

/// Nor on where its cells lie, nor on what else is in the cache.
#[test]
fn a_row_does_not_depend_on_cells_of_others() {
    for set in those() {
        let mut noise = Noise(141_421_356_237_309);
        let shape = Shape { n_cells: 300, ..SHAPE };
        let dense = Example { is_by_head: false, ..Example::new(shape, None, &mut noise) };
        let mask = (0..3 * shape.n_cells).map(|cell| if cell % 3 == 0 { 0 } else { MASKED }).collect();
        let apart = Example::new(Shape { n_cells: 3 * shape.n_cells, ..shape }, Some(mask), &mut noise);
        let mut apart = Example { is_by_head: false, queries: dense.queries.clone(), ..apart };
        for at in 0..apart.cache.len() {
            let (cell, i) = (at / apart.cell_size(), at % apart.cell_size());
            // Infinite where it does not matter.
            let bits = if cell % 3 == 0 { dense.cache[cell / 3 * dense.cell_size() + i] } else { 0x7c00 };
            apart.cache[at] = bits;
        }
        assert_eq!(bits(&apart.computed(set)), bits(&dense.computed(set)), "{}", set.name());
    }
}

#[test]
fn one_sequence_cannot_break_another() {
    for set in those() {
        let mut noise = Noise(161_803_398_874_989);
        let shape = Shape { n_rows: 40, n_cells: 90, ..SHAPE };
        let mask = (0..40 * 90).map(|i| if i % 90 % 2 == i / 90 % 2 { 0 } else { MASKED }).collect();
        let mut both = Example::new(shape, Some(mask), &mut noise);
        let at = both.place(true, 30, 0).start;
        both.set(at, 0x7c00); // infinite, in a cell of even rows
        let results = both.computed(set);
        let n = shape.n_kv_heads * shape.group * shape.value_size;
        for (row, results) in results.chunks(n).enumerate() {
            assert_eq!(results.iter().all(|x| x.is_finite()), row % 2 == 1, "{}, row {row}", set.name());
        }
    }
}

#[test]
fn a_row_that_attends_to_nothing_is_zero_and_what_is_no_number_stays_so() {
    for set in those() {
        let mut noise = Noise(577_215_664_901_532);
        let nothing = Example::new(SHAPE, Some(vec![MASKED; SHAPE.n_cells]), &mut noise);
        assert!(nothing.computed(set).iter().all(|x| *x == 0.0));
        // The first rows of several.
        let shape = Shape { n_rows: 40, ..SHAPE };
        let mask = (0..40 * SHAPE.n_cells).map(|i| if i < 10 * SHAPE.n_cells { MASKED } else { 0 });
        let some = Example::new(shape, Some(mask.collect()), &mut noise).computed(set);
        let (first, others) = some.split_at(10 * SHAPE.n_kv_heads * SHAPE.group * SHAPE.value_size);
        assert!(first.iter().all(|x| *x == 0.0) && others.iter().all(|x| *x != 0.0 && x.is_finite()));
        for n_cells in [1, 40, 70] {
            let mut broken = Example::new(Shape { n_cells, ..SHAPE }, None, &mut noise);
            broken.queries[5] = f32::NAN;
            let results = broken.computed(set);
            assert!(results[..SHAPE.value_size].iter().all(|x| x.is_nan()), "the head of that query");
            assert!(results[SHAPE.value_size..].iter().all(|x| x.is_finite()), "the others");
        }
        let mut broken = Example::new(SHAPE, None, &mut noise);
        let at = broken.place(false, 33, 0).start;
        broken.cache[at] = 0x7e00; // a key that is not a number
        assert!(broken.computed(set)[..SHAPE.value_size].iter().all(|x| x.is_nan()));
    }
}

#[test]
fn sizes_that_are_not_computed_here_are_told() {
    use Numbers::{F16, F32, Q8};
    let heads =
        |numbers, n_heads, size| Heads { numbers, at: std::ptr::null(), row_bytes: 0, head_bytes: 0, n_heads, size };
    let is_supported_of = |of: [Numbers; 3], n_heads, size, n_kv_heads, value_size| {
        let queries = heads(of[0], n_heads, size);
        let (keys, values) = (heads(of[1], n_kv_heads, size), heads(of[2], n_kv_heads, value_size));
        let (mask, to) = (std::ptr::null(), std::ptr::null_mut());
        let (n_rows, n_cells, n_threads, mask_bytes, scale) = (1, 1, 1, 0, 1.0);
        Attention { n_rows, n_cells, n_threads, queries, keys, values, mask, mask_bytes, scale, to }.is_supported()
    };
    let is_supported = |a, b, c, d| is_supported_of([F32, F16, F16], a, b, c, d);
    assert!(is_supported(32, 64, 8, 64) && is_supported(32, 256, 1, 128) && is_supported(3, 16, 3, 16));
    assert!(!is_supported(32, 40, 8, 64) && !is_supported(32, 64, 8, 8) && !is_supported(8, 512, 8, 512));
    assert!(!is_supported(33, 64, 8, 64) && !is_supported(64, 64, 1, 64) && !is_supported(0, 64, 0, 64));
    assert!(!is_supported(0, 64, 4, 64) && !is_supported(4, 0, 4, 0));
    assert!(is_supported_of([F32, Q8, F16], 4, 64, 4, 16) && !is_supported_of([F32, F16, Q8], 4, 64, 4, 16));
    assert!(!is_supported_of([F32, F32, F16], 4, 64, 4, 64) && !is_supported_of([F16, F16, F16], 4, 64, 4, 64));
}
