//! An item: one or several rows, with some heads of the cache.
//!
//! The cells that its rows attend to are listed first, so cells of other sequences cost nothing. Then, a block of cells
//! at a time, keys and values become floats, which stay in the first cache for all queries that share them: those of a
//! group of heads, times the item's rows. The softmax is computed as the cells come (Milakov and Gimelshein 2018,
//! <https://arxiv.org/abs/1805.02867>). A row's cells are cut into the same blocks whatever else a step computes, so
//! its result does not depend on other rows or requests. So several rows are computed together only if each attends to
//! the first of their cells.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::simd::{LINE, Softmax, avx2::Vectors256, avx512::Vectors512, prefetch};
use super::cells::CELLS;
use super::{Attention, Heads, MOST_QUERIES, MOST_SIZE, Numbers, QUERIES_AT_ONCE};

/// Cells whose masks are looked at in one go.
const WINDOW: usize = 512;

impl Heads {
    fn vector(&self, row: usize, head: usize) -> *const u8 {
        self.at.wrapping_add(row * self.row_bytes + head * self.head_bytes)
    }
}

/// Sums of an item, and what is in the first cache meanwhile. Vectors of several cells lie in slices of as many numbers
/// as a register holds: the first slice of each cell, then the second of each, and so on.
#[repr(C, align(64))]
struct Room {
    /// Keys of a block, then its values.
    vectors: [f32; CELLS * MOST_SIZE],
    queries: [f32; MOST_QUERIES * MOST_SIZE],
    sums: [f32; MOST_QUERIES * MOST_SIZE],
    /// Products of queries and keys, times log2(e); then the softmax's numerators.
    scores: [[f32; CELLS]; MOST_QUERIES],
    mask: [[f32; CELLS]; MOST_QUERIES],
    /// Of each query: the largest score so far, the sum of the numerators, and by how much this block changes the sums
    /// before it.
    largest: [f32; MOST_QUERIES],
    totals: [f32; MOST_QUERIES],
    factors: [f32; MOST_QUERIES],
}

/// The rows and heads of an item. Its queries are those of the first head of the cache, and so on; those of a head are
/// filled up to a multiple of [`QUERIES_AT_ONCE`].
struct Item<'a> {
    of: &'a Attention,
    kv_heads: Range<usize>,
    rows: Range<usize>,
    group: usize,
    /// Of each head of the cache, and with what fills them up.
    n_queries: usize,
    stride: usize,
    /// Whether the mask says more than which cells are listed.
    needs_mask: bool,
}

/// With AVX-512.
///
/// # Safety
/// As [`Compute`](super::Compute).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,f16c,fma")]
pub(in super::super) unsafe fn compute_512(attention: &Attention, item: usize) {
    // SAFETY: as promised by the caller.
    unsafe { compute::<Vectors512>(attention, item) };
}

/// With AVX2.
///
/// # Safety
/// As above.
#[target_feature(enable = "avx2,f16c,fma")]
pub(in super::super) unsafe fn compute_256(attention: &Attention, item: usize) {
    // SAFETY: as promised by the caller.
    unsafe { compute::<Vectors256<false>>(attention, item) };
}

/// # Safety
/// As above.
#[inline(always)]
unsafe fn compute<S: Softmax>(of: &Attention, item: usize) {
    let (n_heads, n_rows) = (of.heads_of_item(), of.rows_of_item());
    let n = of.keys.n_heads.div_ceil(n_heads);
    let (head, row) = (item % n * n_heads, item / n * n_rows);
    let kv_heads = head..(head + n_heads).min(of.keys.n_heads);
    let rows = row..(row + n_rows).min(of.n_rows);
    let mut room = MaybeUninit::<Room>::uninit();
    // SAFETY: as promised by the caller. All numbers are valid floats, and each is written before it is read.
    unsafe {
        let room = &mut *room.as_mut_ptr();
        let n_together = if of.are_nested::<S>(&rows) { rows.len() } else { 1 };
        for row in rows.step_by(n_together) {
            Item::new(of, kv_heads.clone(), row..row + n_together).compute::<S>(room);
        }
    }
}

