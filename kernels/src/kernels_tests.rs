//! Compares the kernels of all instruction sets that this CPU has with sums written from the formats' definitions.
#![allow(clippy::print_stderr, reason = "what is not tested here is said")]

use std::io::Write;
use std::ops::Deref;

use rustix::mm::{self, MapFlags, MprotectFlags, ProtFlags};

use super::*;

/// A deterministic generator: xorshift64 (Marsaglia 2003).
pub(crate) struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, n: u64) -> usize {
        usize::try_from(self.next() % n).expect("small")
    }

    /// Between -1 and 1.
    pub fn float(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    half(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// A finite f16 value.
pub(crate) fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2_f32.powi(-24),
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// Where a block has f16 values.
fn halves(weights: Weights) -> Vec<usize> {
    match weights {
        Weights::Q4K | Weights::Q5K => vec![0, 2],
        Weights::Q6K => vec![208],
        Weights::Q8 => (0..8).map(|group| 34 * group).collect(),
        Weights::Q4 | Weights::IQ4NL => (0..8).map(|group| 18 * group).collect(),
    }
}

/// Random blocks, with f16 values of about 0.01 of both signs, since random bytes could also be infinities; one in eight
/// is smaller than the smallest normal f16.
fn blocks(noise: &mut Noise, weights: Weights, n: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..n * weights.block_bytes()).map(|_| noise.next().to_le_bytes()[0]).collect();
    for block in bytes.chunks_mut(weights.block_bytes()) {
        for at in halves(weights) {
            let exponent = if noise.below(8) == 0 { 0 } else { 0x20 };
            block[at + 1] = exponent | block[at + 1] & 0x81;
        }
    }
    bytes
}

/// Makes all weights of a block as large as they can be, so that sums of 16 bits come close to their limit.
fn enlarge(weights: Weights, block: &mut [u8]) {
    let kept: Vec<(usize, u8)> =
        halves(weights).into_iter().flat_map(|at| [at, at + 1]).map(|at| (at, block[at])).collect();
    block.fill(if weights == Weights::Q8 { 0x80 } else { 0xff });
    if weights == Weights::Q6K {
        block[192..208].fill(0x80);
    }
    kept.into_iter().for_each(|(at, byte)| block[at] = byte);
}

/// Scale and minimum of a group of 32 weights: six bits each, of twelve bytes.
fn scale_and_minimum(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => (packed[group + 4] & 15 | packed[group - 4] >> 6 << 4, packed[group + 4] >> 4 | packed[group] >> 6 << 4),
    };
    (scale.into(), minimum.into())
}

