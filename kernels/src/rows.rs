//! Rows of weights times a few columns; each instruction set is a file. Knows no tensors and no threads.

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
