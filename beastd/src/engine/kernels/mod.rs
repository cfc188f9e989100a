//! Products of quantized weights with a few columns, in place of llama.cpp's own on CPUs where ours are faster. Knows
//! the tensors of ggml and the threads that llama.cpp computes with; the layouts are in `blocks.rs`, the arithmetic in a
//! file for each instruction set (`instructions.rs`).
//!
//! llama.cpp has no good way with two to eight columns on x86: it reads every weight anew for each of them, so that
//! checking two guesses costs two decode steps. Both its answers to that are for longer prompts (tiles, from eight
//! columns on) or for decoding (weights rearranged, which slows prompts down). Here weights stay as they are in the
//! file, are read once for all columns, and prompts keep llama.cpp's tiles.
//!
//! How it gets in: the linker sends llama.cpp's calls of `ggml_compute_forward_mul_mat_tiled`, the first thing that a
//! matrix product asks on a CPU, to `__wrap_…` here (`build.rs`). What is not for us goes on to `__real_…`. What would
//! let this go: such a kernel in llama.cpp.
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
pub use crew::Helpers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use hook::{are_supported, use_ours};

/// The instruction set that is used here, if the CPU has it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
type Native = avx512::Avx512;

/// Whether there are kernels for this CPU. Only x86 has some: on Apple's machines the work is Metal's.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn are_supported() -> bool {
    false
}

/// There are none here.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub struct Helpers;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
impl Helpers {
    /// None.
    pub fn of_this_thread(_n: usize) -> Self {
        Self
    }

    /// None.
    pub fn of_nobody() -> Self {
        Self
    }

    /// None.
    pub fn join(&mut self) {}
}

/// Has no effect here.
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub fn use_ours(_are_wanted: bool) {}

#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
#[path = "kernels_tests.rs"]
mod tests;
