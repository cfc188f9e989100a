//! Compares attention, with all instruction sets that this CPU has, with its definition.

#![allow(clippy::print_stderr, reason = "what is not tested here is said")]

use std::io::Write;

use super::*;
use crate::InstructionSet;
use crate::tests::{Noise, half, sets};

/// A KV cache, queries and a mask.
struct Example {
    shape: Shape,
    queries: Vec<f32>,
    /// f16 values, cell by cell: all heads' keys, then all heads' values.
    cache: Vec<u16>,
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
        Self { shape, queries, cache, floats, mask }
    }

    /// Each row attends to its own cells and some before, as a prompt's tokens do at the end of a cache.
    fn causal(shape: Shape, noise: &mut Noise) -> Self {
        let Shape { n_rows, n_cells, .. } = shape;
        let is_masked = |row: usize, cell: usize| cell + n_rows > n_cells + row;
        let of_row = |row| (0..n_cells).map(move |cell| if is_masked(row, cell) { MASKED } else { 0 });
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

    fn cell_size(&self) -> usize {
        self.shape.n_kv_heads * (self.shape.size + self.shape.value_size)
    }

    fn key(&self, cell: usize, head: usize) -> &[f32] {
        &self.floats[cell * self.cell_size() + head * self.shape.size..][..self.shape.size]
    }

    fn value(&self, cell: usize, head: usize) -> &[f32] {
        let at = cell * self.cell_size() + self.shape.n_kv_heads * self.shape.size + head * self.shape.value_size;
        &self.floats[at..][..self.shape.value_size]
    }

    /// By row, query head and number.
    fn computed(&self, set: InstructionSet) -> Vec<f32> {
        self.computed_by(set, 1)
    }

    fn computed_by(&self, set: InstructionSet, n_threads: usize) -> Vec<f32> {
        let Shape { n_rows, n_cells, n_kv_heads, group, size, value_size } = self.shape;
        let n_heads = n_kv_heads * group;
        let mut results = vec![f32::NAN; n_rows * n_heads * value_size];
        let heads = |at: *const u8, size: usize| Heads {
            at,
            row_bytes: 2 * self.cell_size(),
            head_bytes: 2 * size,
            n_heads: n_kv_heads,
            size,
        };
        let attention = Attention {
            n_rows,
            n_cells,
            n_threads,
            queries: Heads {
                at: self.queries.as_ptr().cast(),
                row_bytes: 4 * n_heads * size,
                head_bytes: 4 * size,
                n_heads,
                size,
            },
            keys: heads(self.cache.as_ptr().cast(), size),
            values: heads(self.cache[n_kv_heads * size..].as_ptr().cast(), value_size),
            mask: self.mask.as_ref().map_or(std::ptr::null(), |mask| mask.as_ptr().cast()),
            mask_bytes: 2 * n_cells,
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
                let products = query.iter().zip(self.key(cell, head / group));
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
                let value = |cell| f64::from(self.value(cell, head / group)[i]);
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
        }
        eprintln!("compared: {} attention", set.name());
    }
}

/// Otherwise greedy text would depend on drafts and on other requests.
#[test]
fn a_row_does_not_depend_on_others_their_cells_or_threads() {
    for set in those() {
        let mut noise = Noise(271_828_182_845_904);
        let shape = Shape { n_rows: 40, n_cells: 700, ..SHAPE };
        let all = Example::causal(shape, &mut noise);
        let results = all.computed(set);
        let n = shape.n_kv_heads * shape.group;
        for row in [0, 1, 7, 39] {
            // The row alone, and between cells that it does not attend to.
            for step in [1, 3] {
                let alone = Shape { n_rows: 1, n_cells: step * shape.n_cells, ..shape };
                let mask = (0..alone.n_cells).map(|i| match i % step {
                    0 => all.mask.as_ref().expect("it has one")[row * shape.n_cells + i / step],
                    _ => MASKED,
                });
                let mut example = Example::new(alone, Some(mask.collect()), &mut noise);
                example.queries = all.queries[row * n * shape.size..][..n * shape.size].to_vec();
                let size = all.cell_size();
                for cell in 0..shape.n_cells {
                    let from = &all.cache[cell * size..][..size];
                    example.cache[step * cell * size..][..size].copy_from_slice(from);
                }
                let of_row = &results[row * n * shape.value_size..][..n * shape.value_size];
                for n_threads in 1..4 {
                    let alone = example.computed_by(set, n_threads);
                    let case = format!("{}, row {row}, step {step}, {n_threads} threads", set.name());
                    assert_eq!(bits(&alone), bits(of_row), "{case}");
                }
            }
        }
    }
}

#[test]
fn a_row_that_attends_to_nothing_is_zero_and_what_is_no_number_stays_so() {
    for set in those() {
        let mut noise = Noise(577_215_664_901_532);
        let nothing = Example::new(SHAPE, Some(vec![MASKED; SHAPE.n_cells]), &mut noise);
        assert!(nothing.computed(set).iter().all(|x| *x == 0.0));
        for n_cells in [1, 40, 70] {
            let mut broken = Example::new(Shape { n_cells, ..SHAPE }, None, &mut noise);
            broken.queries[5] = f32::NAN;
            let results = broken.computed(set);
            assert!(results[..SHAPE.value_size].iter().all(|x| x.is_nan()), "the head of that query");
            assert!(results[SHAPE.value_size..].iter().all(|x| x.is_finite()), "the others");
        }
        let mut broken = Example::new(SHAPE, None, &mut noise);
        let size = broken.cell_size();
        broken.cache[33 * size] = 0x7e00; // a key that is not a number
        assert!(broken.computed(set)[..SHAPE.value_size].iter().all(|x| x.is_nan()));
    }
}

#[test]
fn sizes_that_are_not_computed_here_are_told() {
    let heads = |n_heads, size| Heads { at: std::ptr::null(), row_bytes: 0, head_bytes: 0, n_heads, size };
    let is_supported = |n_heads, size, n_kv_heads, value_size| {
        let (queries, keys, values) = (heads(n_heads, size), heads(n_kv_heads, size), heads(n_kv_heads, value_size));
        let (mask, to) = (std::ptr::null(), std::ptr::null_mut());
        Attention { n_rows: 1, n_cells: 1, n_threads: 1, queries, keys, values, mask, mask_bytes: 0, scale: 1.0, to }
            .is_supported()
    };
    assert!(is_supported(32, 64, 8, 64) && is_supported(32, 256, 1, 128) && is_supported(3, 16, 3, 16));
    assert!(!is_supported(32, 40, 8, 64) && !is_supported(32, 64, 8, 8) && !is_supported(8, 512, 8, 512));
    assert!(!is_supported(33, 64, 8, 64) && !is_supported(64, 64, 1, 64) && !is_supported(0, 64, 0, 64));
    assert!(!is_supported(0, 64, 4, 64) && !is_supported(4, 0, 4, 0));
}