impl<'a> Item<'a> {
    fn new(of: &'a Attention, kv_heads: Range<usize>, rows: Range<usize>) -> Self {
        let group = of.group();
        let n_queries = rows.len() * group;
        let stride = n_queries.next_multiple_of(QUERIES_AT_ONCE);
        let needs_mask = rows.len() > 1 && !of.mask.is_null();
        Self { of, kv_heads, rows, group, n_queries, stride, needs_mask }
    }

    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn compute<S: Softmax>(&mut self, room: &mut Room) {
        let mut list = [0; WINDOW + CELLS];
        let mut n_listed = 0;
        let n_cells = self.of.n_cells;
        // SAFETY: as promised by the caller.
        unsafe {
            self.begin(room);
            for start in (0..n_cells).step_by(WINDOW) {
                n_listed = self.list::<S>(start..(start + WINDOW).min(n_cells), &mut list, n_listed);
                let mut at = 0;
                while n_listed - at >= CELLS {
                    self.add::<S>(room, &list[at..at + CELLS], &list[at + CELLS..n_listed]);
                    at += CELLS;
                }
                list.copy_within(at..n_listed, 0);
                n_listed -= at;
            }
            if n_listed > 0 {
                self.add::<S>(room, &list[..n_listed], &[]);
            }
            self.end::<S>(room);
        }
    }

    /// The number of each query, its row and its head.
    #[inline(always)]
    fn query(&self, kv_head: usize, i: usize) -> (usize, usize, usize) {
        let number = (kv_head - self.kv_heads.start) * self.stride + i;
        (number, self.rows.start + i / self.group, kv_head * self.group + i % self.group)
    }

    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn begin(&self, room: &mut Room) {
        let (size, value_size) = (self.of.keys.size, self.of.values.size);
        let scale = self.of.scale * std::f32::consts::LOG2_E;
        for kv_head in self.kv_heads.clone() {
            for i in 0..self.n_queries {
                let (number, row, head) = self.query(kv_head, i);
                let query = self.of.queries.vector(row, head).cast::<f32>();
                for k in 0..size {
                    // SAFETY: as promised by the caller.
                    room.queries[number * size + k] = unsafe { *query.add(k) } * scale;
                }
                (room.largest[number], room.totals[number]) = (f32::NEG_INFINITY, 0.0);
            }
            let filling = self.query(kv_head, self.n_queries).0..self.query(kv_head, self.stride).0;
            room.scores[filling.clone()].fill([0.0; CELLS]);
            room.factors[filling].fill(0.0);
        }
        room.sums[..self.kv_heads.len() * self.stride * value_size].fill(0.0);
    }

    /// Adds those of these cells to the list that a row attends to; returns its new length.
    ///
    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn list<S: Softmax>(
        &mut self,
        cells: Range<usize>,
        list: &mut [usize; WINDOW + CELLS],
        mut n: usize,
    ) -> usize {
        for start in cells.step_by(CELLS) {
            // SAFETY: as promised by the caller.
            let seen = unsafe { self.of.seen::<S>(&self.rows, start) };
            self.needs_mask |= seen.has_values;
            let mut bits = seen.by_any;
            if bits == u32::MAX {
                for i in 0..CELLS {
                    list[n + i] = start + i;
                }
                n += CELLS;
                continue;
            }
            while bits != 0 {
                list[n] = start + bits.trailing_zeros() as usize;
                n += 1;
                bits &= bits - 1;
            }
        }
        n
    }

    /// Adds these cells, and fetches those that come next.
    ///
    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn add<S: Softmax>(&self, room: &mut Room, cells: &[usize], next: &[usize]) {
        let next = &next[..next.len().min(CELLS)];
        // SAFETY: as promised by the caller.
        unsafe {
            if self.needs_mask {
                self.unpack_mask::<S>(cells, &mut room.mask);
            }
            for (i, kv_head) in self.kv_heads.clone().enumerate() {
                let n_heads = self.kv_heads.len();
                let next = &next[next.len() * i / n_heads..next.len() * (i + 1) / n_heads];
                self.unpack::<S>(&self.of.keys, kv_head, cells, &mut room.vectors);
                let first = i * self.stride;
                for query in 0..self.n_queries {
                    let next = &next[next.len() * query / self.n_queries..next.len() * (query + 1) / self.n_queries];
                    self.fetch(&self.of.keys, next);
                    self.fetch(&self.of.values, next);
                    self.score::<S>(room, first + query, query / self.group, cells.len());
                }
                self.unpack::<S>(&self.of.values, kv_head, cells, &mut room.vectors);
                let n_slices = self.of.values.size / S::LANES;
                for query in (first..first + self.stride).step_by(QUERIES_AT_ONCE) {
                    let mut slice = 0;
                    while slice < n_slices {
                        let n = if slice + S::SLICES_AT_ONCE <= n_slices { S::SLICES_AT_ONCE } else { 1 };
                        match n {
                            4 => self.add_values::<S, 4>(room, query, slice, cells.len()),
                            2 => self.add_values::<S, 2>(room, query, slice, cells.len()),
                            _ => self.add_values::<S, 1>(room, query, slice, cells.len()),
                        }
                        slice += n;
                    }
                }
            }
        }
    }

