//! Those of 64-bit Arm.

use std::arch::is_aarch64_feature_detected;

use crate::attention::Compute as ComputeAttention;
use crate::blocks::{Q4K, Q5K, Q6K, Weights};
use crate::product::Way;
use crate::simd::neon::Vectors128;

/// An instruction set, from the best on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// NEON with `sdot` and `smmla`, which Arm's cores have since 2021 (Neoverse V1 and N2, Cortex-A710, Apple M2).
    NeonI8mm,
    /// NEON with `sdot`, which Arm's cores have since 2018 (Cortex-A76, Neoverse N1, Apple A13).
    NeonDotprod,
}

impl InstructionSet {
    pub const ALL: &[Self] = &[Self::NeonI8mm, Self::NeonDotprod];

    /// Whether this CPU has it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::NeonI8mm => is_aarch64_feature_detected!("i8mm") && is_aarch64_feature_detected!("dotprod"),
            Self::NeonDotprod => is_aarch64_feature_detected!("dotprod"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::NeonI8mm => "neon-i8mm",
            Self::NeonDotprod => "neon-dotprod",
        }
    }

    /// Most columns that are multiplied without tiles: a guess, for nobody has measured it.
    pub fn most_few(self) -> usize {
        16
    }

    /// Most columns for which `fewest` is faster than `few`.
    pub fn most_fewest(self, _weights: Weights) -> usize {
        0
    }

    /// There is nothing better than `few`.
    pub fn fewest(self, _weights: Weights) -> Option<Way> {
        None
    }

    /// For a few columns: row by row.
    #[inline(never)] // What it names is compiled in this crate.
    pub fn few(self, weights: Weights) -> Option<Way> {
        match weights {
            Weights::Q4K => Some(Way::rows::<Q4K>()),
            Weights::Q5K => Some(Way::rows::<Q5K>()),
            Weights::Q6K => Some(Way::rows::<Q6K>()),
            Weights::Q8 | Weights::Q4 | Weights::IQ4NL => None,
        }
    }

    /// In tiles, for many columns.
    #[inline(never)] // As above.
    pub fn tiles(self, weights: Weights) -> Option<Way> {
        match self {
            Self::NeonI8mm => Some(Way::tiles_of::<Vectors128<true>>(weights)),
            Self::NeonDotprod => Some(Way::tiles_of::<Vectors128<false>>(weights)),
        }
    }

    /// There is none.
    pub fn attention(self) -> Option<ComputeAttention> {
        None
    }
}
