//! Tiles multiplied with activations that are broadcast from memory, by vectors of any length: how x86 does it. What
//! decides how a product is rounded is shared with `direct.rs`.
//!
//! Two vectors of rows and several columns at once hide the latency of a multiplication. Each group of weights ends
//! with a multiplication by its scale, and before that, unless scales are whole numbers (`whole.rs`), a conversion to
//! float.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use super::super::blocks::BLOCK;
use super::super::simd::Products;
use super::tile::{self, Column, Format, STEP, Tile};
use super::{ROWS, Sums, whole};
use std::ops::Range;

/// Adds the products of a tile and up to `MOST_COLUMNS` columns to as many sums.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(super) unsafe fn multiply<S: Products, W: Format>(tile: &Tile, columns: &[W::Column], sums: &mut [Sums]) {
    // SAFETY: each arm has as many columns as it says.
    unsafe {
        match columns.len() {
            1 => multiply_all::<S, W, 1>(tile, columns, sums),
            2 => multiply_all::<S, W, 2>(tile, columns, sums),
            3 => multiply_all::<S, W, 3>(tile, columns, sums),
            4 => multiply_all::<S, W, 4>(tile, columns, sums),
            5 if S::MOST_COLUMNS >= 5 => multiply_all::<S, W, 5>(tile, columns, sums),
            6 if S::MOST_COLUMNS >= 6 => multiply_all::<S, W, 6>(tile, columns, sums),
            n => unreachable!("{n} columns at once"),
        }
    }
}

/// # Safety
/// The CPU has the instruction set; there are N columns and N sums.
#[inline(always)]
unsafe fn multiply_all<S: Products, W: Format, const N: usize>(tile: &Tile, columns: &[W::Column], sums: &mut [Sums]) {
    assert!(columns.len() == N && sums.len() == N);
    for row in (0..ROWS).step_by(2 * S::LANES) {
        // SAFETY: as promised by the caller.
        unsafe { multiply_rows::<S, W, N>(tile, row, columns, sums) };
    }
}

/// Two vectors of rows, from `row` on.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn multiply_rows<S: Products, W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    columns: &[W::Column],
    sums: &mut [Sums],
) {
    // SAFETY: as promised by the caller; rows, groups and steps are within the tile, and four activations from a
    // multiple of four on within the block.
    unsafe {
        let mut d = [[0.0; 8]; N];
        for n in 0..N {
            d[n] = columns[n].scales();
        }
        let mut products = match W::WHOLE_SCALES {
            true => whole::of_tile::<S, W, N>(tile, row, columns),
            false => of_tile::<S, W, N>(tile, row, columns, &d),
        };
        if W::HAS_MINIMA {
            subtract_minima::<S, W, N>(tile, row, columns, &mut products);
        }
        for n in 0..N {
            for i in 0..2 {
                let to = sums[n].0.as_mut_ptr().add(row + S::LANES * i);
                S::store_floats(to, add_block::<S, W>(S::load_floats(to), products[n][i], &d[n]));
            }
        }
    }
}

/// Products of a tile's weights, without their minima.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn of_tile<S: Products, W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    columns: &[W::Column],
    d: &[[f32; 8]; N],
) -> [[S::Floats; 2]; N] {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut products = [[S::splat_float(0.0); 2]; N];
        for group in 0..BLOCK / W::GROUP {
            add_group::<S, W, N>(tile, row, group, columns, d, &mut products);
        }
        products
    }
}

/// Adds the products of a group of weights, times its scale and the columns'.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn add_group<S: Products, W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    group: usize,
    columns: &[W::Column],
    d: &[[f32; 8]; N],
    products: &mut [[S::Floats; 2]; N],
) {
    // SAFETY: as above.
    unsafe {
        let is_moved = tile::moves_columns::<S, W>();
        let start = if is_moved { two::<S>(tile.start[group].as_ptr().add(row).cast()) } else { [S::splat(0); 2] };
        let mut sums = [start; N];
        add::<S, W, N>(tile, row, W::GROUP * group / STEP..W::GROUP * (group + 1) / STEP, columns, &mut sums);
        let scales = two_floats::<S>(tile.scales[group].as_ptr().add(row));
        for n in 0..N {
            for i in 0..2 {
                products[n][i] = add_scaled::<S>(products[n][i], sums[n][i], d[n][group], scales[i]);
            }
        }
    }
}

