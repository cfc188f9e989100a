//! Tiles, and how weights are unpacked into them. Knows vectors of any length.
//!
//! Four consecutive weights of a row are a lane of a vector, and a vector holds such lanes of several rows, so one
//! instruction multiplies them with four activations, and the sums of a column need no reduction.

#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::marker::PhantomData;

use super::super::blocks::BLOCK;
use super::super::simd::Simd;
use super::ROWS;
use super::lanes::Lanes;

/// Weights of a row in a lane.
pub(super) const STEP: usize = 4;

/// 32 rows of one block.
#[repr(C, align(64))]
pub(in super::super) struct Tile {
    /// Four weights of each row. Where vectors are paired, eight of each of the first two rows out of four in each even
    /// step, and of the other two in the odd one.
    pub(super) q: [[u8; ROWS * STEP]; BLOCK / STEP],
    /// What the sums of each group of 32 weights start with if activations are moved up by 128: this takes it back.
    pub(super) start: [[i32; ROWS]; BLOCK / 32],
    /// Of each group; with `WHOLE_SCALES` integers, or two words each where words are summed.
    pub(super) scales: [[f32; ROWS]; BLOCK / 16],
    /// What multiplies the sums of the whole block, with `WHOLE_SCALES`.
    pub(super) d: [f32; ROWS],
    /// The minima of two groups of 32, or scales of two groups of 16 (`Format::moves`).
    pub(super) minima: [[[i16; 2]; ROWS]; BLOCK / 32],
    pub(super) d_min: [f32; ROWS],
}

impl Tile {
    pub(in super::super) const EMPTY: Self = Self {
        q: [[0; ROWS * STEP]; BLOCK / STEP],
        start: [[0; ROWS]; BLOCK / 32],
        scales: [[0.0; ROWS]; BLOCK / 16],
        d: [0.0; ROWS],
        minima: [[[0; 2]; ROWS]; BLOCK / 32],
        d_min: [0.0; ROWS],
    };
}

/// A block of a column, rounded.
pub(in super::super) trait Column: Copy {
    fn q(&self) -> &[i8; BLOCK];
    /// Of each 32 activations; all the same for weights with `WHOLE_SCALES`.
    fn scales(&self) -> [f32; 8];
    /// The sum of each group's activations, where weights have minima or are moved up.
    fn sums(&self) -> &[i16];
}

/// Most groups that are unpacked side by side.
pub(super) const MOST_IN_PART: usize = 4;

/// Types of weights: how a block of as many rows as a vector has lanes is unpacked into vectors, in parts of some
/// groups each. A group is weights that share a scale.
///
/// # Safety
/// Of all functions: the CPU has the instruction set, and the blocks are valid.
pub(in super::super) trait Format {
    type Column: Column;
    /// What is unpacked before the weights.
    type Header<S: Simd>: Copy;
    /// Weights in a group.
    const GROUP: usize;
    /// Groups in a part; one without `WHOLE_SCALES`.
    const GROUPS_IN_PART: usize;
    /// Whether weights stay signed, so that activations are moved up where one factor must be unsigned.
    const IS_SIGNED: bool;
    /// What is added to weights where one factor must be unsigned; the sums of the column's groups take it back.
    const MOVED_UP: i16 = 0;
    const HAS_MINIMA: bool;
    /// Whether the scales of groups are whole numbers, times one `d` for the block, and columns have one scale for it.
    /// All groups then share one exact sum, and only that sum becomes a float. Otherwise each group of weights and of
    /// activations has a float.
    const WHOLE_SCALES: bool;
    /// Steps whose sums fit into 16 bits.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only x86 has sums of 16 bits"))]
    const STEPS: usize = 1;

    /// The `i`th group of a part.
    #[inline(always)]
    fn group(part: usize, i: usize) -> usize {
        Self::GROUPS_IN_PART * part + i
    }

    unsafe fn header<S: Simd>(lanes: Lanes) -> Self::Header<S>;

    /// A group's scale, without `WHOLE_SCALES`.
    #[inline(always)]
    unsafe fn scale<S: Simd>(_header: &Self::Header<S>, _group: usize) -> S::Floats {
        unreachable!("scales of this type are whole numbers")
    }

    /// Scales of a part's groups, with `WHOLE_SCALES`; those beyond `GROUPS_IN_PART` mean nothing. Where the
    /// instruction set sums words, each lane has two.
    #[inline(always)]
    unsafe fn whole_scales<S: Simd>(_header: &Self::Header<S>, _part: usize) -> [S::Ints; MOST_IN_PART] {
        unreachable!("scales of this type are not whole numbers")
    }

    /// What multiplies their sums.
    #[inline(always)]
    unsafe fn d<S: Simd>(_header: &Self::Header<S>) -> S::Floats {
        unreachable!("a block of this type has no scale of its own")
    }

    /// If weights are `MOVED_UP`: the scales of two groups each, as words, to take it back.
    #[inline(always)]
    unsafe fn moves<S: Simd>(_header: &Self::Header<S>) -> [S::Ints; BLOCK / 32] {
        unreachable!("weights of this type are not moved")
    }

    /// If it `HAS_MINIMA`.
    #[inline(always)]
    unsafe fn minima<S: Simd>(_header: &Self::Header<S>) -> Minima<S> {
        unreachable!("this type has no minima")
    }

    /// Gives all weights of a part to `to`.
    unsafe fn part<S: Simd>(lanes: Lanes, header: &Self::Header<S>, part: usize, to: &mut impl Take<S>);

    /// Rounds 256 activations as ggml does for these weights.
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> Self::Column;
}

