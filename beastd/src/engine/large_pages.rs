//! KV caches and compute buffers in 2 MiB pages. llama.cpp clears a new KV cache, and with 4 KiB pages that took 37 %
//! of the time of loading the 2.6B from the page cache. It gets such memory from `ggml_aligned_malloc`; the linker
//! redirects those calls to here (`build.rs`).
#![allow(unsafe_code)]

use std::ffi::c_void;

use rustix::mm::{Advice, madvise};

/// Bytes of a large page on x86-64, and on Arm with pages of 4 KiB.
pub(super) const PAGE: usize = 2 << 20;
/// Smaller buffers stay as they are: part of a large page would be wasted.
const FEWEST_PAGES: usize = 4;

unsafe extern "C" {
    fn __real_ggml_aligned_malloc(size: usize) -> *mut c_void;
}

/// Called by llama.cpp in place of ggml's function.
///
/// # Safety
/// The same as for ggml's `ggml_aligned_malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __wrap_ggml_aligned_malloc(size: usize) -> *mut c_void {
    // SAFETY: the caller's.
    let memory = unsafe { __real_ggml_aligned_malloc(size) };
    if !memory.is_null() && size >= FEWEST_PAGES * PAGE {
        let before = memory.align_offset(PAGE);
        let n_bytes = (size - before) / PAGE * PAGE;
        // SAFETY: within the buffer, whose contents this does not change. A system without large pages refuses.
        let _ = unsafe { madvise(memory.byte_add(before), n_bytes, Advice::LinuxHugepage) };
    }
    memory
}
