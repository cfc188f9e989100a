//! Rows of weights times a few columns; each instruction set is a file. Knows no tensors and no threads.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;

use super::blocks::BLOCK;

/// Products of a few columns with weights of one type, row by row.
pub(super) trait Kernel<W> {
    /// A block of a column, rounded.
    type Column: Copy;

    /// Rounds 256 activations to bytes as ggml does for these weights.
    ///
    /// # Safety
    /// The CPU has this instruction set.
    unsafe fn round(x: &[f32; BLOCK], to: &mut Self::Column);

    /// The products of one row with `columns.len() / row.len()` columns that were rounded for this type of weights;
    /// `store` is called with a column's number and its product.
    ///
    /// # Safety
    /// The CPU has this instruction set, and `columns` holds whole columns of as many blocks as the row.
    unsafe fn row(row: &[W], columns: &[Self::Column], store: impl FnMut(usize, f32));
}

/// The value of an f16.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "f16c")]
fn half(bits: u16) -> f32 {
    use std::arch::x86_64::{_mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtss_f32};
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(bits))))
}
