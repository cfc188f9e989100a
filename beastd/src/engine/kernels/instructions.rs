//! What an instruction set does for the kernels: another one is another file that implements this. Knows no tensors and
//! no threads.

use super::blocks::{Activations, BLOCK, Q4K, Q5K, Q6K};

/// An instruction set with a kernel for each type of weights. Who computes names one as a type parameter: every call is
/// resolved when it is compiled, and the CPU is asked once.
pub(super) trait InstructionSet: Kernel<Q4K> + Kernel<Q5K> + Kernel<Q6K> {
    /// Whether this CPU has it.
    fn is_supported() -> bool;
}

/// Products with weights of one type.
pub(super) trait Kernel<W> {
    /// Where the `i`th sixteen of a block's activations go, for weights that lie in this type's order; a permutation of
    /// 0 to 15.
    fn place(i: usize) -> usize;

    /// Rounds 256 activations to bytes as ggml's `quantize_row_q8_K` does: the largest becomes -127.
    ///
    /// # Safety
    /// The CPU has this instruction set.
    unsafe fn quantize(x: &[f32; BLOCK], to: &mut Activations);

    /// The products of one row with `columns.len() / row.len()` columns that were rounded for such weights; `store` is
    /// called with a column's number and its product.
    ///
    /// # Safety
    /// The CPU has this instruction set, and `columns` holds whole columns of as many blocks as the row.
    unsafe fn row(row: &[W], columns: &[Activations], store: impl FnMut(usize, f32));
}
