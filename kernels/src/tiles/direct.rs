//! A few columns: weights are unpacked as for tiles, but multiplied while they are in registers.
//!
//! Writing and reading a tile costs about as much as unpacking it, which pays only for many columns. Products are added
//! in the same order as with tiles (`broadcast.rs`), so they are rounded alike for any number of columns.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::mem::MaybeUninit;

use super::super::blocks::BLOCK;
use super::super::simd::Products;
use super::ahead::Ahead;
use super::broadcast::{add_block, add_scaled, dot};
use super::lanes::Lanes;
use super::tile::{self, Column, Format, STEP, Take};
use super::whole::Whole;
use super::{ROWS, Rows};

/// Most columns for which the parts of a block are written out. In a loop, header and weights pass through memory,
/// which takes a column with AVX2 half as long again; with more columns, long code costs more than that saves.
const MOST_WRITTEN_OUT: usize = 3;

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
            let next = rows.at_or_next(row + S::LANES);
            for block in 0..rows.n_blocks {
                let here = columns.get_unchecked(N * block..).first_chunk().expect("there are N columns");
                let mut copy = [const { MaybeUninit::uninit() }; ROWS];
                let lanes = rows.block::<W>(row, block, S::LANES, &mut copy);
                let ahead = Ahead::new::<W>(next, block, S::LANES, BLOCK / (4 * STEP));
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
        let mut products = match W::WHOLE_SCALES {
            true => add_parts::<S, W, N>(lanes, &header, Whole::<S, W, N>::new(columns, ahead)),
            false => add_parts::<S, W, N>(lanes, &header, Scaled::<S, W, N>::new(columns, &d, &header, ahead)),
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
        if N > MOST_WRITTEN_OUT {
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

/// Products without `WHOLE_SCALES`.
struct Scaled<'a, S: Products, W: Format, const N: usize> {
    columns: &'a [W::Column; N],
    d: &'a [[f32; 8]; N],
    header: &'a W::Header<S>,
    /// Sums of the group's products so far, and of its bytes.
    sums: [S::Ints; N],
    bytes: S::Ints,
    products: [S::Floats; N],
    ahead: Ahead,
}

impl<'a, S: Products, W: Format, const N: usize> Scaled<'a, S, W, N> {
    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn new(columns: &'a [W::Column; N], d: &'a [[f32; 8]; N], header: &'a W::Header<S>, ahead: Ahead) -> Self {
        // SAFETY: as promised by the caller.
        let (zero, products) = unsafe { (S::splat(0), [S::splat_float(0.0); N]) };
        Self { columns, d, header, sums: [zero; N], bytes: zero, products, ahead }
    }
}

impl<S: Products, W: Format, const N: usize> Parts<S, W, N> for Scaled<'_, S, W, N> {
    #[inline(always)]
    unsafe fn add(&mut self, lanes: Lanes, header: &W::Header<S>, part: usize) {
        // SAFETY: as promised by the caller.
        unsafe { W::part::<S>(lanes, header, part, self) };
    }

    #[inline(always)]
    unsafe fn products(self, _header: &W::Header<S>) -> [S::Floats; N] {
        self.products
    }
}

impl<S: Products, W: Format, const N: usize> Take<S> for Scaled<'_, S, W, N> {
    #[inline(always)]
    unsafe fn take<const K: usize>(&mut self, _i: usize, step: usize, q: [S::Ints; K]) {
        let group = STEP * step / W::GROUP;
        // SAFETY: as promised by the caller: the steps are within the block.
        unsafe {
            for portion in step / 4..(step + K) / 4 {
                self.ahead.fetch(portion);
            }
            self.bytes = tile::add_bytes::<S, W, K>(self.bytes, q);
            for n in 0..N {
                let x = self.columns[n].q().as_ptr().add(STEP * step).cast::<i32>();
                for k in 0..K {
                    self.sums[n] = dot::<S, W>(self.sums[n], q[k], S::splat(x.add(k).read_unaligned()));
                }
                // With more columns it costs a twentieth.
                if N == 1 {
                    self.sums[n] = S::fence(self.sums[n]);
                }
            }
            if tile::is_last::<W>(step, K) {
                let scale = W::scale::<S>(self.header, group);
                let moved = S::left(self.bytes, 7);
                for n in 0..N {
                    let sum = S::sub(self.sums[n], moved);
                    self.products[n] = add_scaled::<S>(self.products[n], sum, self.d[n][group], scale);
                }
                (self.sums, self.bytes) = ([S::splat(0); N], S::splat(0));
            }
        }
    }
}
