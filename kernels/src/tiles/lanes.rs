//! A block of several rows: how vectors are loaded from it, each lane from a row of its own. Knows no formats.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use super::super::simd::Simd;
use super::ROWS;

/// A block of several rows, as many as a vector has lanes but in `four_rows.rs`.
#[derive(Clone, Copy)]
pub(in super::super) struct Lanes {
    pub(super) first: *const u8,
    pub(super) row_bytes: usize,
}

impl Lanes {
    /// Sixteen bytes of each row, `at` bytes from its start: first four of each, then the next four of each, and so on.
    ///
    /// # Safety
    /// The CPU has the instruction set, and the rows have these bytes.
    #[inline(always)]
    pub(super) unsafe fn transpose<S: Simd>(self, at: usize) -> [S::Ints; 4] {
        // SAFETY: as promised by the caller.
        unsafe { S::transpose(self.first.add(at), self.row_bytes) }
    }

    /// 32 bytes of each row, likewise.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub(super) unsafe fn transpose_two<S: Simd>(self, at: usize) -> [S::Ints; 8] {
        // SAFETY: as promised by the caller.
        unsafe { S::transpose_two(self.first.add(at), self.row_bytes) }
    }

    /// The scales with which eight groups of `group_bytes` begin.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub(super) unsafe fn scales_by_32<S: Simd>(self, group_bytes: usize) -> [S::Floats; 8] {
        // SAFETY: as promised by the caller.
        unsafe {
            let mut scales = [S::splat_float(0.0); 8];
            for group in 0..8 {
                scales[group] = self.halves::<S>(group_bytes * group);
            }
            scales
        }
    }

    /// The f16 value of each row, `at` bytes from its start.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub(super) unsafe fn halves<S: Simd>(self, at: usize) -> S::Floats {
        let mut halves = [0_u32; ROWS];
        // SAFETY: as promised by the caller.
        unsafe {
            for i in 0..S::LANES {
                halves[i] = self.first.add(i * self.row_bytes + at).cast::<u16>().read_unaligned().into();
            }
            S::from_halves(S::load(halves.as_ptr().cast()))
        }
    }
}
