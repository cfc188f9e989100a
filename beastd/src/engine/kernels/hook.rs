//! Intercepts llama.cpp's matrix products: which of them are computed here, and how its threads share them.

use std::ffi::c_void;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use llama_cpp_sys_2 as sys;

use super::blocks::{Activations, BLOCK, Q4K, Q5K, Q6K};
use super::compute_params::ComputeParams;
use super::instructions::{InstructionSet, Kernel};
use super::{Native, crew};

/// More columns than this go to llama.cpp: its tiles cost as much for 9 as for 16 (2.6B, two cores: 350 ms, ours 290)
/// and win beyond that.
const MOST_COLUMNS: i64 = 16;

/// The rows of one product, shared by the threads: each starts with a long piece of its own, and threads that finish
/// early take short pieces of the rest, so that a thread without a core delays little. Long, because memory reads are
/// fastest in one go: two threads read the 2.6B's 1.56 GB in 41 ms in halves and in 45 in pieces of 128 rows.
pub(super) struct Shares {
    n_rows: usize,
    n_threads: usize,
    /// Rows of a long piece, and of a short one.
    long: usize,
    short: usize,
}

impl Shares {
    pub(super) fn new(n_rows: usize, n_threads: usize) -> Self {
        let share = n_rows.div_ceil(n_threads);
        let long = share - share / 4;
        Self { n_rows, n_threads, long, short: (share - long).div_ceil(2).max(1) }
    }

    /// Piece `i`; empty from the first unneeded one on. The first `n_threads` are the long ones.
    pub(super) fn piece(&self, i: usize) -> Range<usize> {
        let (from, n) = match i.checked_sub(self.n_threads) {
            None => (i * self.long, self.long),
            Some(i) => (self.n_threads * self.long + i * self.short, self.short),
        };
        from.min(self.n_rows)..(from + n).min(self.n_rows)
    }
}

/// Products computed here, counted by each of their threads.
#[cfg(test)]
pub(super) static N_PRODUCTS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

static ARE_WANTED: AtomicBool = AtomicBool::new(true);

/// Whether this CPU supports the kernels.
pub fn are_supported() -> bool {
    static CAN: LazyLock<bool> = LazyLock::new(Native::is_supported);
    *CAN
}

/// Whether matrix products of a few columns are ours: enabled, and supported by this CPU.
fn are_used() -> bool {
    ARE_WANTED.load(Ordering::Relaxed) && are_supported()
}

/// Enables the kernels for everything computed from now on. Nothing may be computing meanwhile: the threads of a
/// product would disagree.
pub fn use_ours(are_wanted: bool) {
    ARE_WANTED.store(are_wanted, Ordering::Relaxed);
}

unsafe extern "C" {
    fn __real_ggml_compute_forward_mul_mat_tiled(params: *const ComputeParams, dst: *mut sys::ggml_tensor) -> bool;
    fn ggml_barrier(threadpool: *mut c_void);
    fn ggml_threadpool_chunk_set(threadpool: *mut c_void, value: i32);
    fn ggml_threadpool_chunk_add(threadpool: *mut c_void, value: i32) -> i32;
}

/// Called by each of llama.cpp's threads for each matrix product. True when it was computed here.
///
/// # Safety
/// Only llama.cpp may call this, with its own structures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_compute_forward_mul_mat_tiled(
    params: *const ComputeParams,
    dst: *mut sys::ggml_tensor,
) -> bool {
    // SAFETY: both belong to llama.cpp and outlive this call; meanwhile they are written only where `multiply` may
    // write.
    unsafe {
        match Product::of(&*params, &*dst) {
            Some((product, sys::GGML_TYPE_Q4_K)) => product.multiply::<Native, Q4K>(&*params),
            Some((product, sys::GGML_TYPE_Q5_K)) => product.multiply::<Native, Q5K>(&*params),
            Some((product, sys::GGML_TYPE_Q6_K)) => product.multiply::<Native, Q6K>(&*params),
            _ => return __real_ggml_compute_forward_mul_mat_tiled(params, dst),
        }
    }
    true
}

