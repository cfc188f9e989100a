//! Tiles with NEON and dotprod. Here activations need not be broadcast: `sdot` takes four of them out of sixteen, and
//! the products of minima take single words.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::arch::aarch64::*;

use super::super::blocks::BLOCK;
use super::super::simd::Simd;
use super::super::simd::neon::{Vectors128, dot_lane};
use super::lanes::Lanes;
use super::tile::{self, Column, Format, STEP, Tile};
use super::{ROWS, Sums, Tiles};

/// Rows whose sums are in registers at once.
pub(super) const ROWS_AT_ONCE: usize = 8;

impl Tiles for Vectors128<false> {
    const LANES: usize = <Self as Simd>::LANES;
    const MOST_COLUMNS: usize = 6;

    #[target_feature(enable = "neon,dotprod")]
    unsafe fn round<W: Format>(x: &[f32; BLOCK]) -> W::Column {
        tile::round::<Self, W>(x)
    }

    #[target_feature(enable = "neon,dotprod")]
    unsafe fn unpack<W: Format>(lanes: Lanes, row: usize, to: &mut Tile) {
        // SAFETY: as promised by the caller.
        unsafe { tile::unpack::<Self, W>(lanes, row, to) };
    }

    #[target_feature(enable = "neon,dotprod")]
    unsafe fn multiply<W: Format>(tile: &Tile, columns: &[W::Column], sums: &mut [Sums]) {
        // SAFETY: each arm has as many columns as it says.
        unsafe {
            match columns.len() {
                1 => multiply_all::<W, 1>(tile, columns, sums),
                2 => multiply_all::<W, 2>(tile, columns, sums),
                3 => multiply_all::<W, 3>(tile, columns, sums),
                4 => multiply_all::<W, 4>(tile, columns, sums),
                5 => multiply_all::<W, 5>(tile, columns, sums),
                6 => multiply_all::<W, 6>(tile, columns, sums),
                n => unreachable!("{n} columns at once"),
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set; there are N columns and N sums.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn multiply_all<W: Format, const N: usize>(tile: &Tile, columns: &[W::Column], sums: &mut [Sums]) {
    assert!(columns.len() == N && sums.len() == N);
    for row in (0..ROWS).step_by(ROWS_AT_ONCE) {
        // SAFETY: as promised by the caller.
        unsafe {
            let products = products::<W, N>(tile, row, columns);
            finish::<W, N>(tile, row, columns, products, sums);
        }
    }
}

/// Products of eight rows, from `row` on, with their scales but without minima and without what all weights of a column
/// share.
///
/// # Safety
/// As above.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn products<W: Format, const N: usize>(tile: &Tile, row: usize, columns: &[W::Column]) -> [[float32x4_t; 2]; N] {
    let mut products = [[vdupq_n_f32(0.0); 2]; N];
    let mut whole = [[vdupq_n_s32(0); 2]; N];
    // SAFETY: as promised by the caller; rows, groups and steps are within the tile, and sixteen activations from a
    // multiple of sixteen on within the block.
    unsafe {
        let mut d = [[0.0; 8]; N];
        if !W::WHOLE_SCALES {
            for n in 0..N {
                d[n] = columns.get_unchecked(n).scales();
            }
        }
        for group in 0..BLOCK / W::GROUP {
            let mut sums = [[vdupq_n_s32(0); 2]; N];
            for at in (W::GROUP * group..W::GROUP * (group + 1)).step_by(4 * STEP) {
                let mut x = [vdupq_n_s8(0); N];
                for n in 0..N {
                    x[n] = vld1q_s8(columns.get_unchecked(n).q().as_ptr().add(at));
                }
                step::<N, 0>(tile, row, at, &x, &mut sums);
                step::<N, 1>(tile, row, at, &x, &mut sums);
                step::<N, 2>(tile, row, at, &x, &mut sums);
                step::<N, 3>(tile, row, at, &x, &mut sums);
            }
            let scales = tile.scales.get_unchecked(group).as_ptr().add(row);
            if W::WHOLE_SCALES {
                let scales = [vld1q_s32(scales.cast()), vld1q_s32(scales.cast::<i32>().add(4))];
                for n in 0..N {
                    for i in 0..2 {
                        whole[n][i] = vmlaq_s32(whole[n][i], sums[n][i], scales[i]);
                    }
                }
                continue;
            }
            let scales = two_floats(scales);
            for n in 0..N {
                for i in 0..2 {
                    let sums = vmulq_f32(vcvtq_f32_s32(sums[n][i]), vld1q_dup_f32(&raw const d[n][group]));
                    products[n][i] = vfmaq_f32(products[n][i], sums, scales[i]);
                }
            }
        }
        if W::WHOLE_SCALES {
            let d = two_floats(tile.d.as_ptr().add(row));
            for n in 0..N {
                for i in 0..2 {
                    products[n][i] = vmulq_f32(vcvtq_f32_s32(whole[n][i]), d[i]);
                }
            }
        }
    }
    products
}

/// Adds the products with four activations: the `LANE`th four of sixteen.
///
/// # Safety
/// As above.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn step<const N: usize, const LANE: i32>(
    tile: &Tile,
    row: usize,
    at: usize,
    x: &[int8x16_t; N],
    sums: &mut [[int32x4_t; 2]; N],
) {
    // SAFETY: as above.
    unsafe {
        let q = tile.q.get_unchecked(at / STEP + LANE as usize).as_ptr().add(STEP * row).cast::<i8>();
        let q = [vld1q_s8(q), vld1q_s8(q.add(16))];
        for n in 0..N {
            for i in 0..2 {
                sums[n][i] = dot_lane::<LANE>(sums[n][i], q[i], x[n]);
            }
        }
    }
}

/// Subtracts minima, and adds the products to the sums.
///
/// # Safety
/// As above.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn finish<W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    columns: &[W::Column],
    mut products: [[float32x4_t; 2]; N],
    sums: &mut [Sums],
) {
    // SAFETY: as above.
    unsafe {
        if W::HAS_MINIMA {
            subtract_minima::<W, N>(tile, row, columns, &mut products);
        }
        for n in 0..N {
            let d = if W::WHOLE_SCALES { columns.get_unchecked(n).scales()[0] } else { 1.0 };
            for i in 0..2 {
                let to = sums.get_unchecked_mut(n).0.as_mut_ptr().add(row + 4 * i);
                vst1q_f32(to, vfmaq_n_f32(vld1q_f32(to), products[n][i], d));
            }
        }
    }
}

/// The minimum of a group, times the sum of its activations.
///
/// # Safety
/// As above.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn subtract_minima<W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    columns: &[W::Column],
    products: &mut [[float32x4_t; 2]; N],
) {
    let mut offsets = [[vdupq_n_s32(0); 2]; N];
    // SAFETY: as above; eight rows with two words each, and eight words.
    unsafe {
        let mut x = [vdupq_n_s16(0); N];
        for n in 0..N {
            x[n] = vld1q_s16(columns.get_unchecked(n).sums().as_ptr());
        }
        add_minima::<N, 0, 1>(tile, row, &x, &mut offsets);
        add_minima::<N, 2, 3>(tile, row, &x, &mut offsets);
        add_minima::<N, 4, 5>(tile, row, &x, &mut offsets);
        add_minima::<N, 6, 7>(tile, row, &x, &mut offsets);
        let d_min = two_floats(tile.d_min.as_ptr().add(row));
        for n in 0..N {
            for i in 0..2 {
                products[n][i] = vfmsq_f32(products[n][i], vcvtq_f32_s32(offsets[n][i]), d_min[i]);
            }
        }
    }
}