/// Weight `i` of a block, as the format defines it.
fn weight(weights: Weights, block: &[u8], i: usize) -> f32 {
    // Each 32 bytes have the lower bits of 64 weights: first the lower nibbles, then the upper ones.
    let nibble = |bytes: &[u8]| bytes[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
    let of_32 = |q: u8| {
        let (scale, minimum) = scale_and_minimum(&block[4..16], i / 32);
        half_at(block, 0) * scale * f32::from(q) - half_at(block, 2) * minimum
    };
    match weights {
        Weights::Q4K => of_32(nibble(&block[16..])),
        Weights::Q5K => of_32(nibble(&block[48..]) | (block[16 + i % 32] >> (i / 32) & 1) << 4),
        Weights::Q6K => {
            let (in_half, i) = (i / 128, i % 128);
            let low = block[64 * in_half + i % 64] >> (i / 64 * 4) & 15;
            let high = block[128 + 32 * in_half + i % 32] >> (i / 32 * 2) & 3;
            let scale = block[192 + 8 * in_half + i / 16].cast_signed();
            half_at(block, 208) * f32::from(scale) * (f32::from(low | high << 4) - 32.0)
        }
        Weights::Q8 => half_at(block, i / 32 * 34) * f32::from(block[i / 32 * 34 + 2 + i % 32].cast_signed()),
        Weights::Q4 | Weights::IQ4NL => {
            let group = &block[i / 32 * 18..][..18];
            let q = group[2 + i % 16] >> (i % 32 / 16 * 4) & 15;
            let table = [-127_i8, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
            let value = if weights == Weights::Q4 { f32::from(q) - 8.0 } else { f32::from(table[usize::from(q)]) };
            half_at(group, 0) * value
        }
    }
}

/// Activations, rounded to bytes with a scale that is an f16 for weights whose groups have such scales.
fn rounded(weights: Weights, x: &[f32]) -> Vec<f32> {
    let largest = |x: &[f32]| x.iter().fold(0.0, |most: f32, x| if x.abs() > most.abs() { *x } else { most });
    let to_half = |x: f32| {
        // The nearest number with eleven bits, or multiple of the smallest one.
        let unit = 2_f32.powi((x.log2().floor() as i32 - 10).max(-24));
        if x == 0.0 { 0.0 } else { (x / unit).round_ties_even() * unit }
    };
    let is_by_32 = weights.is_by_32();
    let group = if is_by_32 { 32 } else { BLOCK };
    x.chunks(group)
        .flat_map(|x| {
            let largest = largest(x);
            let (scale, d) = match weights {
                _ if largest == 0.0 => (0.0, 0.0),
                _ if is_by_32 && cfg!(target_arch = "aarch64") => {
                    (1.0 / (largest.abs() / 127.0), to_half(largest.abs() / 127.0))
                }
                _ if is_by_32 => (127.0 / largest.abs(), to_half(largest.abs() / 127.0)),
                _ => (-127.0 / largest, 1.0 / (-127.0 / largest)),
            };
            // Arm rounds these products once, with the sum that makes them integers.
            let is_exact = cfg!(target_arch = "aarch64") && !is_by_32;
            let nearest = move |x: f32| match is_exact {
                true => (f64::from(x) * f64::from(scale)).round_ties_even() as f32,
                false => (x * scale).round_ties_even(),
            };
            x.iter().map(move |x| d * nearest(*x).min(127.0))
        })
        .collect()
}

/// Bytes that lie at the very end of readable memory, so that reading more ends the test.
struct AtTheEnd {
    mapped: *mut u8,
    n_mapped: usize,
    from: usize,
    n: usize,
}

impl AtTheEnd {
    fn new(bytes: &[u8]) -> Self {
        let page = rustix::param::page_size();
        let n_readable = bytes.len().next_multiple_of(page);
        let (n_mapped, from) = (n_readable + page, n_readable - bytes.len());
        // SAFETY: new memory; the last page is not used, and the bytes before it are written.
        unsafe {
            let read_write = ProtFlags::READ | ProtFlags::WRITE;
            let mapped = mm::mmap_anonymous(std::ptr::null_mut(), n_mapped, read_write, MapFlags::PRIVATE);
            let mapped = mapped.expect("memory").cast::<u8>();
            mm::mprotect(mapped.add(n_readable).cast(), page, MprotectFlags::empty()).expect("a page of its own");
            mapped.add(from).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            Self { mapped, n_mapped, from, n: bytes.len() }
        }
    }
}

impl Deref for AtTheEnd {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: they were written, and are mapped as long as this lives.
        unsafe { std::slice::from_raw_parts(self.mapped.add(self.from), self.n) }
    }
}

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        // SAFETY: it was mapped, and nothing uses it any more.
        unsafe { mm::munmap(self.mapped.cast(), self.n_mapped).expect("it was mapped") };
    }
}

/// A product, with room for its results.
struct Example {
    weights: AtTheEnd,
    n_rows: usize,
    /// From one row to the next, which may be more than its blocks.
    row_bytes: usize,
    n_blocks: usize,
    x: Vec<f32>,
}

impl Example {
    fn new(of: Weights, n_rows: usize, n_blocks: usize, n_columns: usize, noise: &mut Noise) -> Self {
        let stride = n_blocks + noise.below(2);
        let mut weights = blocks(noise, of, n_rows * stride);
        weights.truncate(((n_rows - 1) * stride + n_blocks) * of.block_bytes());
        weights.chunks_mut(of.block_bytes()).take(n_blocks).for_each(|block| enlarge(of, block));
        let mut x: Vec<f32> = (0..n_columns * n_blocks * BLOCK).map(|_| noise.float()).collect();
        // Nothing but zeros, and nothing but ones.
        x[..BLOCK].fill(0.0);
        x.last_chunk_mut::<BLOCK>().expect("there is a block").fill(1.0);
        // Small ones, whose scale is no normal f16.
        if let Some(small) = x.get_mut(BLOCK..2 * BLOCK) {
            small.iter_mut().for_each(|x| *x *= 0.001);
        }
        Self { weights: AtTheEnd::new(&weights), n_rows, row_bytes: stride * of.block_bytes(), n_blocks, x }
    }

