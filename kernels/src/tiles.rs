//! Products of many columns: weights are unpacked in tiles of [`ROWS`] rows and one block, and each tile is multiplied
//! with all columns before the next. Knows no instruction set, no tensors and no threads.
//!
//! Unpacking costs as much as multiplying with several columns, so it is paid for once per tile. A tile and the sums
//! stay in the caches of the first two levels; columns are read from the second or third, block by block, which is how
//! they lie in memory.

use std::mem::MaybeUninit;

use super::blocks::BLOCK;
use ahead::Ahead;
use lanes::Lanes;
use tile::Tile;

#[cfg(target_arch = "aarch64")]
pub(super) use tile::Column;
pub(super) use tile::Format;

mod ahead;
#[cfg(target_arch = "x86_64")]
mod broadcast;
#[cfg(target_arch = "x86_64")]
mod direct;
mod formats;
#[cfg(target_arch = "x86_64")]
pub(super) mod four_rows;
#[cfg(target_arch = "aarch64")]
mod i8mm;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod rounding;
mod tile;
#[cfg(target_arch = "x86_64")]
mod whole;
#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Rows of a tile.
pub(super) const ROWS: usize = 32;

/// Most columns for one pass over the weights: their sums take 32 KiB of the stack.
const WIDTH: usize = 256;

/// An instruction set that computes tiles. All its functions may only be called where the CPU has it.
pub(super) trait Tiles {
    /// Rows that `unpack` takes.
    const LANES: usize;
    /// Most columns that `multiply` takes at once.
    const MOST_COLUMNS: usize;

    /// Rounds 256 activations as ggml does for these weights.
    ///
    /// # Safety
    /// See above.
    unsafe fn round<W: Format>(x: &[f32; BLOCK]) -> W::Column;

    /// Unpacks a block of each of `LANES` rows, the tile's from `row` on.
    ///
    /// # Safety
    /// See above; the blocks are valid, and the tile has these rows.
    unsafe fn unpack<W: Format>(lanes: Lanes, row: usize, to: &mut Tile);

    /// Adds the products of a tile and up to `MOST_COLUMNS` columns to as many sums.
    ///
    /// # Safety
    /// See above.
    unsafe fn multiply<W: Format>(tile: &Tile, columns: &[W::Column], sums: &mut [Sums]);
}

/// An instruction set that also multiplies a few columns without tiles. Its functions may only be called where the CPU
/// has it.
#[cfg(target_arch = "x86_64")]
pub(super) trait Direct: Tiles {
    /// Most columns for which it is faster to do without tiles, as measured.
    const MOST_FEW: usize;

    /// As [`multiply`], for up to `MOST_FEW` columns.
    ///
    /// # Safety
    /// As there.
    unsafe fn multiply_few<W: Format>(rows: Rows, columns: &[W::Column], store: impl FnMut(usize, usize, &[f32]));
}

/// A column's sums, one for each row of the tile.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(super) struct Sums(pub(super) [f32; ROWS]);

/// Rows of weights that lie one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) at: *const u8,
    /// What is read after them, if anything is.
    pub(super) next: *const u8,
    /// Bytes from one row to the next.
    pub(super) row_bytes: usize,
    pub(super) n_rows: usize,
    pub(super) n_blocks: usize,
}

impl Rows {
    /// Where a row begins; after the last row, those from `next` on are counted. For prefetches only: the address may
    /// be outside the weights.
    #[inline(always)]
    fn at_or_next(&self, row: usize) -> *const u8 {
        let (from, row) = if row < self.n_rows { (self.at, row) } else { (self.next, row - self.n_rows) };
        from.wrapping_add(row * self.row_bytes)
    }

