//! Which cells some rows attend to.

use std::ops::Range;

use super::super::simd::Softmax;
use super::{Attention, MOST_QUERIES};

/// Cells that are looked at together, and computed together. A word has a bit for each.
pub(super) const CELLS: usize = 32;
/// The f16 value of a cell that a row does not attend to.
const MASKED: u16 = 0xfc00;

/// Of some cells, a bit for each.
pub(super) struct Seen {
    /// Those that a row attends to.
    pub by_any: u32,
    /// Whether the mask of such a cell is not zero.
    pub has_values: bool,
}

impl Attention {
    /// The mask's values for a row from this cell on.
    pub(super) fn mask(&self, row: usize, cell: usize) -> *const u16 {
        self.mask.wrapping_add(row * self.mask_bytes).cast::<u16>().wrapping_add(cell)
    }

    /// What these rows attend to of the cells from this one on.
    ///
    /// # Safety
    /// The mask is valid, and the CPU has the instruction set.
    #[inline(always)]
    pub(super) unsafe fn seen<S: Softmax>(&self, rows: &Range<usize>, cell: usize) -> Seen {
        if self.mask.is_null() {
            return Seen { by_any: existing(self.n_cells - cell), has_values: false };
        }
        let mut seen = Seen { by_any: 0, has_values: false };
        for row in rows.clone() {
            // SAFETY: as promised by the caller.
            let [of_row, zeros] = unsafe { self.bits::<S>(row, cell) };
            seen.by_any |= of_row;
            seen.has_values |= of_row & !zeros != 0;
        }
        seen
    }

    /// Whether each of these rows attends to the first of all cells that any of them attends to, as a prompt's do: to
    /// nothing after the first that it leaves out.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub(super) unsafe fn are_nested<S: Softmax>(&self, rows: &Range<usize>) -> bool {
        if self.mask.is_null() || rows.len() == 1 {
            return true;
        }
        // A bit for each row that has left one out.
        let mut ended = 0_u32;
        for cell in (0..self.n_cells).step_by(CELLS) {
            let (mut of_rows, mut by_any) = ([0; MOST_QUERIES], 0);
            for (i, row) in rows.clone().enumerate() {
                // SAFETY: as promised by the caller.
                let [of_row, _] = unsafe { self.bits::<S>(row, cell) };
                of_rows[i] = of_row;
                by_any |= of_row;
            }
            for (i, of_row) in of_rows[..rows.len()].iter().enumerate() {
                let left_out = by_any & !of_row;
                let ends = if ended >> i & 1 == 1 { 0 } else { left_out.trailing_zeros() };
                if of_row.checked_shr(ends).is_some_and(|after| after != 0) {
                    return false;
                }
                ended |= u32::from(left_out != 0) << i;
            }
        }
        true
    }

    /// For each of the cells from this one on a bit: those that the row attends to, and those with a mask of zero.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn bits<S: Softmax>(&self, row: usize, cell: usize) -> [u32; 2] {
        let n = self.n_cells - cell;
        let mut copy = [MASKED; CELLS];
        let mut from = self.mask(row, cell);
        // SAFETY: as promised by the caller.
        unsafe {
            if n < CELLS {
                copy.as_mut_ptr().copy_from_nonoverlapping(from, n);
                from = copy.as_ptr();
            }
            [!S::which_are(from, MASKED) & existing(n), S::which_are(from, 0)]
        }
    }
}

/// A bit for each of the next cells, if there are so many.
#[inline(always)]
fn existing(n: usize) -> u32 {
    u32::MAX >> (CELLS - n.min(CELLS))
}