    /// Keys or values of these cells as floats. Those of cells that fill the block up are zero.
    ///
    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn unpack<S: Softmax>(&self, of: &Heads, kv_head: usize, cells: &[usize], to: &mut [f32]) {
        let n_slices = of.size / S::LANES;
        // SAFETY: as promised by the caller; there is room for all slices.
        unsafe {
            for i in 0..CELLS {
                let to = to.as_mut_ptr().add(i * S::LANES);
                let from = match cells.get(i) {
                    Some(cell) => of.vector(*cell, kv_head),
                    None => std::ptr::null(),
                };
                for slice in 0..n_slices {
                    let floats = match of.numbers {
                        _ if from.is_null() => S::splat_float(0.0),
                        Numbers::Q8 => bytes::<S>(from, slice),
                        Numbers::F16 | Numbers::F32 => S::load_halves(from.cast::<u16>().add(slice * S::LANES)),
                    };
                    S::store_floats(to.add(slice * CELLS * S::LANES), floats);
                }
            }
        }
    }

    /// Fetches the keys or values of these cells.
    #[inline(always)]
    fn fetch(&self, of: &Heads, cells: &[usize]) {
        for cell in cells {
            for kv_head in self.kv_heads.clone() {
                let at = of.vector(*cell, kv_head);
                let (n, bytes) = of.numbers.block();
                for line in (0..of.size / n * bytes).step_by(LINE) {
                    prefetch::<true>(at.wrapping_add(line));
                }
            }
        }
    }

    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn unpack_mask<S: Softmax>(&self, cells: &[usize], to: &mut [[f32; CELLS]; MOST_QUERIES]) {
        let is_contiguous = cells.len() == CELLS && cells[CELLS - 1] - cells[0] == CELLS - 1;
        for (i, row) in self.rows.clone().enumerate() {
            let mut copy = [0; CELLS];
            let mut from = self.of.mask(row, cells[0]);
            if !is_contiguous {
                for k in 0..cells.len() {
                    // SAFETY: as promised by the caller.
                    copy[k] = unsafe { *self.of.mask(row, cells[k]) };
                }
                from = copy.as_ptr();
            }
            for k in (0..CELLS).step_by(S::LANES) {
                // SAFETY: as promised by the caller; there are as many values.
                unsafe {
                    let mask = S::mul(S::load_halves(from.add(k)), S::splat_float(std::f32::consts::LOG2_E));
                    S::store_floats(to[i].as_mut_ptr().add(k), mask);
                }
            }
        }
    }

    /// The numerators of a query's softmax.
    ///
    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn score<S: Softmax>(&self, room: &mut Room, query: usize, row: usize, n_cells: usize) {
        let size = self.of.keys.size;
        let scores = &mut room.scores[query];
        // SAFETY: as promised by the caller; there are as many numbers.
        unsafe {
            for k in (0..CELLS).step_by(S::LANES) {
                let (x, keys) = (room.queries.as_ptr().add(query * size), room.vectors.as_ptr().add(k * S::LANES));
                let mut products = S::dots::<CELLS>(x, keys, size / S::LANES);
                if self.needs_mask {
                    let mask = S::load_floats(room.mask[row].as_ptr().add(k));
                    products = S::add(products, mask);
                }
                S::store_floats(scores.as_mut_ptr().add(k), products);
            }
            scores[n_cells..].fill(f32::NEG_INFINITY);
            let mut vector = S::load_floats(scores.as_ptr());
            for k in (S::LANES..CELLS).step_by(S::LANES) {
                vector = S::max(vector, S::load_floats(scores.as_ptr().add(k)));
            }
            let (before, here) = (room.largest[query], S::largest(vector));
            let mut largest = if here > before { here } else { before };
            if largest == f32::NEG_INFINITY && scores.iter().any(|score| score.is_nan()) {
                largest = f32::NAN; // It must not be lost.
            }
            if largest == f32::NEG_INFINITY {
                scores.fill(0.0);
                room.factors[query] = 1.0;
                return;
            }
            let mut totals = S::splat_float(0.0);
            for k in (0..CELLS).step_by(S::LANES) {
                let at = scores.as_mut_ptr().add(k);
                let numerators = exp2::<S>(S::sub_floats(S::load_floats(at), S::splat_float(largest)));
                totals = S::add(totals, numerators);
                S::store_floats(at, numerators);
            }
            let factor = if largest == before { 1.0 } else { (before - largest).exp2() };
            room.largest[query] = largest;
            room.factors[query] = factor;
            room.totals[query] = room.totals[query] * factor + S::sum(totals);
        }
    }

