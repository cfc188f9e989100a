//! A few columns: weights are unpacked as for tiles, but multiplied while they are in registers.
//!
//! Writing and reading a tile costs about as much as unpacking it, which pays only for many columns. Products are added
//! in the same order as with tiles (`broadcast.rs`), so they are rounded alike for any number of columns.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::mem::MaybeUninit;

use super::super::blocks::BLOCK;
use super::super::simd::Products;
use super::broadcast::{add_block, add_scaled, dot, without_move};
use super::tile::{self, Column, Format, Lanes, MOST_IN_PART, STEP, Take};
use super::words::Words;
use super::{Ahead, ROWS, Rows};

/// As [`super::multiply`], for N columns.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn multiply<S: Products, W: Format, const N: usize>(
    rows: Rows,
    columns: &[W::Column],
    mut store: impl FnMut(usize, usize, &[f32]),
) {
    assert_eq!(columns.len(), N * rows.n_blocks);
    for row in (0..rows.n_rows).step_by(S::LANES) {
        // SAFETY: as promised by the caller.
        unsafe {
            let mut sums = [S::splat_float(0.0); N];
            for block in 0..rows.n_blocks {
                let here = columns.get_unchecked(N * block..).first_chunk().expect("there are N columns");
                let mut copy = [const { MaybeUninit::uninit() }; ROWS];
                let lanes = rows.block::<W>(row, block, S::LANES, &mut copy);
                let ahead = Ahead::new::<W>(&rows, row, block, S::LANES, BLOCK / (4 * STEP));
                add::<S, W, N>(lanes, here, ahead, &mut sums);
            }
            for n in 0..N {
                let mut products = [0.0; ROWS];
                S::store_floats(products.as_mut_ptr(), sums[n]);
                store(n, row, &products[..(rows.n_rows - row).min(S::LANES)]);
            }
        }
    }
}

/// Adds the products of a block of as many rows as a vector has lanes.
///
/// # Safety
/// The CPU has the instruction set, and the blocks are valid.
#[inline(always)]
unsafe fn add<S: Products, W: Format, const N: usize>(
    lanes: Lanes,
    columns: &[W::Column; N],
    ahead: Ahead,
    sums: &mut [S::Floats; N],
) {
    // SAFETY: as promised by the caller; groups and steps are within the block.
    unsafe {
        let header = W::header::<S>(lanes);
        let mut d = [[0.0; 8]; N];
        for n in 0..N {
            d[n] = columns[n].scales();
        }
        let mut products = match S::SUMS_WORDS {
            true => add_parts::<S, W, N>(lanes, &header, Words::<S, W, N>::new(columns, ahead)),
            false => add_parts::<S, W, N>(lanes, &header, Dots::<S, W, N>::new(columns, &d, ahead)),
        };
        if W::HAS_MINIMA {
            let minima = W::minima::<S>(&header);
            for n in 0..N {
                let mut offsets = S::splat(0);
                for pair in 0..minima.pairs.len() {
                    let x = S::splat(columns[n].sums().as_ptr().add(2 * pair).cast::<i32>().read_unaligned());
                    offsets = S::dot_words(offsets, minima.pairs[pair], x);
                }
                products[n] = S::sub_product(products[n], S::to_floats(offsets), minima.d);
            }
        }
        for n in 0..N {
            sums[n] = add_block::<S, W>(sums[n], products[n], &d[n]);
        }
    }
}

/// The products of N columns and a block of as many rows as a vector has lanes, added part by part.
pub(super) trait Parts<S: Products, W: Format, const N: usize> {
    /// # Safety
    /// The CPU has the instruction set, and the block is valid and has this part.
    unsafe fn add(&mut self, lanes: Lanes, header: &W::Header<S>, part: usize);

    /// All of them, without their minima.
    ///
    /// # Safety
    /// As above.
    unsafe fn products(self, header: &W::Header<S>) -> [S::Floats; N];
}