/// What weights are unpacked for. A trait, because a closure would not be inlined everywhere.
pub(in super::super) trait Take<S: Simd> {
    /// Takes the weights of K steps, of which the first is `step`. `i` is the group's number in the part.
    ///
    /// # Safety
    /// The CPU has the instruction set; `step` and K are multiples of four within the block, and `i` is below
    /// `GROUPS_IN_PART`. They are a whole group with `WHOLE_SCALES`, and one half after the other without.
    unsafe fn take<const K: usize>(&mut self, i: usize, step: usize, q: [S::Ints; K]);
}

/// Whether activations are moved up by 128, to be unsigned.
pub(super) const fn moves_columns<S: Simd, W: Format>() -> bool {
    S::IS_MIXED && W::IS_SIGNED
}

/// Whether weights are moved up, to be unsigned.
pub(super) const fn moves_weights<S: Simd, W: Format>() -> bool {
    S::IS_MIXED && W::MOVED_UP > 0
}

/// Parts of a block.
pub(super) const fn parts_of_block<W: Format>() -> usize {
    BLOCK / (W::GROUP * W::GROUPS_IN_PART)
}

/// What is subtracted from the weights of each group, times the `d` of its row.
#[derive(Clone, Copy)]
pub(in super::super) struct Minima<S: Simd> {
    /// Of two groups of 32 each, as words.
    pub(super) pairs: [S::Ints; BLOCK / 64],
    pub(super) d: S::Floats,
}

/// Unpacks a block of as many rows as a vector has lanes; the tile's number of the first is `row`.
///
/// # Safety
/// As [`Format`]'s functions.
#[inline(always)]
pub(super) unsafe fn unpack<S: Simd, W: Format>(lanes: Lanes, row: usize, to: &mut Tile) {
    // SAFETY: as promised by the caller; the tile has these rows.
    unsafe {
        let header = W::header::<S>(lanes);
        if W::HAS_MINIMA {
            let minima = W::minima::<S>(&header);
            for pair in 0..BLOCK / 64 {
                S::store(to.minima[pair].as_mut_ptr().add(row).cast(), minima.pairs[pair]);
            }
            S::store_floats(to.d_min.as_mut_ptr().add(row), minima.d);
        }
        if W::WHOLE_SCALES {
            S::store_floats(to.d.as_mut_ptr().add(row), W::d::<S>(&header));
        }
        if moves_weights::<S, W>() {
            let moves = W::moves::<S>(&header);
            for pair in 0..moves.len() {
                S::store(to.minima[pair].as_mut_ptr().add(row).cast(), moves[pair]);
            }
        }
        for part in 0..parts_of_block::<W>() {
            if W::WHOLE_SCALES {
                let scales = W::whole_scales::<S>(&header, part);
                for i in 0..W::GROUPS_IN_PART {
                    S::store(to.scales[W::group(part, i)].as_mut_ptr().add(row).cast(), scales[i]);
                }
            } else {
                S::store_floats(to.scales[part].as_mut_ptr().add(row), W::scale::<S>(&header, part));
            }
            let bytes = S::splat(0);
            W::part::<S>(lanes, &header, part, &mut Filling::<S, W> { tile: &mut *to, row, bytes, of: PhantomData });
        }
    }
}

/// Adds the signed bytes of each lane, if activations are moved up by 128: what is to be taken back is 128 times that.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
pub(super) unsafe fn add_bytes<S: Simd, W: Format, const K: usize>(sums: S::Ints, q: [S::Ints; K]) -> S::Ints {
    let mut sums = sums;
    if moves_columns::<S, W>() {
        for k in 0..K {
            // SAFETY: as promised by the caller.
            sums = unsafe { S::dot(sums, S::splat(0x0101_0101), q[k]) };
        }
    }
    sums
}

/// A tile that gets the weights of some of its rows.
struct Filling<'a, S: Simd, W> {
    tile: &'a mut Tile,
    /// The first of them.
    row: usize,
    /// The group's bytes so far, added.
    bytes: S::Ints,
    of: PhantomData<W>,
}

impl<S: Simd, W: Format> Take<S> for Filling<'_, S, W> {
    #[inline(always)]
    unsafe fn take<const K: usize>(&mut self, _i: usize, step: usize, q: [S::Ints; K]) {
        // SAFETY: as promised by the caller; the tile has these rows and steps, and the first step is even.
        unsafe {
            for k in (0..K).step_by(2) {
                let is_paired = S::IS_PAIRED;
                let first = if is_paired { S::zip_low(q[k], q[k + 1]) } else { q[k] };
                let second = if is_paired { S::zip_high(q[k], q[k + 1]) } else { q[k + 1] };
                S::store(self.tile.q[step + k].as_mut_ptr().add(STEP * self.row), first);
                S::store(self.tile.q[step + k + 1].as_mut_ptr().add(STEP * self.row), second);
            }
            if moves_columns::<S, W>() {
                self.bytes = add_bytes::<S, W, K>(self.bytes, q);
                if is_last::<W>(step, K) {
                    let start = S::sub(S::splat(0), S::left(self.bytes, 7));
                    S::store(self.tile.start[step * STEP / W::GROUP].as_mut_ptr().add(self.row).cast(), start);
                    self.bytes = S::splat(0);
                }
            }
        }
    }
}

/// Whether a group ends with these steps.
pub(super) const fn is_last<W: Format>(step: usize, n_steps: usize) -> bool {
    ((step + n_steps) * STEP).is_multiple_of(W::GROUP)
}

/// Rounds 256 activations.
#[inline(always)]
pub(in super::super) fn round<S: Simd, W: Format>(x: &[f32; BLOCK]) -> W::Column {
    W::round(x, moves_columns::<S, W>())
}