/// A product computed here: `n_rows` rows of weights, `n_columns` columns of `n_blocks` blocks each.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) n_rows: usize,
    pub(super) n_columns: usize,
    n_blocks: usize,
    weights: *const u8,
    /// Bytes from one row of weights to the next; `column_bytes` from one column to the next.
    row_bytes: usize,
    columns: *const u8,
    column_bytes: usize,
    pub(super) to: To,
}

/// Destination: the product of a row and a column is a float at `at + column * column_bytes + row * 4`.
#[derive(Clone, Copy)]
pub(super) struct To {
    pub(super) at: *mut u8,
    pub(super) column_bytes: usize,
}

impl To {
    /// # Safety
    /// The destination has this row and column.
    unsafe fn place(self, column: usize, row: usize) -> *mut f32 {
        // SAFETY: as promised by the caller.
        unsafe { self.at.add(column * self.column_bytes).cast::<f32>().add(row) }
    }
}

impl Product {
    pub(super) const NONE: Self = Self {
        n_rows: 0,
        n_columns: 0,
        n_blocks: 0,
        weights: std::ptr::null(),
        row_bytes: 0,
        columns: std::ptr::null(),
        column_bytes: 0,
        to: To { at: std::ptr::null_mut(), column_bytes: 0 },
    };

    /// Contiguous rows and columns.
    #[cfg(test)]
    pub(super) fn of_parts<W>(weights: &[u8], columns: &[f32], n_blocks: usize, to: To) -> Self {
        let row_bytes = n_blocks * size_of::<W>();
        Self {
            n_rows: weights.len() / row_bytes,
            n_columns: columns.len() / (n_blocks * BLOCK),
            n_blocks,
            weights: weights.as_ptr(),
            row_bytes,
            columns: columns.as_ptr().cast(),
            column_bytes: n_blocks * BLOCK * size_of::<f32>(),
            to,
        }
    }

    /// The product and the type of its weights, if it is computed here.
    ///
    /// # Safety
    /// `dst` is a matrix product of llama.cpp's.
    unsafe fn of(params: &ComputeParams, dst: &sys::ggml_tensor) -> Option<(Self, sys::ggml_type)> {
        // SAFETY: a matrix product has two sources.
        let (weights, columns) = unsafe { (&*dst.src[0], &*dst.src[1]) };
        let n_columns = columns.ne[1];
        // Weights with an `extra` are in a layout of llama.cpp's own.
        let is_ours = matches!(weights.type_, sys::GGML_TYPE_Q4_K | sys::GGML_TYPE_Q5_K | sys::GGML_TYPE_Q6_K)
            && are_used()
            && !params.use_ref
            && weights.extra.is_null()
            && (1..=MOST_COLUMNS).contains(&n_columns)
            && columns.type_ == sys::GGML_TYPE_F32
            && dst.type_ == sys::GGML_TYPE_F32
            && columns.nb[0] == size_of::<f32>()
            && dst.nb[0] == size_of::<f32>()
            && [weights, columns, dst].iter().all(|tensor| tensor.ne[2] == 1 && tensor.ne[3] == 1)
            && weights.ne[0] % BLOCK as i64 == 0;
        if !is_ours {
            return None;
        }
        let n_columns = usize::try_from(n_columns).ok()?;
        let n_blocks = usize::try_from(weights.ne[0]).ok()? / BLOCK;
        // llama.cpp reserves slightly less space for its own rounding than ours needs, and more for its tiles, which
        // share the buffer.
        let needed = n_columns * n_blocks * size_of::<Activations>() + align_of::<Activations>();
        (params.wsize >= needed).then_some((
            Self {
                n_rows: usize::try_from(weights.ne[1]).ok()?,
                n_columns,
                n_blocks,
                weights: weights.data.cast(),
                row_bytes: weights.nb[1],
                columns: columns.data.cast(),
                column_bytes: columns.nb[1],
                to: To { at: dst.data.cast(), column_bytes: dst.nb[1] },
            },
            weights.type_,
        ))
    }

