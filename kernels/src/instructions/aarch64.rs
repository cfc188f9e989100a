//! Those of 64-bit Arm.

use std::arch::is_aarch64_feature_detected;

use crate::blocks::{Q4K, Q5K, Q6K, Q8, Weights};
use crate::product::Way;
use crate::rows::neon::Dotprod;
use crate::simd::neon::Vectors128;
use crate::tiles::Tiles;

/// An instruction set, from the best on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// NEON with `sdot`, which Arm's cores have since 2018 (Cortex-A76, Neoverse N1, Apple A13).
    NeonDotprod,
}

impl InstructionSet {
    pub const ALL: &[Self] = &[Self::NeonDotprod];

    /// Whether this CPU has it.
    pub fn is_supported(self) -> bool {
        match self {
            Self::NeonDotprod => is_aarch64_feature_detected!("dotprod"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::NeonDotprod => "neon-dotprod",
        }
    }

    /// Row by row, for a few columns.
    pub fn rows(self, weights: Weights) -> Option<Way> {
        match weights {
            Weights::Q4K => Some(Way::rows::<Dotprod, Q4K>()),
            Weights::Q5K => Some(Way::rows::<Dotprod, Q5K>()),
            Weights::Q6K => Some(Way::rows::<Dotprod, Q6K>()),
            Weights::Q8 => None,
        }
    }

    /// In tiles, for many columns.
    pub fn tiles(self, weights: Weights) -> Option<Way> {
        match self {
            Self::NeonDotprod => Some(tiles::<Vectors128>(weights)),
        }
    }
}

fn tiles<T: Tiles>(weights: Weights) -> Way {
    match weights {
        Weights::Q4K => Way::tiles::<T, Q4K>(),
        Weights::Q5K => Way::tiles::<T, Q5K>(),
        Weights::Q6K => Way::tiles::<T, Q6K>(),
        Weights::Q8 => Way::tiles::<T, Q8>(),
    }
}
