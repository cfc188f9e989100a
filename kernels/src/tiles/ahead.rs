//! What is fetched into the caches before it is needed. Knows sizes of blocks, but neither formats nor columns.

#[cfg(target_arch = "x86_64")]
use std::marker::PhantomData;

use super::super::cpu;
#[cfg(target_arch = "x86_64")]
use super::super::simd::prefetch_lines;
use super::super::simd::{LINE, prefetch};

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
    /// For the `block`th block of `n_rows` rows, of which the next ones begin at `next`.
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

#[cfg(target_arch = "x86_64")]
const FOUR: usize = 4;

/// The same for four rows at once with AVX-512, half a block at a time, with as few instructions as possible: for one
/// column of Q4_K the rest of a block takes about 150 instructions, of which Zen 5 issues four in a cycle. Always into
/// the first cache: only AMD's CPUs compute four rows at once (`most_fewest`).
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(in super::super) struct FourAhead<W> {
    at: *const u8,
    of: PhantomData<W>,
}

#[cfg(target_arch = "x86_64")]
impl<W> FourAhead<W> {
    /// Where four rows take fewer bytes than this, what is fetched are not the next four rows but those after them. Two
    /// Zen 5 threads read rows of Q4_K, 4,608 bytes for four of them, at 0.91 of their memory's 75 GB/s with the next
    /// four and at 0.99 with those after them, without computing. Rows of Q6_K, 6,720 bytes for four, gained nothing.
    const SMALL: usize = 6 << 10;
    const BYTES: usize = FOUR * size_of::<W>();
    const LINES: usize = Self::BYTES.div_ceil(LINE);

    /// How many rows after those that are computed those to fetch begin; `n_rows` are computed in one go.
    #[inline(always)]
    pub(super) fn distance(row_bytes: usize, n_rows: usize) -> usize {
        // Of a piece of four rows, nothing else would fetch the four that are next.
        if FOUR * row_bytes < Self::SMALL && n_rows > FOUR { 2 * FOUR } else { FOUR }
    }

    /// For the first blocks of four rows, with what is `distance` away.
    #[inline(always)]
    pub(super) fn new(at: *const u8) -> Self {
        Self { at, of: PhantomData }
    }

    /// Fetches what is due in a half of the block.
    #[inline(always)]
    pub(super) fn fetch(&self, half: usize) {
        const { assert!(Self::LINES / 2 >= 4 && Self::LINES.div_ceil(2) <= 7, "`prefetch_lines` has others") };
        let (first, end) = (Self::LINES * half / 2, Self::LINES * (half + 1) / 2);
        prefetch_lines(self.at.wrapping_add(first * LINE), end - first);
    }

    /// For the next block of these rows.
    #[inline(always)]
    pub(super) fn advance(&mut self) {
        self.at = self.at.wrapping_add(Self::BYTES);
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::super::blocks::{Q4K, Q6K};
    use super::*;

    #[test]
    fn of_small_rows_the_next_but_four_are_fetched() {
        let distance = FourAhead::<Q4K>::distance;
        assert_eq!(distance(8 * size_of::<Q4K>(), 16), 8);
        assert_eq!(distance(8 * size_of::<Q4K>(), 4), 4, "nothing else fetches the next four");
        assert_eq!(distance(42 * size_of::<Q4K>(), 16), 4, "rows are large");
        assert_eq!(FourAhead::<Q6K>::distance(8 * size_of::<Q6K>(), 16), 4, "rows are large");
    }
}
