//! Tiles, and how weights are unpacked into them. Knows vectors of any length.
//!
//! Four consecutive weights of a row are a lane of a vector, and a vector holds such lanes of several rows, so one
//! instruction multiplies them with four activations, and the sums of a column need no reduction.

use super::super::blocks::BLOCK;
use super::super::simd::Simd;
use super::ROWS;

/// Weights of a row in a lane.
pub(super) const STEP: usize = 4;

/// 32 rows of one block.
#[repr(C, align(64))]
pub(in super::super) struct Tile {
    /// Four weights of each row. Where vectors are paired, eight of each of the first two rows out of four in each even
    /// step, and of the other two in the odd one.
    pub(super) q: [[u8; ROWS * STEP]; BLOCK / STEP],
    /// For each group of 16 or 32 weights, what its sums start with if activations are moved up by 128, to be unsigned:
    /// this takes it back.
    pub(super) start: [[i32; ROWS]; BLOCK / 16],
    pub(super) scales: [[f32; ROWS]; BLOCK / 16],
    /// The minima of two groups of 32.
    pub(super) minima: [[[i16; 2]; ROWS]; BLOCK / 64],
    pub(super) d_min: [f32; ROWS],
}

impl Tile {
    pub(in super::super) const EMPTY: Self = Self {
        q: [[0; ROWS * STEP]; BLOCK / STEP],
        start: [[0; ROWS]; BLOCK / 16],
        scales: [[0.0; ROWS]; BLOCK / 16],
        minima: [[[0; 2]; ROWS]; BLOCK / 64],
        d_min: [0.0; ROWS],
    };
}

/// A block of a column, rounded for tiles.
pub(in super::super) trait Column: Copy {
    /// Whether each 32 activations have a scale of their own; the first of `scales` is for all otherwise.
    const HAS_GROUPS: bool;

    fn q(&self) -> &[i8; BLOCK];
    fn scales(&self) -> [f32; 8];
    /// Sums of 32 activations each, where weights have minima.
    fn sums(&self) -> &[i16; 8];
}

/// Weights that can be unpacked into tiles.
pub(in super::super) trait Format {
    type Column: Column;
    /// Weights that share a scale.
    const GROUP: usize;
    const IS_SIGNED: bool;
    const HAS_MINIMA: bool;
    /// How many products of pairs of bytes can be added in 16 bits.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only x86 has sums of 16 bits"))]
    const STEPS: usize;

    /// Unpacks a block of as many rows as a vector has lanes.
    ///
    /// # Safety
    /// The CPU has the instruction set, and the blocks are valid.
    unsafe fn unpack<S: Simd>(rows: Rows, to: &mut Tile);

    /// Rounds 256 activations as ggml does for these weights.
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> Self::Column;
}

/// A block of as many rows as a vector has lanes.
#[derive(Clone, Copy)]
pub(in super::super) struct Rows {
    pub(super) first: *const u8,
    pub(super) row_bytes: usize,
    /// The tile's number of the first one.
    pub(super) number: usize,
}

/// Rounds 256 activations.
#[inline(always)]
pub(in super::super) fn round<S: Simd, W: Format>(x: &[f32; BLOCK]) -> W::Column {
    W::round(x, S::IS_MIXED && W::IS_SIGNED)
}