    /// Column by column.
    fn computed(&self, way: &Way, n_columns: usize) -> Vec<f32> {
        let n_rows = self.n_rows;
        let mut products = vec![f32::NAN; n_rows * n_columns];
        let to = To { at: products.as_mut_ptr().cast(), column_bytes: n_rows * size_of::<f32>() };
        let x = &self.x[..n_columns * self.n_blocks * BLOCK];
        let product = Product { n_rows, ..Product::of_parts(&self.weights, self.row_bytes, x, self.n_blocks, to) };
        let mut room = vec![0_u8; way.bytes_of_columns(&product) + way.alignment];
        let offset = room.as_ptr().align_offset(way.alignment);
        let columns = room[offset..].as_mut_ptr();
        // SAFETY: the caller has checked the CPU, and everything is alive. Pieces are as `Shares` makes them.
        unsafe {
            (0..product.n_blocks_of_columns()).for_each(|i| way.round(&product, i, columns));
            way.compute(&product, columns, 0..0, to);
            for (i, start) in (0..n_rows).step_by(2 * way.unit).enumerate() {
                let rows = start..(start + 2 * way.unit).min(n_rows);
                let next = [rows.end, n_rows, 3 * n_rows][i % 3];
                way.compute_before(next, &product, columns, rows, to);
            }
        }
        products
    }

    /// Compares all products with exact sums.
    fn compare(&self, of: Weights, way: &Way, n_columns: usize) {
        let products = self.computed(way, n_columns);
        let x: Vec<f32> = self.x.chunks(BLOCK).flat_map(|x| rounded(of, x)).collect();
        for (row, weights) in self.weights.chunks(self.row_bytes).enumerate() {
            let weights: Vec<f32> = weights
                .chunks(of.block_bytes())
                .take(self.n_blocks)
                .flat_map(|block| (0..BLOCK).map(move |i| weight(of, block, i)))
                .collect();
            for (column, x) in x.chunks(self.n_blocks * BLOCK).enumerate() {
                let terms = weights.iter().zip(x).map(|(&weight, &x)| f64::from(weight) * f64::from(x));
                let (expected, scale) =
                    terms.fold((0.0, f64::MIN_POSITIVE), |(sum, scale), term| (sum + term, scale + term.abs()));
                let product = products[column * self.n_rows + row];
                assert!(
                    (f64::from(product) - expected).abs() <= 1e-5 * scale,
                    "{of:?}, {} rows, {} blocks, {n_columns} columns, {} rows at once: row {row}, column {column}: \
                     {product}, not {expected}",
                    self.n_rows,
                    self.n_blocks,
                    way.unit,
                );
            }
        }
    }
}

/// The instruction sets that this CPU has; says which it lacks, bypassing the test runner's capture.
pub(crate) fn sets() -> Vec<InstructionSet> {
    let (has, lacks): (Vec<InstructionSet>, _) = InstructionSet::ALL.iter().partition(|set| set.is_supported());
    for set in lacks {
        let _ = writeln!(std::io::stderr(), "skipped: this CPU has no {}", set.name());
    }
    has
}

/// Whole tiles, what is left of rows and columns, and any.
fn compare_shapes(of: Weights, way: &Way, most_columns: usize, noise: &mut Noise) {
    let mut shapes: Vec<_> = (1..=17).map(|n_columns| (3, 2, n_columns)).collect();
    shapes.extend([
        (1, 1, 1),
        (9, 1, 1),
        (9, 3, 2),
        (9, 11, 3),
        (16, 7, 6),
        (31, 1, 3),
        (32, 1, 18),
        (33, 3, 19),
        (70, 2, 12),
        (64, 2, 23),
        (5, 1, 300),
    ]);
    shapes.extend((0..20).map(|_| (1 + noise.below(80), 1 + noise.below(5), 1 + noise.below(40))));
    for (n_rows, n_blocks, n_columns) in shapes {
        let n_columns = n_columns.min(most_columns);
        Example::new(of, n_rows, n_blocks, n_columns, noise).compare(of, way, n_columns);
    }
}

