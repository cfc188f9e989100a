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
}

impl Weights {
    pub const ALL: [Self; 4] = [Self::Q4K, Self::Q5K, Self::Q6K, Self::Q8];

    /// Bytes of [`BLOCK`] weights.
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Q4K => size_of::<Q4K>(),
            Self::Q5K => size_of::<Q5K>(),
            Self::Q6K => size_of::<Q6K>(),
            Self::Q8 => size_of::<Q8>(),
        }
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

// The same assertions as in ggml-common.h. `kernels_tests.rs` of beastd checks the layout against ggml's own unpacking.
const _: () = assert!(size_of::<Q4K>() == 2 * 2 + 12 + BLOCK / 2);
const _: () = assert!(size_of::<Q5K>() == 2 * 2 + 12 + BLOCK / 8 + BLOCK / 2);
const _: () = assert!(size_of::<Q6K>() == BLOCK / 2 + BLOCK / 4 + 16 + 2);
const _: () = assert!(size_of::<Q8>() == 8 * (2 + 32));
