//! Routes llama.cpp's products of quantized weights (`products.rs`) and its attention (`attention.rs`) to the crate
//! `beast_kernels` where that is faster. Knows the tensors of ggml and the threads that llama.cpp computes with
//! (`crew.rs`), and nothing of the arithmetic.
//!
//! llama.cpp is slow with two to eight columns: it reads every weight once per column, so verifying two drafts costs
//! two decode steps. Its two remedies serve longer prompts (tiles, from eight columns up) or decoding (repacked
//! weights, which slow down prefill on x86). Its attention of a few rows reads the cache once for each query head, one
//! cell after the other.
//!
//! How it hooks in: the linker redirects llama.cpp's calls of `ggml_compute_forward_mul_mat_tiled`, the first function
//! that a matrix product calls on a CPU, and of `ggml_compute_forward_flash_attn_ext` to `__wrap_…` here (`build.rs`).
//! What is not computed here goes on to `__real_…`. Can be removed once llama.cpp has such kernels. Apple's linker
//! cannot redirect, so nothing is routed there.
#![allow(unsafe_code)]

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod attention;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod chosen;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod compute_params;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod crew;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod products;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub use chosen::{have_attention, instruction_set, use_ours};
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub use crew::Helpers;

/// The name of the instruction set that the kernels use: none, since nothing is routed to them here.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub fn instruction_set() -> Option<&'static str> {
    None
}

/// Whether the kernels have attention: not here.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub fn have_attention() -> bool {
    false
}

/// Nothing to help with here.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub struct Helpers;

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
impl Helpers {
    /// Nothing to help with here.
    pub fn of_this_thread(_n: usize) -> Self {
        Self
    }

    /// Nothing to help with here.
    pub fn of_nobody() -> Self {
        Self
    }

    /// Nothing to help with here.
    pub fn join(&mut self) {}
}

/// Has no effect here.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub fn use_ours(_are_wanted: bool) {}

#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "kernels_tests.rs"]
mod tests;
