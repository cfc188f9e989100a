//! Products of weights whose scales are whole numbers, which ggml's K types are.
//!
//! All groups of a block share one exact sum of integers, and only that sum becomes a float: this takes fewer
//! instructions and registers than a conversion for each group, and whatever the instruction set, the number of columns
//! or the order of groups, the sum is the same.
//!
//! AVX2 without VNNI adds products of bytes in 16 bits. Before these sums overflow, they are multiplied by the scale
//! and widened by the same instruction.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use super::super::blocks::BLOCK;
use super::super::simd::Products;
use super::ahead::Ahead;
use super::broadcast::{add, dot, two, two_floats};
use super::direct::Parts;
use super::lanes::Lanes;
use super::tile::{self, Column, Format, MOST_IN_PART, STEP, Take, Tile};

/// Products of two vectors of a tile's rows, from `row` on, without their minima.
///
/// # Safety
/// The CPU has the instruction set, and the tile these rows; there are N columns.
#[inline(always)]
pub(super) unsafe fn of_tile<S: Products, W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    columns: &[W::Column],
) -> [[S::Floats; 2]; N] {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut sums = [[S::splat(0); 2]; N];
        for part in 0..tile::parts_of_block::<W>() {
            // Written out: the compiler may keep a loop, and with it the sums in memory.
            add_group::<S, W, N>(tile, row, W::group(part, 0), columns, &mut sums);
            add_group::<S, W, N>(tile, row, W::group(part, 1), columns, &mut sums);
            if W::GROUPS_IN_PART > 2 {
                add_group::<S, W, N>(tile, row, W::group(part, 2), columns, &mut sums);
                add_group::<S, W, N>(tile, row, W::group(part, 3), columns, &mut sums);
            }
        }
        if tile::moves_weights::<S, W>() {
            let mut moves = [[S::splat(0); 2]; N];
            for pair in 0..BLOCK / 32 {
                let scales = two::<S>(tile.minima[pair].as_ptr().add(row).cast());
                for n in 0..N {
                    let x = pair_of_sums::<S, W>(&columns[n], pair);
                    for i in 0..2 {
                        moves[n][i] = S::dot_words(moves[n][i], scales[i], x);
                    }
                }
            }
            for n in 0..N {
                for i in 0..2 {
                    sums[n][i] = moved_back::<S, W>(sums[n][i], moves[n][i]);
                }
            }
        }
        let d = two_floats::<S>(tile.d.as_ptr().add(row));
        let mut products = [d; N];
        for n in 0..N {
            for i in 0..2 {
                products[n][i] = S::mul(S::to_floats(sums[n][i]), d[i]);
            }
        }
        products
    }
}

/// # Safety
/// As above.
#[inline(always)]
unsafe fn add_group<S: Products, W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    group: usize,
    columns: &[W::Column],
    sums: &mut [[S::Ints; 2]; N],
) {
    let (first, end) = (W::GROUP * group / STEP, W::GROUP * (group + 1) / STEP);
    // SAFETY: as above.
    unsafe {
        for at in (first..end).step_by(steps_at_once::<S, W>()) {
            let mut products = [[S::splat(0); 2]; N];
            add::<S, W, N>(tile, row, at..at + steps_at_once::<S, W>(), columns, &mut products);
            let scales = two::<S>(tile.scales[group].as_ptr().add(row).cast());
            for n in 0..N {
                for i in 0..2 {
                    sums[n][i] = S::add_products_scaled(sums[n][i], products[n][i], scales[i]);
                }
            }
        }
    }
}

/// Steps before products are scaled.
const fn steps_at_once<S: Products, W: Format>() -> usize {
    if S::SUMS_WORDS { W::STEPS } else { W::GROUP / STEP }
}

/// The sums of the activations of two groups, as words.
///
/// # Safety
/// The CPU has the instruction set, and the column these groups.
#[inline(always)]
unsafe fn pair_of_sums<S: Products, W: Format>(column: &W::Column, pair: usize) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe { S::splat(column.sums().as_ptr().add(2 * pair).cast::<i32>().read_unaligned()) }
}

/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn moved_back<S: Products, W: Format>(sums: S::Ints, moves: S::Ints) -> S::Ints {
    const { assert!(W::MOVED_UP == 0 || W::MOVED_UP.count_ones() == 1) };
    // SAFETY: as promised by the caller.
    unsafe { S::sub(sums, S::left(moves, W::MOVED_UP.trailing_zeros() as i32)) }
}

/// Products of a block of as many rows as a vector has lanes, without their minima, as weights are unpacked.
pub(super) struct Whole<'a, S: Products, W: Format, const N: usize> {
    columns: &'a [W::Column; N],
    /// Of the part.
    scales: [S::Ints; MOST_IN_PART],
    sums: [S::Ints; N],
    ahead: Ahead,
}

impl<'a, S: Products, W: Format, const N: usize> Whole<'a, S, W, N> {
    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    pub(super) unsafe fn new(columns: &'a [W::Column; N], ahead: Ahead) -> Self {
        // SAFETY: as promised by the caller.
        let zero = unsafe { S::splat(0) };
        Self { columns, scales: [zero; MOST_IN_PART], sums: [zero; N], ahead }
    }
}

impl<S: Products, W: Format, const N: usize> Parts<S, W, N> for Whole<'_, S, W, N> {
    #[inline(always)]
    unsafe fn add(&mut self, lanes: Lanes, header: &W::Header<S>, part: usize) {
        // SAFETY: as promised by the caller.
        unsafe {
            self.scales = W::whole_scales::<S>(header, part);
            W::part::<S>(lanes, header, part, self);
        }
    }

    #[inline(always)]
    unsafe fn products(mut self, header: &W::Header<S>) -> [S::Floats; N] {
        // SAFETY: as promised by the caller.
        unsafe {
            if tile::moves_weights::<S, W>() {
                let scales = W::moves::<S>(header);
                for n in 0..N {
                    let mut moves = S::splat(0);
                    for pair in 0..scales.len() {
                        moves = S::dot_words(moves, scales[pair], pair_of_sums::<S, W>(&self.columns[n], pair));
                    }
                    self.sums[n] = moved_back::<S, W>(self.sums[n], moves);
                }
            }
            let d = W::d::<S>(header);
            let mut products = [d; N];
            for n in 0..N {
                products[n] = S::mul(S::to_floats(self.sums[n]), d);
            }
            products
        }
    }
}

impl<S: Products, W: Format, const N: usize> Take<S> for Whole<'_, S, W, N> {
    #[inline(always)]
    unsafe fn take<const K: usize>(&mut self, i: usize, step: usize, q: [S::Ints; K]) {
        // SAFETY: as promised by the caller: the steps are within the block.
        unsafe {
            for portion in step / 4..(step + K) / 4 {
                self.ahead.fetch(portion);
            }
            for n in 0..N {
                let x = self.columns[n].q().as_ptr().add(STEP * step).cast::<i32>();
                for first in (0..K).step_by(steps_at_once::<S, W>()) {
                    let mut products = S::splat(0);
                    for k in first..first + steps_at_once::<S, W>() {
                        products = dot::<S, W>(products, q[k], S::splat(x.add(k).read_unaligned()));
                    }
                    self.sums[n] = S::add_products_scaled(self.sums[n], products, self.scales[i]);
                }
                self.sums[n] = S::fence(self.sums[n]);
            }
        }
    }
}
