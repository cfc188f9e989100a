//! Products of quantized weights with columns, in place of llama.cpp's own on CPUs where ours are faster. Knows the
//! tensors of ggml and the threads that llama.cpp computes with (`hook.rs`, `crew.rs`); the layouts of weights are in
//! `blocks.rs`, the arithmetic in `tiles.rs` and, for a few columns with AVX-512, in `avx512.rs`.
//!
//! On x86, llama.cpp is slow with two to eight columns: it reads every weight once per column, so verifying two drafts
//! costs two decode steps. Its two remedies serve longer prompts (tiles, from eight columns up) or decoding (repacked
//! weights, which slow down prefill). Here weights stay as they are in the file and are read once for all columns: row
//! by row for a few, unpacked into tiles for many.
//!
//! Which instruction set computes is chosen when the program runs, whatever it was built for.
//!
//! How it hooks in: the linker redirects llama.cpp's calls of `ggml_compute_forward_mul_mat_tiled`, the first function
//! that a matrix product calls on a CPU, to `__wrap_…` here (`build.rs`). Other products go on to `__real_…`. Can be
//! removed once llama.cpp has such a kernel.
#![allow(unsafe_code)]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod avx512;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod blocks;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod compute_params;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod crew;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod hook;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod instructions;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod product;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod simd;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tiles;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use crew::Helpers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use hook::{instruction_set, use_ours};

/// The name of the instruction set that the kernels use. Only on x86; on Apple hardware Metal does the work.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn instruction_set() -> Option<&'static str> {
    None
}

/// No kernels on this architecture.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub struct Helpers;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
impl Helpers {
    /// No kernels on this architecture.
    pub fn of_this_thread(_n: usize) -> Self {
        Self
    }

    /// No kernels on this architecture.
    pub fn of_nobody() -> Self {
        Self
    }

    /// No kernels on this architecture.
    pub fn join(&mut self) {}
}

/// Has no effect here.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn use_ours(_are_wanted: bool) {}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
#[path = "kernels_tests.rs"]
mod tests;
