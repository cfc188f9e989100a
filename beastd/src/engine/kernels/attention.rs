//! Intercepts llama.cpp's attention: which of it is computed here, and how its threads share it.

use beast_kernels::{Attention, Heads, Numbers};
use llama_cpp_sys_2 as sys;

use super::chosen;
use super::compute_params::ComputeParams;

#[cfg(test)]
thread_local! {
    /// Attention computed here with this thread's help.
    static N_COMPUTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

unsafe extern "C" {
    fn __real_ggml_compute_forward_flash_attn_ext(params: *const ComputeParams, dst: *mut sys::ggml_tensor);
}

/// Called by each of llama.cpp's threads for each attention.
///
/// # Safety
/// Only llama.cpp may call this, with its own structures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_compute_forward_flash_attn_ext(
    params: *const ComputeParams,
    dst: *mut sys::ggml_tensor,
) {
    // SAFETY: both belong to llama.cpp and outlive this call; meanwhile they are written only where results belong.
    unsafe {
        match find(&*params, &*dst) {
            Some(found) => found.compute(&*params),
            None => __real_ggml_compute_forward_flash_attn_ext(params, dst),
        }
    }
}

/// Attention that is computed here.
struct Found {
    /// Of the first stream: a part of the cache with sequences of its own, and their rows.
    first: Attention,
    n_streams: usize,
    /// Bytes from one stream to the next; zero for a mask that there is not.
    query_bytes: usize,
    key_bytes: usize,
    value_bytes: usize,
    mask_bytes: usize,
    compute: beast_kernels::ComputeAttention,
}

/// What is computed here: over f16 values or Q8_0, without biases by distance (ALiBi), caps and sinks.
///
/// # Safety
/// `dst` is an attention of llama.cpp's.
unsafe fn find(params: &ComputeParams, dst: &sys::ggml_tensor) -> Option<Found> {
    let compute = chosen::wanted()?.attention()?;
    // SAFETY: attention has three sources, and two more that may be null.
    let (queries, keys, values, mask, sinks) =
        unsafe { (&*dst.src[0], &*dst.src[1], &*dst.src[2], dst.src[3].as_ref(), dst.src[4].as_ref()) };
    let [scale, max_bias, cap] = [0, 1, 2].map(|i| f32::from_bits(dst.op_params[i].cast_unsigned()));
    let is = |tensor: &sys::ggml_tensor, of, bytes| tensor.type_ == of && tensor.nb[0] == bytes;
    let n_streams = queries.ne[3];
    let is_ours = !params.use_ref
        && is(dst, sys::GGML_TYPE_F32, size_of::<f32>())
        && (keys.ne[3], values.ne[3]) == (n_streams, n_streams)
        && keys.ne[1] == values.ne[1]
        && dst.nb[1] == dst.ne[0] as usize * size_of::<f32>()
        && dst.nb[2] == dst.ne[1] as usize * dst.nb[1]
        && sinks.is_none()
        && max_bias == 0.0
        && cap == 0.0
        && mask.is_none_or(|mask| {
            is(mask, sys::GGML_TYPE_F16, size_of::<u16>())
                && (mask.ne[2], mask.ne[3]) == (1, n_streams)
                && mask.ne[0] >= keys.ne[1]
                && mask.ne[1] >= queries.ne[1]
        });
    if !is_ours {
        return None;
    }
    let first = Attention {
        n_rows: usize::try_from(queries.ne[1]).ok()?,
        n_cells: usize::try_from(keys.ne[1]).ok()?,
        n_threads: usize::try_from(params.nth).ok()?,
        queries: heads(queries)?,
        keys: heads(keys)?,
        values: heads(values)?,
        mask: mask.map_or(std::ptr::null(), |mask| mask.data.cast_const().cast()),
        mask_bytes: mask.map_or(0, |mask| mask.nb[1]),
        scale,
        to: dst.data.cast(),
    };
    (first.is_supported() && first.is_worthwhile()).then_some(Found {
        first,
        n_streams: usize::try_from(n_streams).ok()?,
        query_bytes: queries.nb[3],
        key_bytes: keys.nb[3],
        value_bytes: values.nb[3],
        mask_bytes: mask.map_or(0, |mask| mask.nb[3]),
        compute,
    })
}

/// The vectors of a tensor's first stream, if their numbers are side by side.
fn heads(tensor: &sys::ggml_tensor) -> Option<Heads> {
    let numbers = match (tensor.type_, tensor.nb[0]) {
        (sys::GGML_TYPE_F32, 4) => Numbers::F32,
        (sys::GGML_TYPE_F16, 2) => Numbers::F16,
        (sys::GGML_TYPE_Q8_0, 34) => Numbers::Q8,
        _ => return None,
    };
    Some(Heads {
        numbers,
        at: tensor.data.cast_const().cast(),
        row_bytes: tensor.nb[1],
        head_bytes: tensor.nb[2],
        n_heads: usize::try_from(tensor.ne[2]).ok()?,
        size: usize::try_from(tensor.ne[0]).ok()?,
    })
}

impl Found {
    /// This thread's share: items, as they come.
    ///
    /// # Safety
    /// All threads of `params` call this for the same attention; its tensors are as `find` found them.
    unsafe fn compute(&self, params: &ComputeParams) {
        #[cfg(test)]
        N_COMPUTED.set(N_COMPUTED.get() + 1);
        let n_items = self.first.n_items();
        // SAFETY: each item has its own places in `to`, and one thread takes it; the CPU has the instruction set.
        unsafe {
            params.begin_chunks();
            let mut i = params.ith as usize;
            while i < n_items * self.n_streams {
                // From the end on: a prompt's last rows take longest.
                let i_from_end = n_items * self.n_streams - 1 - i;
                (self.compute)(&self.of_stream(i_from_end / n_items), i_from_end % n_items);
                i = params.take_chunk();
            }
        }
    }

    fn of_stream(&self, i: usize) -> Attention {
        let mut of = self.first;
        of.queries.at = of.queries.at.wrapping_add(i * self.query_bytes);
        of.keys.at = of.keys.at.wrapping_add(i * self.key_bytes);
        of.values.at = of.values.at.wrapping_add(i * self.value_bytes);
        of.mask = of.mask.wrapping_add(i * self.mask_bytes);
        of.to = of.to.wrapping_add(i * of.n_rows * of.queries.n_heads * of.values.size);
        of
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
