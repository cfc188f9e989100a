//! What is fetched into the caches before it is computed. Knows rows, and neither their formats nor columns.

use super::super::cpu;
#[cfg(target_arch = "x86_64")]
use super::super::simd::prefetch_lines;
use super::super::simd::{LINE, prefetch};
use super::Rows;

/// What to fetch into the caches while a block of some rows is computed: as many bytes of the next rows, in the
/// order of memory. In many small portions, since the CPU stalls when it has too many to wait for.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    at: *const u8,
    n_lines: usize,
    n_portions: usize,
    /// Into the first cache instead of the second.
    is_near: bool,
}

impl Ahead {
    #[inline(always)]
    pub(super) fn new<W>(rows: &Rows, row: usize, block: usize, n_rows: usize, n_portions: usize) -> Self {
        let bytes = n_rows * size_of::<W>();
        let at = rows.at_or_next(row + n_rows).wrapping_add(block * bytes);
        Self { at, n_lines: bytes.div_ceil(LINE), n_portions, is_near: cpu::is_amd() }
    }

    #[inline(always)]
    pub(super) fn fetch(self, portion: usize) {
        if self.is_near { self.fetch_into::<true>(portion) } else { self.fetch_into::<false>(portion) }
    }

    #[inline(always)]
    fn fetch_into<const IS_NEAR: bool>(self, portion: usize) {
        for line in self.n_lines * portion / self.n_portions..self.n_lines * (portion + 1) / self.n_portions {
            prefetch::<IS_NEAR>(self.at.wrapping_add(line * LINE));
        }
    }
}

/// What a few rows at once fetch into the first cache, with as few instructions as possible: a block of four rows takes
/// 40 cycles, in which the CPU starts 160 to 240 instructions, and each of them counts.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(in super::super) struct Stream {
    at: *const u8,
    bytes_of_block: usize,
}

#[cfg(target_arch = "x86_64")]
impl Stream {
    /// Least bytes from what is computed to what is fetched. Two Zen 5 threads that only read 75 GB/s read four rows at
    /// once, 4,608 bytes together, at 0.91 of that speed if the next four were fetched, and at 0.99 if those after them
    /// were. Four rows of 6,720 bytes gain nothing.
    const DISTANCE: usize = 6 << 10;

    /// For blocks of `n_rows` rows from `row` on.
    #[inline(always)]
    pub(super) fn new<W>(rows: &Rows, row: usize, n_rows: usize) -> Self {
        let n_ahead = if n_rows * rows.row_bytes < Self::DISTANCE { 2 * n_rows } else { n_rows };
        Self { at: rows.at_or_next(row + n_ahead), bytes_of_block: n_rows * size_of::<W>() }
    }

    /// Fetches for half a block.
    #[inline(always)]
    pub(super) fn fetch(self, half: usize) {
        let n_lines = self.bytes_of_block.div_ceil(LINE);
        let (first, end) = (n_lines * half / 2, n_lines * (half + 1) / 2);
        prefetch_lines(self.at.wrapping_add(first * LINE), end - first);
    }

    /// For the next block of these rows.
    #[inline(always)]
    pub(super) fn advance(&mut self) {
        self.at = self.at.wrapping_add(self.bytes_of_block);
    }
}
