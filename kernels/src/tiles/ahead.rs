//! What is fetched into the caches before it is needed. Knows sizes of blocks, but neither formats nor columns.

use super::super::cpu;
#[cfg(target_arch = "x86_64")]
use super::super::simd::prefetch_lines;
use super::super::simd::{LINE, prefetch};

/// What to fetch while a block of some rows is computed: as many bytes of the next rows, in the order of memory. In
/// many small portions, because the CPU stalls when too many fetches are outstanding.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    at: *const u8,
    n_lines: usize,
    n_portions: usize,
    /// Into the first cache instead of the second.
    is_near: bool,
}

impl Ahead {
    /// For block number `block` of `n_rows` rows; the rows after them begin at `next`.
    #[inline(always)]
    pub(super) fn new<W>(next: *const u8, block: usize, n_rows: usize, n_portions: usize) -> Self {
        let bytes = n_rows * size_of::<W>();
        let at = next.wrapping_add(block * bytes);
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

/// The same for `four_rows.rs`, half a block at a time and in as few instructions as possible: computing one column of
/// a block of four rows of Q4_K takes about 150, so each one counts. Always into the first cache: only AMD's CPUs
/// compute four rows at once (`most_fewest`).
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(in super::super) struct HalvesAhead {
    at: *const u8,
    /// Of a block of all rows that are computed at once.
    bytes: usize,
}

#[cfg(target_arch = "x86_64")]
impl HalvesAhead {
    /// If the rows take fewer bytes than this, the rows after the next ones are fetched instead of the next ones. With
    /// 2,048 columns, four rows of Q4_K take 4,608 bytes: two Zen 5 threads that only read them reached 0.91 of their
    /// memory's 75 GB/s when they fetched the next four rows, and 0.99 when they fetched those after them. Four rows of
    /// Q6_K take 6,720 bytes and gained nothing.
    const SMALL: usize = 6 << 10;

    /// Rows from the first one being computed to the first one to fetch, in a piece of `n_rows` rows of which
    /// `n_at_once` are computed at once.
    #[inline(always)]
    pub(super) fn distance(n_at_once: usize, row_bytes: usize, n_rows: usize) -> usize {
        // If these are all rows of the piece, nothing else would fetch the next ones.
        if n_at_once * row_bytes < Self::SMALL && n_rows > n_at_once { 2 * n_at_once } else { n_at_once }
    }

    /// Starts at the first block of `n_at_once` rows; `at` is the row that is `distance` away.
    #[inline(always)]
    pub(super) fn new<W>(at: *const u8, n_at_once: usize) -> Self {
        Self { at, bytes: n_at_once * size_of::<W>() }
    }

    /// Fetches one half of what is due during this block.
    #[inline(always)]
    pub(super) fn fetch(self, half: usize) {
        let n_lines = self.bytes.div_ceil(LINE);
        let (first, end) = (n_lines * half / 2, n_lines * (half + 1) / 2);
        prefetch_lines(self.at.wrapping_add(first * LINE), end - first);
    }

    /// Moves on to the next block of these rows.
    #[inline(always)]
    pub(super) fn advance(&mut self) {
        self.at = self.at.wrapping_add(self.bytes);
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::super::blocks::{Q4K, Q6K};
    use super::*;

    #[test]
    fn of_small_rows_the_next_but_four_are_fetched() {
        let of_q4_k = |n_blocks: usize, n_rows| HalvesAhead::distance(4, n_blocks * size_of::<Q4K>(), n_rows);
        assert_eq!(of_q4_k(8, 16), 8);
        assert_eq!(of_q4_k(8, 4), 4, "nothing else fetches the next four");
        assert_eq!(of_q4_k(42, 16), 4, "rows are large");
        assert_eq!(HalvesAhead::distance(4, 8 * size_of::<Q6K>(), 16), 4, "rows are large");
    }
}