    /// This thread's share: first of rounding the columns, then, after a barrier, of the rows.
    ///
    /// # Safety
    /// All threads of `params` call this for the same product; its tensors are as `of` found them; the CPU has the
    /// instruction set.
    unsafe fn multiply<I: Kernel<W>, W>(&self, params: &ComputeParams) {
        #[cfg(test)]
        N_PRODUCTS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the buffer has room for that (`of`), and nothing else uses it until all threads have left this
        // product. Threads write to different blocks, and read only after the barrier. Rows and columns lie where the
        // tensors say, and each row's results are written by the one thread that took it.
        unsafe {
            if params.nth == 1 && crew::multiply::<I, W>(self) {
                return;
            }
            let room: *mut Activations =
                params.wdata.cast::<u8>().add(params.wdata.align_offset(align_of::<Activations>())).cast();
            let (this, n_threads) = (params.ith as usize, params.nth as usize);
            let n_all = self.n_columns * self.n_blocks;
            for i in (this..n_all).step_by(n_threads) {
                I::quantize(&*self.block(i), &mut *room.add(i));
            }
            if this == 0 {
                ggml_threadpool_chunk_set(params.threadpool, params.nth);
            }
            ggml_barrier(params.threadpool);
            let columns = std::slice::from_raw_parts(room, n_all);
            let shares = Shares::new(self.n_rows, n_threads);
            let mut i = this;
            loop {
                let piece = shares.piece(i);
                // With few rows, a thread's own piece may be empty though short ones are left. After an empty short one
                // there are none.
                if piece.is_empty() && i >= n_threads {
                    break;
                }
                self.compute::<I, W>(columns, piece, self.to);
                i = ggml_threadpool_chunk_add(params.threadpool, 1) as usize;
            }
        }
    }

    /// Activations of block `i`, counted through all columns.
    ///
    /// # Safety
    /// The columns are valid and have such a block.
    unsafe fn block(&self, i: usize) -> *const [f32; BLOCK] {
        let (column, block) = (i / self.n_blocks, i % self.n_blocks);
        // SAFETY: as promised by the caller.
        unsafe { self.columns.add(column * self.column_bytes).cast::<[f32; BLOCK]>().add(block) }
    }

    /// Rounds all columns.
    ///
    /// # Safety
    /// The columns are valid; the CPU has the instruction set.
    pub(super) unsafe fn round<I: Kernel<W>, W>(&self, to: &mut Vec<Activations>) {
        to.resize(self.n_columns * self.n_blocks, Activations::ZERO);
        for (i, to) in to.iter_mut().enumerate() {
            // SAFETY: as promised by the caller.
            unsafe { I::quantize(&*self.block(i), to) };
        }
    }

    /// Computes these rows with all columns, which were rounded for these weights.
    ///
    /// # Safety
    /// The weights are valid; `to` has a place for each product, and nothing else uses the places of these rows; the
    /// CPU has the instruction set.
    pub(super) unsafe fn compute<I: Kernel<W>, W>(&self, columns: &[Activations], rows: Range<usize>, to: To) {
        for row in rows {
            // SAFETY: as promised by the caller.
            unsafe {
                let weights =
                    std::slice::from_raw_parts(self.weights.add(row * self.row_bytes).cast::<W>(), self.n_blocks);
                I::row(weights, columns, |column, product| *to.place(column, row) = product);
            }
        }
    }

    /// Copies the results of these rows from a helper's buffer.
    ///
    /// # Safety
    /// They are complete, and nothing writes them any more.
    pub(super) unsafe fn copy(&self, from: To, rows: Range<usize>) {
        for column in 0..self.n_columns {
            // SAFETY: as promised by the caller; the two buffers are different.
            unsafe {
                let (from, to) = (from.place(column, rows.start), self.to.place(column, rows.start));
                std::ptr::copy_nonoverlapping(from, to, rows.len());
            }
        }
    }
}
