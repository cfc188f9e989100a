//! Intercepts llama.cpp's matrix products: which of them are computed here, and how its threads share them.

use beast_kernels::{BLOCK, Product, Shares, To, Way, Weights};
use llama_cpp_sys_2 as sys;

use super::chosen;
use super::compute_params::ComputeParams;
use super::crew;

#[cfg(test)]
thread_local! {
    /// Products computed here with this thread's help.
    pub(super) static N_PRODUCTS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

unsafe extern "C" {
    fn __real_ggml_compute_forward_mul_mat_tiled(params: *const ComputeParams, dst: *mut sys::ggml_tensor) -> bool;
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
        match find(&*params, &*dst) {
            Some((product, way)) => multiply(&product, &way, &*params),
            None => return __real_ggml_compute_forward_mul_mat_tiled(params, dst),
        }
    }
    true
}

/// The product and its way, if it is computed here.
///
/// # Safety
/// `dst` is a matrix product of llama.cpp's.
unsafe fn find(params: &ComputeParams, dst: &sys::ggml_tensor) -> Option<(Product, Way)> {
    // SAFETY: a matrix product has two sources.
    let (weights, columns) = unsafe { (&*dst.src[0], &*dst.src[1]) };
    // Weights with an `extra` are in a layout of llama.cpp's own.
    let set = chosen::wanted()?;
    let is_ours = !params.use_ref
        && weights.extra.is_null()
        && columns.type_ == sys::GGML_TYPE_F32
        && dst.type_ == sys::GGML_TYPE_F32
        && columns.nb[0] == size_of::<f32>()
        && dst.nb[0] == size_of::<f32>()
        && (weights.ne[2], weights.ne[3]) == (1, 1)
        && weights.ne[0] % BLOCK as i64 == 0;
    if !is_ours {
        return None;
    }
    let (n_columns, column_bytes) = columns_of(columns)?;
    let (n_results, result_bytes) = columns_of(dst)?;
    if n_results != n_columns {
        return None;
    }
    let way = beast_kernels::way(set, weights_of(weights.type_)?, n_columns)?;
    let product = Product {
        n_rows: usize::try_from(weights.ne[1]).ok()?,
        n_columns,
        n_blocks: usize::try_from(weights.ne[0]).ok()? / BLOCK,
        weights: weights.data.cast(),
        row_bytes: weights.nb[1],
        columns: columns.data.cast(),
        column_bytes,
        to: To { at: dst.data.cast(), column_bytes: result_bytes },
    };
    // llama.cpp reserves at least as many bytes for its own rounding.
    let needed = way.bytes_of_columns(&product) + params.wdata.cast::<u8>().align_offset(way.alignment);
    (params.wsize >= needed).then_some((product, way))
}

/// How many columns a tensor has in all of its dimensions together, and the bytes from one to the next, if they are
/// the same for all. Tokens of several sequences are a dimension of their own where a layer keeps a state for each
/// sequence, as LFM2's convolutions do.
pub(super) fn columns_of(tensor: &sys::ggml_tensor) -> Option<(usize, usize)> {
    let (mut n, mut bytes) = (1, tensor.nb[1]);
    for (&ne, &nb) in tensor.ne[1..].iter().zip(&tensor.nb[1..]).filter(|(ne, _)| **ne != 1) {
        if n == 1 {
            bytes = nb;
        } else if nb != n * bytes {
            return None;
        }
        n *= usize::try_from(ne).ok()?;
    }
    Some((n, bytes))
}

/// The weights of a type of ggml, if there are kernels for them.
pub(super) fn weights_of(of: sys::ggml_type) -> Option<Weights> {
    match of {
        sys::GGML_TYPE_Q4_K => Some(Weights::Q4K),
        sys::GGML_TYPE_Q5_K => Some(Weights::Q5K),
        sys::GGML_TYPE_Q6_K => Some(Weights::Q6K),
        sys::GGML_TYPE_Q8_0 => Some(Weights::Q8),
        sys::GGML_TYPE_Q4_0 => Some(Weights::Q4),
        sys::GGML_TYPE_IQ4_NL => Some(Weights::IQ4NL),
        _ => None,
    }
}

/// This thread's share: first of rounding the columns, then, after a barrier, of the rows.
///
/// # Safety
/// All threads of `params` call this for the same product; its tensors are as `find` found them; the CPU has the
/// instruction set.
unsafe fn multiply(product: &Product, way: &Way, params: &ComputeParams) {
    #[cfg(test)]
    N_PRODUCTS.set(N_PRODUCTS.get() + 1);
    // SAFETY: the buffer has room for that (`find`), and nothing else uses it until all threads have left this product.
    // Threads write to different blocks, and read only after the barrier. Rows and columns lie where the tensors say,
    // and each row's results are written by the one thread that took it.
    unsafe {
        if params.nth == 1 && crew::multiply(product, way) {
            return;
        }
        let room = params.wdata.cast::<u8>();
        let columns = room.add(room.align_offset(way.alignment));
        let (this, n_threads) = (params.ith as usize, params.nth as usize);
        // In one piece: neighbouring blocks share a cache line, which two threads should not write alternately.
        let n_blocks = product.n_blocks_of_columns();
        for i in n_blocks * this / n_threads..n_blocks * (this + 1) / n_threads {
            way.round(product, i, columns);
        }
        params.begin_chunks();
        let shares = Shares::new(product.n_rows, n_threads, way.unit, way.is_read_bound);
        shares.compute(
            this,
            || params.take_chunk(),
            |rows, next| way.compute_before(next, product, columns, rows, product.to),
        );
    }
}
