//! The interface of an instruction set's kernels; each instruction set is a file that implements it. Knows no tensors
//! and no threads.

use super::blocks::{Activations, BLOCK, Q4K, Q5K, Q6K};

/// An instruction set with a kernel for each type of weights. Callers name it as a type parameter, so that calls are
/// resolved at compile time and the CPU is checked once.
pub(super) trait InstructionSet: Kernel<Q4K> + Kernel<Q5K> + Kernel<Q6K> {
    /// Whether this CPU has it.
    fn is_supported() -> bool;
}

/// Products with weights of one type.
pub(super) trait Kernel<W> {
    /// The place of the `i`th group of 16 activations in a block, to match the order of this type's weights; a
    /// permutation of 0 to 15.
    fn place(i: usize) -> usize;

    /// Rounds 256 activations to bytes as ggml's `quantize_row_q8_K` does: the largest becomes -127.
    ///
    /// # Safety
    /// The CPU has this instruction set.
    unsafe fn quantize(x: &[f32; BLOCK], to: &mut Activations);

    /// The products of one row with `columns.len() / row.len()` columns that were rounded for this type of weights;
    /// `store` is called with a column's number and its product.
    ///
    /// # Safety
    /// The CPU has this instruction set, and `columns` holds whole columns of as many blocks as the row.
    unsafe fn row(row: &[W], columns: &[Activations], store: impl FnMut(usize, f32));
}