#[test]
fn products_are_those_of_the_definitions() {
    for set in sets() {
        for of in Weights::ALL {
            let mut noise = Noise(3_141_592_653_589_793);
            // Also on CPUs where `way` does not choose it.
            let most_fewest = if of.is_by_32() { 1 } else { 4 };
            let ways = [(set.fewest(of), most_fewest), (set.few(of), set.most_few()), (set.tiles(of), usize::MAX)];
            for (way, most) in ways.into_iter().filter_map(|(way, most)| Some((way?, most))) {
                compare_shapes(of, &way, most, &mut noise);
            }
            eprintln!("compared: {} {of:?}", set.name());
        }
    }
}

/// Otherwise greedy text would depend on drafts and on other requests.
#[test]
fn a_row_does_not_depend_on_the_number_of_columns() {
    for set in sets() {
        let most = 300;
        for of in Weights::ALL.into_iter().filter(|of| set.few(*of).is_some()) {
            let computed = |example: &Example, n| example.computed(&way(set, of, n).expect("there is one"), n);
            let example = Example::new(of, 37, 3, most, &mut Noise(271_828_182_845_904));
            let all = computed(&example, most);
            let bits = |products: &[f32]| products.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            // Also on CPUs where `way` does not choose it.
            for n_columns in 1..=if of.is_by_32() { 1 } else { 4 } {
                let Some(way) = set.fewest(of) else { break };
                let some = example.computed(&way, n_columns);
                assert_eq!(bits(&some), bits(&all[..some.len()]), "{}, {of:?}, {n_columns} of the fewest", set.name());
            }
            for n_columns in (1..40).chain([255, 256, 257]) {
                let some = computed(&example, n_columns);
                assert_eq!(bits(&some), bits(&all[..some.len()]), "{}, {of:?}, {n_columns} columns", set.name());
            }
        }
    }
}

/// Nor on the CPU, for ggml's K types.
#[test]
fn a_row_does_not_depend_on_the_instruction_set() {
    for of in [Weights::Q4K, Weights::Q5K, Weights::Q6K] {
        let example = Example::new(of, 37, 3, 20, &mut Noise(577_215_664_901_532));
        for n_columns in [1, 2, 3, 4, 20] {
            let bits = |set| {
                let products = example.computed(&way(set, of, n_columns).expect("there is one"), n_columns);
                products.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
            };
            let all: Vec<_> = sets().into_iter().map(bits).collect();
            if all.len() < 2 {
                let _ = writeln!(std::io::stderr(), "skipped: this CPU has one instruction set to compare");
                return;
            }
            assert!(all.windows(2).all(|two| two[0] == two[1]), "{of:?}, {n_columns} columns");
        }
    }
}

#[test]
fn columns_are_computed_in_the_way_for_their_number() {
    for set in InstructionSet::ALL.iter().copied() {
        for of in Weights::ALL {
            let number = |way: Option<Way>| way.map(|way| way.compute as usize);
            let computed = |n_columns| number(way(set, of, n_columns));
            let (fewest, few) = (set.most_fewest(of), set.most_few());
            assert!(fewest < few);
            assert_eq!(computed(0), None);
            assert!((1..=fewest).all(|n| computed(n) == number(set.fewest(of))));
            assert!((fewest + 1..=few).all(|n| computed(n) == number(set.few(of))));
            assert!([few + 1, 512].iter().all(|n| computed(*n) == number(set.tiles(of))));
        }
    }
}

#[test]
fn each_row_is_in_one_piece() {
    let kinds = [(1, true), (4, true), (16, true), (32, false)];
    for (n_threads, (unit, is_read_bound)) in [1, 2, 3, 8, 64].into_iter().flat_map(|n| kinds.map(|kind| (n, kind))) {
        for n_rows in [1, 2, 5, 63, 64, 512, 2048, 65_536] {
            let shares = Shares::new(n_rows, n_threads, unit, is_read_bound);
            let mut times = vec![0; n_rows];
            let mut i = 0;
            while i < n_threads || !shares.piece(i).is_empty() {
                let piece = shares.piece(i);
                assert!(piece.is_empty() || piece.start.is_multiple_of(unit));
                piece.for_each(|row| times[row] += 1);
                i += 1;
            }
            assert!(times.iter().all(|&n| n == 1), "{n_rows} rows, {n_threads} threads: {times:?}");
        }
    }
}