/// Two groups of 32.
///
/// # Safety
/// As above.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn add_minima<const N: usize, const FIRST: i32, const SECOND: i32>(
    tile: &Tile,
    row: usize,
    x: &[int16x8_t; N],
    offsets: &mut [[int32x4_t; 2]; N],
) {
    let pair = FIRST as usize / 2;
    // SAFETY: as above.
    let int16x8x2_t(first, second) = unsafe { vld2q_s16(tile.minima[pair].as_ptr().add(row).cast()) };
    for n in 0..N {
        offsets[n][0] = vmlal_laneq_s16::<FIRST>(offsets[n][0], vget_low_s16(first), x[n]);
        offsets[n][1] = vmlal_high_laneq_s16::<FIRST>(offsets[n][1], first, x[n]);
        offsets[n][0] = vmlal_laneq_s16::<SECOND>(offsets[n][0], vget_low_s16(second), x[n]);
        offsets[n][1] = vmlal_high_laneq_s16::<SECOND>(offsets[n][1], second, x[n]);
    }
}

/// # Safety
/// There are eight floats.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn two_floats(from: *const f32) -> [float32x4_t; 2] {
    // SAFETY: as promised by the caller.
    unsafe { [vld1q_f32(from), vld1q_f32(from.add(4))] }
}