    /// Adds the values of all cells, times the numerators, to `V` slices of the sums of some queries.
    ///
    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn add_values<S: Softmax, const V: usize>(
        &self,
        room: &mut Room,
        first: usize,
        slice: usize,
        n_cells: usize,
    ) {
        let size = self.of.values.size;
        // SAFETY: as promised by the caller; there are as many numbers.
        unsafe {
            let to = room.sums.as_mut_ptr().add(first * size + slice * S::LANES);
            let mut sums = [[S::splat_float(0.0); V]; QUERIES_AT_ONCE];
            for i in 0..QUERIES_AT_ONCE {
                let factor = S::splat_float(room.factors[first + i]);
                for v in 0..V {
                    sums[i][v] = S::mul(S::load_floats(to.add(i * size + v * S::LANES)), factor);
                }
            }
            let values = room.vectors.as_ptr().add(slice * CELLS * S::LANES);
            for cell in 0..n_cells {
                let mut here = [S::splat_float(0.0); V];
                for v in 0..V {
                    here[v] = S::load_floats(values.add((v * CELLS + cell) * S::LANES));
                }
                for i in 0..QUERIES_AT_ONCE {
                    let numerator = S::splat_float(*room.scores.get_unchecked(first + i).get_unchecked(cell));
                    for v in 0..V {
                        sums[i][v] = S::add_product(sums[i][v], here[v], numerator);
                    }
                }
            }
            for i in 0..QUERIES_AT_ONCE {
                for v in 0..V {
                    S::store_floats(to.add(i * size + v * S::LANES), sums[i][v]);
                }
            }
        }
    }

    /// Divides the sums, and writes them where they belong; zeros for rows that attend to nothing.
    ///
    /// # Safety
    /// As [`compute`].
    #[inline(always)]
    unsafe fn end<S: Softmax>(&self, room: &Room) {
        let size = self.of.values.size;
        for kv_head in self.kv_heads.clone() {
            for i in 0..self.n_queries {
                let (number, row, head) = self.query(kv_head, i);
                let total = room.totals[number];
                // SAFETY: as promised by the caller.
                unsafe {
                    let inverse = S::splat_float(if total == 0.0 { 0.0 } else { 1.0 / total });
                    let to = self.of.to.add((row * self.of.queries.n_heads + head) * size);
                    for k in (0..size).step_by(S::LANES) {
                        let sums = S::load_floats(room.sums.as_ptr().add(number * size + k));
                        S::store_floats(to.add(k), S::mul(sums, inverse));
                    }
                }
            }
        }
    }
}

/// A slice of a vector of [`Numbers::Q8`].
///
/// # Safety
/// It has this slice, and the CPU has the instruction set.
#[inline(always)]
unsafe fn bytes<S: Softmax>(vector: *const u8, slice: usize) -> S::Floats {
    let (n, bytes) = Numbers::Q8.block();
    let (block, at) = (slice * S::LANES / n, slice * S::LANES % n);
    // SAFETY: as promised by the caller.
    unsafe {
        let block = vector.add(block * bytes);
        let scale = S::from_halves(S::splat(block.cast::<u16>().read_unaligned().into()));
        S::mul(S::load_bytes(block.add(size_of::<u16>() + at).cast()), scale)
    }
}

/// 2 to the power of each lane, which is not above zero: exactly zero below -126, and what is no number stays so. The
/// sum of the first seven terms of the Taylor series, with a relative error of at most 1.7e-7.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn exp2<S: Softmax>(x: S::Floats) -> S::Floats {
    const TERMS: [f32; 7] =
        [1.0, std::f32::consts::LN_2, 0.240_226_5, 0.055_504_11, 0.009_618_129, 0.001_333_355_8, 0.000_154_035_3];
    // SAFETY: as promised by the caller.
    unsafe {
        let least = S::splat_float(-126.0);
        let above = S::max(least, x);
        let whole = S::nearest(above);
        let rest = S::sub_floats(above, S::to_floats(whole));
        let mut power = S::splat_float(TERMS[6]);
        for i in (0..6).rev() {
            power = S::add_product(S::splat_float(TERMS[i]), power, rest);
        }
        S::zero_below(S::times_power(power, whole), x, least)
    }
}
