//! Those of x86-64.

use crate::attention::{Compute as ComputeAttention, item};
use crate::blocks::Weights;
use crate::cpu;
use crate::product::Way;
use crate::simd::avx2::Vectors256;
use crate::simd::avx512::Vectors512;
use crate::tiles::Direct;

/// An instruction set, from the best on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512 with F, BW, DQ, VL and VNNI, which Intel's servers have since 2019 and AMD's CPUs since Zen 4.
    Avx512,
    /// AVX2 with VNNI, which Intel's CPUs have since 2021 where they lack AVX-512.
    AvxVnni,
    /// AVX2 alone, which nearly all x86 CPUs have since 2013.
    Avx2,
}

impl InstructionSet {
    pub const ALL: &[Self] = &[Self::Avx512, Self::AvxVnni, Self::Avx2];

    /// Whether this CPU has it.
    pub fn is_supported(self) -> bool {
        let has_common = is_x86_feature_detected!("f16c") && is_x86_feature_detected!("fma");
        has_common
            && match self {
                Self::Avx512 => {
                    is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl")
                        && is_x86_feature_detected!("avx512vnni")
                }
                Self::AvxVnni => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"),
                Self::Avx2 => is_x86_feature_detected!("avx2"),
            }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::AvxVnni => "avxvnni",
            Self::Avx2 => "avx2",
        }
    }

    /// Most columns that are multiplied without tiles.
    pub fn most_few(self) -> usize {
        match self {
            Self::Avx512 => Vectors512::MOST_FEW,
            Self::AvxVnni => Vectors256::<true>::MOST_FEW,
            Self::Avx2 => Vectors256::<false>::MOST_FEW,
        }
    }

    /// Most columns for which `fewest` is faster than `few`, as measured.
    pub fn most_fewest(self, weights: Weights) -> usize {
        match (self, weights) {
            (Self::Avx512, _) if !cpu::is_amd() => 0,
            (Self::Avx512, Weights::Q4K | Weights::Q5K) => 3,
            (Self::Avx512, Weights::Q6K) => 4,
            (Self::Avx512, Weights::Q8 | Weights::Q4 | Weights::IQ4NL) => 1,
            (Self::AvxVnni | Self::Avx2, _) => 0,
        }
    }

    /// For up to `most_fewest` columns: four rows at a time, or eight where there is no such kernel.
    #[inline(never)] // What it names is compiled in this crate.
    pub fn fewest(self, weights: Weights) -> Option<Way> {
        match self {
            Self::Avx512 => Way::four_rows_of(weights).or_else(|| Some(Way::few_of::<Vectors256<true, true>>(weights))),
            _ => None,
        }
    }

    /// For a few columns: without tiles.
    #[inline(never)] // As above.
    pub fn few(self, weights: Weights) -> Option<Way> {
        match self {
            Self::Avx512 => Some(Way::few_of::<Vectors512>(weights)),
            Self::AvxVnni => Some(Way::few_of::<Vectors256<true>>(weights)),
            // Without VNNI a group's scale must be a whole number (`whole.rs`).
            Self::Avx2 if weights.is_by_32() => None,
            Self::Avx2 => Some(Way::few_of::<Vectors256<false>>(weights)),
        }
    }

    /// In tiles, for many columns.
    #[inline(never)] // As above.
    pub fn tiles(self, weights: Weights) -> Option<Way> {
        match self {
            Self::Avx512 => Some(Way::tiles_of::<Vectors512>(weights)),
            Self::AvxVnni => Some(Way::tiles_of::<Vectors256<true>>(weights)),
            Self::Avx2 if weights.is_by_32() => None, // as above
            Self::Avx2 => Some(Way::tiles_of::<Vectors256<false>>(weights)),
        }
    }

    /// Attention, of the sizes that [`Attention::is_supported`](crate::Attention::is_supported) tells.
    #[inline(never)] // As above.
    pub fn attention(self) -> Option<ComputeAttention> {
        match self {
            Self::Avx512 => Some(item::compute_512),
            Self::AvxVnni | Self::Avx2 => Some(item::compute_256),
        }
    }
}