    /// A block of `n` rows, `ROWS` at most, from `row` on. If there are fewer, they are copied, and the others are
    /// zero.
    ///
    /// # Safety
    /// The weights are valid and have such a row and block; `copy` outlives the result.
    #[inline(always)]
    unsafe fn block<W>(&self, row: usize, block: usize, n: usize, copy: &mut [MaybeUninit<W>; ROWS]) -> Lanes {
        // SAFETY: as promised by the caller; bytes of zero are valid blocks.
        unsafe {
            let (mut first, mut row_bytes) =
                (self.at.add(row * self.row_bytes + block * size_of::<W>()), self.row_bytes);
            let n_left = self.n_rows - row;
            if n_left < n {
                // Few tiles are partial; the others need not wait until this is zero.
                *copy = [const { MaybeUninit::zeroed() }; ROWS];
                for (i, copy) in copy.iter_mut().enumerate().take(n_left) {
                    copy.as_mut_ptr().copy_from_nonoverlapping(first.add(i * row_bytes).cast(), 1);
                }
                (first, row_bytes) = (copy.as_ptr().cast(), size_of::<W>());
            }
            Lanes { first, row_bytes }
        }
    }

    /// Unpacks a block of the rows from `row` on; `before_part` is called with the number of each of
    /// [`parts_of_tile`], before it.
    ///
    /// # Safety
    /// The weights are valid, and the CPU has the instruction set.
    #[inline(always)]
    unsafe fn unpack<T: Tiles, W: Format>(&self, row: usize, block: usize, to: &mut Tile, before_part: impl Fn(usize)) {
        let mut copy = [const { MaybeUninit::uninit() }; ROWS];
        // SAFETY: as promised by the caller.
        unsafe {
            let all = self.block::<W>(row, block, ROWS, &mut copy);
            for part in 0..parts_of_tile::<T>() {
                before_part(part);
                let row = part * T::LANES;
                T::unpack::<W>(Lanes { first: all.first.add(row * all.row_bytes), ..all }, row, to);
            }
        }
    }
}

/// In how many parts a tile is unpacked.
const fn parts_of_tile<T: Tiles>() -> usize {
    ROWS / T::LANES
}

/// Multiplies all rows with all columns; `columns` has the first block of each column, then the second of each, and so
/// on. `store` is called with the number of a column, of its first row, and the products of that and the next rows.
///
/// # Safety
/// The weights are valid, there are blocks, `columns` has `n_blocks` blocks of each column, and the CPU has the
/// instruction set.
pub(super) unsafe fn multiply<T: Tiles, W: Format>(
    rows: Rows,
    columns: &[W::Column],
    mut store: impl FnMut(usize, usize, &[f32]),
) {
    let n_columns = columns.len() / rows.n_blocks;
    let mut tile = Tile::EMPTY;
    let mut sums = [Sums([0.0; ROWS]); WIDTH];
    for row in (0..rows.n_rows).step_by(ROWS) {
        for first in (0..n_columns).step_by(WIDTH) {
            let sums = &mut sums[..(n_columns - first).min(WIDTH)];
            sums.fill(Sums([0.0; ROWS]));
            for block in 0..rows.n_blocks {
                let here = &columns[block * n_columns + first..][..sums.len()];
                let n_groups = sums.len().div_ceil(T::MOST_COLUMNS);
                let n_parts = parts_of_tile::<T>();
                let ahead = Ahead::new::<W>(rows.at_or_next(row + ROWS), block, ROWS, n_parts + n_groups);
                let fetch = |portion| {
                    if first == 0 {
                        ahead.fetch(portion);
                    }
                };
                // SAFETY: as promised by the caller.
                unsafe { rows.unpack::<T, W>(row, block, &mut tile, fetch) };
                let mut at = 0;
                for group in 0..n_groups {
                    fetch(n_parts + group);
                    // As equal as possible: with few columns, `multiply` waits for its own results.
                    let n = (sums.len() - at).div_ceil(n_groups - group);
                    // SAFETY: as promised by the caller.
                    unsafe { T::multiply::<W>(&tile, &here[at..at + n], &mut sums[at..at + n]) };
                    at += n;
                }
            }
            let n = (rows.n_rows - row).min(ROWS);
            sums.iter().enumerate().for_each(|(column, sums)| store(first + column, row, &sums.0[..n]));
        }
    }
}