/// All parts.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn add_parts<S: Products, W: Format, const N: usize>(
    lanes: Lanes,
    header: &W::Header<S>,
    mut to: impl Parts<S, W, N>,
) -> [S::Floats; N] {
    // SAFETY: as promised by the caller.
    unsafe {
        if N > S::MOST_WRITTEN_OUT {
            for part in 0..tile::parts_of_block::<W>() {
                to.add(lanes, header, part);
            }
        } else {
            to.add(lanes, header, 0);
            to.add(lanes, header, 1);
            to.add(lanes, header, 2);
            to.add(lanes, header, 3);
            if tile::parts_of_block::<W>() > 4 {
                to.add(lanes, header, 4);
                to.add(lanes, header, 5);
                to.add(lanes, header, 6);
                to.add(lanes, header, 7);
            }
        }
        to.products(header)
    }
}

/// Multiplies weights with N columns as they are unpacked, and adds each group once it is complete, so that few sums
/// need a register at a time.
struct Dots<'a, S: Products, W: Format, const N: usize> {
    columns: &'a [W::Column; N],
    d: &'a [[f32; 8]; N],
    scales: [S::Floats; MOST_IN_PART],
    part: usize,
    /// Sums of the products of bytes, for each group of the part and each column.
    sums: [[S::Ints; N]; MOST_IN_PART],
    /// Sums of the weights alone, if activations are moved up.
    totals: [S::Ints; MOST_IN_PART],
    products: [S::Floats; N],
    ahead: Ahead,
}

impl<'a, S: Products, W: Format, const N: usize> Dots<'a, S, W, N> {
    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn new(columns: &'a [W::Column; N], d: &'a [[f32; 8]; N], ahead: Ahead) -> Self {
        // SAFETY: as promised by the caller.
        let (zero, products) = unsafe { (S::splat(0), [S::splat_float(0.0); N]) };
        let (sums, totals) = ([[zero; N]; MOST_IN_PART], [zero; MOST_IN_PART]);
        Self { columns, d, scales: [products[0]; MOST_IN_PART], part: 0, sums, totals, products, ahead }
    }
}

impl<S: Products, W: Format, const N: usize> Parts<S, W, N> for Dots<'_, S, W, N> {
    #[inline(always)]
    unsafe fn add(&mut self, lanes: Lanes, header: &W::Header<S>, part: usize) {
        // SAFETY: as promised by the caller.
        unsafe {
            (self.part, self.scales) = (part, W::scales::<S>(header, part));
            (self.sums, self.totals) = ([[S::splat(0); N]; MOST_IN_PART], [S::splat(0); MOST_IN_PART]);
            W::part::<S>(lanes, header, part, self);
        }
    }

    #[inline(always)]
    unsafe fn products(self, _header: &W::Header<S>) -> [S::Floats; N] {
        self.products
    }
}

impl<S: Products, W: Format, const N: usize> Take<S> for Dots<'_, S, W, N> {
    #[inline(always)]
    unsafe fn take(&mut self, i: usize, step: usize, q: [S::Ints; 4]) {
        let group = W::group(self.part, i);
        let (first, last) = (group * W::GROUP / STEP, (group + 1) * W::GROUP / STEP - 4);
        // SAFETY: as promised by the caller: the step is within the block.
        unsafe {
            self.ahead.fetch(step / 4);
            if tile::moves_columns::<S, W>() {
                self.totals[i] = tile::total::<S>(self.totals[i], q);
            }
            for n in 0..N {
                if W::MOVED_UP > 0 && step == first {
                    self.sums[i][n] = without_move::<S, W>(&self.columns[n], group);
                }
                let x = self.columns[n].q().as_ptr().add(STEP * step).cast::<i32>();
                for k in 0..4 {
                    self.sums[i][n] = dot::<S, W>(self.sums[i][n], q[k], S::splat(x.add(k).read_unaligned()));
                }
                if N <= S::MOST_WRITTEN_OUT {
                    self.sums[i][n] = S::fence(self.sums[i][n]);
                }
                if step == last {
                    let mut sum = self.sums[i][n];
                    if tile::moves_columns::<S, W>() {
                        // Activations were moved up by 128.
                        sum = S::sub(sum, S::left(self.totals[i], 7));
                    }
                    self.products[n] = add_scaled::<S, W>(self.products[n], sum, &self.d[n], group, self.scales[i]);
                }
            }
        }
    }
}
