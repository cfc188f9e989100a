//! Products of quantized weights with columns of activations, for several instruction sets of x86-64 and 64-bit Arm; on
//! x86-64 also attention (`attention.rs`). Knows weights, columns, caches and instructions, and neither ggml's tensors
//! nor threads, so that all of it can be tested on an emulated CPU without llama.cpp.
//!
//! Weights stay as they are in the file and are read once for all columns: unpacked into tiles for many (`tiles.rs`),
//! and for a few into registers (`tiles/direct.rs`, `tiles/four_rows.rs`; on Arm row by row, `rows.rs`). Which
//! instruction set computes is chosen when the program runs, whatever it was built for. All code that computes is
//! instantiated in this crate, behind function pointers (such as those of a [`Way`]).
#![allow(unsafe_code)]
#![cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]

mod attention;
mod blocks;
mod cpu;
mod instructions;
mod product;
#[cfg(target_arch = "aarch64")]
mod rows;
mod simd;
mod tiles;

pub use attention::{Attention, Compute as ComputeAttention, Heads, Numbers};
pub use blocks::{BLOCK, Weights};
pub use instructions::InstructionSet;
pub use product::{Product, Shares, To, Way};

/// How an instruction set computes products of these weights with so many columns, if it does.
pub fn way(set: InstructionSet, weights: Weights, n_columns: usize) -> Option<Way> {
    match n_columns {
        0 => None,
        n if n <= set.most_fewest(weights) => set.fewest(weights),
        n if n <= set.most_few() => set.few(weights),
        _ => set.tiles(weights),
    }
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
