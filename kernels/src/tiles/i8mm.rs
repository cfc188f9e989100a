//! Tiles with NEON's i8mm: `smmla` multiplies eight weights of two rows with eight activations of two columns.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::arch::aarch64::*;

use super::super::blocks::BLOCK;
use super::super::simd::Simd;
use super::super::simd::neon::{Vectors128, matrix};
use super::lanes::Lanes;
use super::neon::{ROWS_AT_ONCE, finish, two_floats};
use super::tile::{self, Column, Format, STEP, Tile};
use super::{ROWS, Sums, Tiles};

impl Tiles for Vectors128<true> {
    const LANES: usize = <Self as Simd>::LANES;
    const MOST_COLUMNS: usize = 6;

    #[target_feature(enable = "neon,dotprod,i8mm")]
    unsafe fn round<W: Format>(x: &[f32; BLOCK]) -> W::Column {
        tile::round::<Self, W>(x)
    }

    #[target_feature(enable = "neon,dotprod,i8mm")]
    unsafe fn unpack<W: Format>(lanes: Lanes, row: usize, to: &mut Tile) {
        // SAFETY: as promised by the caller.
        unsafe { tile::unpack::<Self, W>(lanes, row, to) };
    }

    #[target_feature(enable = "neon,dotprod,i8mm")]
    unsafe fn multiply<W: Format>(tile: &Tile, columns: &[W::Column], sums: &mut [Sums]) {
        // SAFETY: each arm has as many columns and pairs of them as it says.
        unsafe {
            match columns.len() {
                1 => multiply_all::<W, 1, 1>(tile, columns, sums),
                2 => multiply_all::<W, 2, 1>(tile, columns, sums),
                3 => multiply_all::<W, 3, 2>(tile, columns, sums),
                4 => multiply_all::<W, 4, 2>(tile, columns, sums),
                5 => multiply_all::<W, 5, 3>(tile, columns, sums),
                6 => multiply_all::<W, 6, 3>(tile, columns, sums),
                n => unreachable!("{n} columns at once"),
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set; there are N columns, N sums, and half as many pairs, rounded up.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn multiply_all<W: Format, const N: usize, const PAIRS: usize>(
    tile: &Tile,
    columns: &[W::Column],
    sums: &mut [Sums],
) {
    assert!(columns.len() == N && sums.len() == N && N.div_ceil(2) == PAIRS);
    for row in (0..ROWS).step_by(ROWS_AT_ONCE) {
        // SAFETY: as promised by the caller.
        unsafe {
            let paired = products::<W, N, PAIRS>(tile, row, columns);
            let mut products = [[vdupq_n_f32(0.0); 2]; N];
            for n in 0..N {
                for i in 0..2 {
                    let [first, second] = [paired[n / 2][2 * i], paired[n / 2][2 * i + 1]];
                    products[n][i] = if n % 2 == 0 { vuzp1q_f32(first, second) } else { vuzp2q_f32(first, second) };
                }
            }
            finish::<W, N>(tile, row, columns, products, sums);
        }
    }
}

/// Products of four pairs of rows, from `row` on, and all pairs of columns: those of the first row with both columns,
/// then those of the second. A last column without another is its own pair.
///
/// # Safety
/// As above.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn products<W: Format, const N: usize, const PAIRS: usize>(
    tile: &Tile,
    row: usize,
    columns: &[W::Column],
) -> [[float32x4_t; 4]; PAIRS] {
    let mut products = [[vdupq_n_f32(0.0); 4]; PAIRS];
    let mut whole = [[vdupq_n_s32(0); 4]; PAIRS];
    // SAFETY: as promised by the caller; rows, groups and steps are within the tile, and sixteen activations from a
    // multiple of sixteen on within the block.
    unsafe {
        let pair = |i: usize| (columns.get_unchecked(2 * i), columns.get_unchecked((2 * i + 1).min(N - 1)));
        let mut d = [[[0.0_f32; 2]; 8]; PAIRS];
        if !W::WHOLE_SCALES {
            for i in 0..PAIRS {
                let (a, b) = pair(i);
                let (a, b) = (a.scales(), b.scales());
                for group in 0..8 {
                    d[i][group] = [a[group], b[group]];
                }
            }
        }
        for group in 0..BLOCK / W::GROUP {
            let mut sums = [[vdupq_n_s32(0); 4]; PAIRS];
            for at in (W::GROUP * group..W::GROUP * (group + 1)).step_by(4 * STEP) {
                let mut x = [[vdupq_n_s8(0); 2]; PAIRS];
                for i in 0..PAIRS {
                    let (a, b) = pair(i);
                    x[i] = zipped(vld1q_s8(a.q().as_ptr().add(at)), vld1q_s8(b.q().as_ptr().add(at)));
                }
                for eight in 0..2 {
                    add::<PAIRS>(tile, row, at / STEP + 2 * eight, eight, &x, &mut sums);
                }
            }
            let scales = tile.scales.get_unchecked(group).as_ptr().add(row);
            if W::WHOLE_SCALES {
                add_whole(&mut whole, &sums, scales.cast());
                continue;
            }
            let scales = twice(two_floats(scales));
            for i in 0..PAIRS {
                for rows in 0..4 {
                    let both = vreinterpretq_f32_f64(vld1q_dup_f64((&raw const d[i][group]).cast()));
                    let sums = vmulq_f32(vcvtq_f32_s32(sums[i][rows]), both);
                    products[i][rows] = vfmaq_f32(products[i][rows], sums, scales[rows]);
                }
            }
        }
        if W::WHOLE_SCALES {
            let d = twice(two_floats(tile.d.as_ptr().add(row)));
            for i in 0..PAIRS {
                products[i] = [0, 1, 2, 3].map(|rows| vmulq_f32(vcvtq_f32_s32(whole[i][rows]), d[rows]));
            }
        }
    }
    products
}

/// Adds the products of a group, times its scales, which are eight integers.
///
/// # Safety
/// The CPU has the instruction set, and the scales are there.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn add_whole<const PAIRS: usize>(
    to: &mut [[int32x4_t; 4]; PAIRS],
    sums: &[[int32x4_t; 4]; PAIRS],
    scales: *const i32,
) {
    // SAFETY: as promised by the caller.
    let (low, high) = unsafe { (vld1q_s32(scales), vld1q_s32(scales.add(4))) };
    let scales = [vzip1q_s32(low, low), vzip2q_s32(low, low), vzip1q_s32(high, high), vzip2q_s32(high, high)];
    for i in 0..PAIRS {
        for rows in 0..4 {
            to[i][rows] = vmlaq_s32(to[i][rows], sums[i][rows], scales[rows]);
        }
    }
}

/// Each float twice: two rows in a vector.
#[inline]
#[target_feature(enable = "neon")]
fn twice([low, high]: [float32x4_t; 2]) -> [float32x4_t; 4] {
    [vzip1q_f32(low, low), vzip2q_f32(low, low), vzip1q_f32(high, high), vzip2q_f32(high, high)]
}

/// The first eight activations of both columns, and the last eight.
#[inline]
#[target_feature(enable = "neon")]
fn zipped(a: int8x16_t, b: int8x16_t) -> [int8x16_t; 2] {
    let (a, b) = (vreinterpretq_s64_s8(a), vreinterpretq_s64_s8(b));
    [vreinterpretq_s8_s64(vzip1q_s64(a, b)), vreinterpretq_s8_s64(vzip2q_s64(a, b))]
}

/// Adds the products with eight activations, two steps from the `step`th on: the first or second eight of `x`.
///
/// # Safety
/// As above.
#[inline]
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn add<const PAIRS: usize>(
    tile: &Tile,
    row: usize,
    step: usize,
    eight: usize,
    x: &[[int8x16_t; 2]; PAIRS],
    sums: &mut [[int32x4_t; 4]; PAIRS],
) {
    for rows in 0..4 {
        // SAFETY: as above; of four rows, the first two are in the first step and the others in the second.
        let q = unsafe {
            let four = tile.q.get_unchecked(step + rows % 2).as_ptr();
            vld1q_s8(four.add(STEP * (row + rows / 2 * 4)).cast())
        };
        for i in 0..PAIRS {
            // SAFETY: as above.
            sums[i][rows] = unsafe { matrix(sums[i][rows], q, x[i][eight]) };
        }
    }
}
