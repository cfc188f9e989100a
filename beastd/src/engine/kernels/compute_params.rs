//! The parameters that llama.cpp passes to each of its threads: a structure of ggml-cpu-impl.h for which the wrapper
//! has no bindings.
//!
//! `build.rs` compares the number, order and types of the fields below with the header of the llama.cpp that is linked,
//! and fails the build if they differ.

use std::ffi::c_void;

/// `struct ggml_compute_params`.
#[repr(C)]
pub(super) struct ComputeParams {
    /// This thread's number.
    pub ith: i32,
    /// How many threads there are.
    pub nth: i32,
    /// Bytes of the work buffer that all threads share.
    pub wsize: usize,
    pub wdata: *mut c_void,
    pub threadpool: *mut c_void,
    /// Whether to use the reference implementation.
    pub use_ref: bool,
}

unsafe extern "C" {
    fn ggml_barrier(threadpool: *mut c_void);
    fn ggml_threadpool_chunk_set(threadpool: *mut c_void, value: i32);
    fn ggml_threadpool_chunk_add(threadpool: *mut c_void, value: i32) -> i32;
}

impl ComputeParams {
    /// Waits for all threads; each then has the chunk of its own number, and takes more with [`Self::take_chunk`].
    ///
    /// # Safety
    /// These are llama.cpp's, and all of its threads call this.
    pub(super) unsafe fn begin_chunks(&self) {
        // SAFETY: as promised by the caller.
        unsafe {
            if self.ith == 0 {
                ggml_threadpool_chunk_set(self.threadpool, self.nth);
            }
            ggml_barrier(self.threadpool);
        }
    }

    /// The next chunk.
    ///
    /// # Safety
    /// As above, afterwards.
    pub(super) unsafe fn take_chunk(&self) -> usize {
        // SAFETY: as promised by the caller.
        unsafe { ggml_threadpool_chunk_add(self.threadpool, 1) as usize }
    }
}
