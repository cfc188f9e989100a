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
