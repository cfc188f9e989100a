//! The layouts of ggml's quantized weights. Knows no instruction set, no tensors and no threads.

/// Values in a block, for activations and weights alike (`QK_K` in ggml).
pub const BLOCK: usize = 256;

/// The types of weights that kernels are written for, by their names in ggml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// `GGML_TYPE_Q4_K`.
    Q4K,
    /// `GGML_TYPE_Q5_K`.
    Q5K,
    /// `GGML_TYPE_Q6_K`.
    Q6K,
    /// `GGML_TYPE_Q8_0`.
    Q8,
    /// `GGML_TYPE_Q4_0`.
    Q4,
    /// `GGML_TYPE_IQ4_NL`.
    IQ4NL,
}

impl Weights {
    pub const ALL: [Self; 6] = [Self::Q4K, Self::Q5K, Self::Q6K, Self::Q8, Self::Q4, Self::IQ4NL];

    /// As ggml writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::Q8 => "Q8_0",
            Self::Q4 => "Q4_0",
            Self::IQ4NL => "IQ4_NL",
        }
    }

    /// Bytes of [`BLOCK`] weights.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4K => size_of::<Q4K>(),
            Self::Q5K => size_of::<Q5K>(),
            Self::Q6K => size_of::<Q6K>(),
            Self::Q8 => size_of::<Q8>(),
            Self::Q4 => size_of::<Q4>(),
            Self::IQ4NL => size_of::<IQ4NL>(),
        }
    }

    /// Whether each 32 weights have an f16 scale, which is no whole number times that of a block. Columns are then
    /// rounded in groups of 32 as well.
    pub const fn is_by_32(self) -> bool {
        matches!(self, Self::Q8 | Self::Q4 | Self::IQ4NL)
    }
}

/// ggml's `block_q4_K`: eight groups of 32, each with a scale and a minimum of six bits.
#[repr(C)]
pub(super) struct Q4K {
    pub(super) d: u16,
    pub(super) d_min: u16,
    pub(super) scales: [u8; 12],
    pub(super) q: [u8; 128],
}

/// ggml's `block_q5_K`: as `Q4K`, with a fifth bit.
#[repr(C)]
pub(super) struct Q5K {
    pub(super) d: u16,
    pub(super) d_min: u16,
    pub(super) scales: [u8; 12],
    pub(super) high: [u8; 32],
    pub(super) q: [u8; 128],
}

/// ggml's `block_q6_K`: sixteen groups of 16, each with a scale; `w = d * scale * (q - 32)`.
#[repr(C)]
pub(super) struct Q6K {
    pub(super) low: [u8; 128],
    pub(super) high: [u8; 64],
    pub(super) scales: [i8; 16],
    pub(super) d: u16,
}

/// Eight of ggml's `block_q8_0`: a group of 32 signed bytes with its scale.
#[repr(C)]
pub(super) struct Q8 {
    pub(super) groups: [(u16, [i8; 32]); 8],
}

/// Eight of ggml's `block_q4_0` or `block_iq4_nl`: a group of 32 nibbles with its scale. The lower nibbles are the
/// first sixteen weights. `w = d * (q - 8)`, or `d` times the `q`th of a table.
#[repr(C)]
pub(super) struct NibblesBy32<const HAS_TABLE: bool> {
    pub(super) groups: [(u16, [u8; 16]); 8],
}

pub(super) type Q4 = NibblesBy32<false>;
pub(super) type IQ4NL = NibblesBy32<true>;

// The same assertions as in ggml-common.h. `kernels_tests.rs` of beastd checks the layout against ggml's own unpacking.
const _: () = assert!(size_of::<Q4K>() == 2 * 2 + 12 + BLOCK / 2);
const _: () = assert!(size_of::<Q5K>() == 2 * 2 + 12 + BLOCK / 8 + BLOCK / 2);
const _: () = assert!(size_of::<Q6K>() == BLOCK / 2 + BLOCK / 4 + 16 + 2);
const _: () = assert!(size_of::<Q8>() == 8 * (2 + 32));
const _: () = assert!(size_of::<Q4>() == 8 * (2 + 16) && size_of::<IQ4NL>() == size_of::<Q4>());