/// Adds the products of weights and activations, of which the unsigned ones come first.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(super) unsafe fn dot<S: Products, W: Format>(part: S::Ints, q: S::Ints, x: S::Ints) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe { if tile::moves_columns::<S, W>() { S::dot(part, x, q) } else { S::dot(part, q, x) } }
}

/// Adds the sums of a group, times its scale and the column's.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(super) unsafe fn add_scaled<S: Products>(product: S::Floats, sums: S::Ints, d: f32, scale: S::Floats) -> S::Floats {
    // SAFETY: as promised by the caller.
    unsafe { S::add_product(product, S::mul(S::to_floats(sums), S::splat_float(d)), scale) }
}

/// Adds the product of a block, times the column's scale if it has one for the whole block.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(super) unsafe fn add_block<S: Products, W: Format>(sum: S::Floats, product: S::Floats, d: &[f32; 8]) -> S::Floats {
    // SAFETY: as promised by the caller.
    unsafe { S::add_product(sum, product, S::splat_float(if W::WHOLE_SCALES { d[0] } else { 1.0 })) }
}

/// Adds the products of these steps.
///
/// # Safety
/// As above.
#[inline(always)]
pub(super) unsafe fn add<S: Products, W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    steps: Range<usize>,
    columns: &[W::Column],
    sums: &mut [[S::Ints; 2]; N],
) {
    // SAFETY: as above.
    unsafe {
        for at in steps {
            let q = two::<S>(tile.q.get_unchecked(at).as_ptr().add(STEP * row));
            for n in 0..N {
                let x = columns.get_unchecked(n).q().as_ptr().add(STEP * at);
                let x = S::splat(x.cast::<i32>().read_unaligned());
                for i in 0..2 {
                    sums[n][i] = dot::<S, W>(sums[n][i], q[i], x);
                }
            }
        }
    }
}

/// The minimum of a group, times the sum of its activations.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn subtract_minima<S: Products, W: Format, const N: usize>(
    tile: &Tile,
    row: usize,
    columns: &[W::Column],
    products: &mut [[S::Floats; 2]; N],
) {
    // SAFETY: as above; two of eight words.
    unsafe {
        let mut offsets = [[S::splat(0); 2]; N];
        for pair in 0..4 {
            let minima = two::<S>(tile.minima[pair].as_ptr().add(row).cast());
            for n in 0..N {
                let x = S::splat(columns[n].sums().as_ptr().add(2 * pair).cast::<i32>().read_unaligned());
                for i in 0..2 {
                    offsets[n][i] = S::dot_words(offsets[n][i], minima[i], x);
                }
            }
        }
        let d_min = two_floats::<S>(tile.d_min.as_ptr().add(row));
        for n in 0..N {
            for i in 0..2 {
                products[n][i] = S::sub_product(products[n][i], S::to_floats(offsets[n][i]), d_min[i]);
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set, and there are two vectors.
#[inline(always)]
pub(super) unsafe fn two<S: Products>(from: *const u8) -> [S::Ints; 2] {
    // SAFETY: as promised by the caller.
    unsafe { [S::load(from), S::load(from.add(4 * S::LANES))] }
}

/// # Safety
/// As above.
#[inline(always)]
pub(super) unsafe fn two_floats<S: Products>(from: *const f32) -> [S::Floats; 2] {
    // SAFETY: as promised by the caller.
    unsafe { [S::load_floats(from), S::load_floats(from.add(S::LANES))] }
}
