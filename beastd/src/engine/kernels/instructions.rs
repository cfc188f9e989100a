//! The instruction sets that kernels are written for, and which of them this CPU has. Knows no tensors and no threads.

use super::blocks::BLOCK;

/// AVX-512 with the extensions F, BW, DQ and VNNI, which Intel's servers have since 2019 and AMD's CPUs since Zen 4.
pub(super) struct Avx512;
/// AVX2 with VNNI, which Intel's CPUs have since 2021 where they lack AVX-512.
pub(super) struct AvxVnni;
/// AVX2 alone, which nearly all x86 CPUs have since 2013.
pub(super) struct Avx2;

/// Products of a few columns with weights of one type, row by row.
pub(super) trait Kernel<W> {
    /// A block of a column, rounded.
    type Column: Copy;

    /// Rounds 256 activations to bytes as ggml does for these weights.
    ///
    /// # Safety
    /// The CPU has this instruction set.
    unsafe fn round(x: &[f32; BLOCK], to: &mut Self::Column);

    /// The products of one row with `columns.len() / row.len()` columns that were rounded for this type of weights;
    /// `store` is called with a column's number and its product.
    ///
    /// # Safety
    /// The CPU has this instruction set, and `columns` holds whole columns of as many blocks as the row.
    unsafe fn row(row: &[W], columns: &[Self::Column], store: impl FnMut(usize, f32));
}

/// An instruction set, from the best on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstructionSet {
    Avx512,
    AvxVnni,
    Avx2,
}

impl InstructionSet {
    pub(super) const ALL: [Self; 3] = [Self::Avx512, Self::AvxVnni, Self::Avx2];

    /// Whether this CPU has it.
    pub(super) fn is_supported(self) -> bool {
        let has_common = is_x86_feature_detected!("f16c") && is_x86_feature_detected!("fma");
        has_common
            && match self {
                Self::Avx512 => {
                    is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vnni")
                }
                Self::AvxVnni => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"),
                Self::Avx2 => is_x86_feature_detected!("avx2"),
            }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::AvxVnni => "avxvnni",
            Self::Avx2 => "avx2",
        }
    }
}
