//! How each type of weights is unpacked, and its activations are rounded.

use super::super::blocks::{BLOCK, NibblesBy32, Q4K, Q5K, Q6K, Q8};
use super::super::simd::{NO_BYTE, Simd};
use super::lanes::Lanes;
use super::rounding::{Rounded, RoundedBy32};
use super::tile::{Format, MOST_IN_PART, Minima, Take};

impl Format for Q4K {
    type Column = Rounded<8>;
    type Header<S: Simd> = GroupsOf32<S>;
    const GROUP: usize = 32;
    const GROUPS_IN_PART: usize = 2;
    const IS_SIGNED: bool = false;
    const HAS_MINIMA: bool = true;
    const WHOLE_SCALES: bool = true;
    // 8 * 2 * 15 * 127 is less than 32,768.
    const STEPS: usize = 8;

    #[inline(always)]
    unsafe fn header<S: Simd>(lanes: Lanes) -> GroupsOf32<S> {
        // SAFETY: as promised by the caller.
        unsafe { GroupsOf32::new(lanes) }
    }

    #[inline(always)]
    unsafe fn whole_scales<S: Simd>(header: &GroupsOf32<S>, part: usize) -> [S::Ints; MOST_IN_PART] {
        // SAFETY: as promised by the caller.
        unsafe { header.whole_scales(part) }
    }

    #[inline(always)]
    unsafe fn d<S: Simd>(header: &GroupsOf32<S>) -> S::Floats {
        header.d
    }

    #[inline(always)]
    unsafe fn minima<S: Simd>(header: &GroupsOf32<S>) -> Minima<S> {
        header.minima
    }

    #[inline(always)]
    unsafe fn part<S: Simd>(lanes: Lanes, _header: &GroupsOf32<S>, part: usize, to: &mut impl Take<S>) {
        // SAFETY: as promised by the caller; the block has nine times sixteen bytes.
        unsafe {
            // Each 32 bytes hold 64 weights: the lower nibbles are the first 32.
            let nibbles = lanes.transpose_two::<S>(16 + 32 * part);
            let (mut first, mut second) = (nibbles, nibbles);
            for i in 0..8 {
                first[i] = lower::<S>(nibbles[i]);
                second[i] = lower::<S>(S::right(nibbles[i], 4));
            }
            to.take(0, 16 * part, first);
            to.take(1, 16 * part + 8, second);
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], _is_unsigned: bool) -> Self::Column {
        Rounded::new(x)
    }
}

impl Format for Q5K {
    type Column = Rounded<8>;
    /// And the fifth bits: bit i of byte k is that of weight k in group i.
    type Header<S: Simd> = (GroupsOf32<S>, [S::Ints; 8]);
    const GROUP: usize = 32;
    const GROUPS_IN_PART: usize = 2;
    const IS_SIGNED: bool = false;
    const HAS_MINIMA: bool = true;
    const WHOLE_SCALES: bool = true;
    // 4 * 2 * 31 * 127 is less than 32,768.
    const STEPS: usize = 4;

    #[inline(always)]
    unsafe fn header<S: Simd>(lanes: Lanes) -> Self::Header<S> {
        // SAFETY: as promised by the caller.
        unsafe { (GroupsOf32::new(lanes), lanes.transpose_two::<S>(16)) }
    }

    #[inline(always)]
    unsafe fn whole_scales<S: Simd>(header: &Self::Header<S>, part: usize) -> [S::Ints; MOST_IN_PART] {
        // SAFETY: as promised by the caller.
        unsafe { header.0.whole_scales(part) }
    }

    #[inline(always)]
    unsafe fn d<S: Simd>(header: &Self::Header<S>) -> S::Floats {
        header.0.d
    }

    #[inline(always)]
    unsafe fn minima<S: Simd>(header: &Self::Header<S>) -> Minima<S> {
        header.0.minima
    }

    #[inline(always)]
    unsafe fn part<S: Simd>(lanes: Lanes, (_, fifths): &Self::Header<S>, part: usize, to: &mut impl Take<S>) {
        // SAFETY: as promised by the caller; the block has eleven times sixteen bytes.
        unsafe {
            let bit = S::splat(0x0101_0101);
            let nibbles = lanes.transpose_two::<S>(48 + 32 * part);
            let (mut first, mut second) = (nibbles, nibbles);
            for i in 0..8 {
                let fifth = S::right(fifths[i], 2 * part as i32);
                first[i] = S::or(lower::<S>(nibbles[i]), S::left(S::and(fifth, bit), 4));
                let fifth = S::left(S::and(S::right(fifth, 1), bit), 4);
                second[i] = S::or(lower::<S>(S::right(nibbles[i], 4)), fifth);
            }
            to.take(0, 16 * part, first);
            to.take(1, 16 * part + 8, second);
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], _is_unsigned: bool) -> Self::Column {
        Rounded::new(x)
    }
}

impl Format for Q6K {
    type Column = Rounded<16>;
    /// A byte of scale for each group, and what they are multiplied with.
    type Header<S: Simd> = ([S::Ints; 4], S::Floats);
    const GROUP: usize = 16;
    const GROUPS_IN_PART: usize = 4;
    const IS_SIGNED: bool = false;
    const MOVED_UP: i16 = 32;
    const HAS_MINIMA: bool = false;
    const WHOLE_SCALES: bool = true;
    // 2 * 2 * 63 * 127 is less than 32,768.
    const STEPS: usize = 2;

    /// Of each half of the block, sixteen weights of each quarter.
    #[inline(always)]
    fn group(part: usize, i: usize) -> usize {
        8 * (part / 2) + part % 2 + 2 * i
    }

    #[inline(always)]
    unsafe fn header<S: Simd>(lanes: Lanes) -> Self::Header<S> {
        // SAFETY: as promised by the caller; the block has 128 bytes of lower nibbles, 64 of upper pairs of bits, 16
        // scales, and `d`.
        unsafe { (lanes.transpose::<S>(192), lanes.halves::<S>(208)) }
    }

    #[inline(always)]
    unsafe fn whole_scales<S: Simd>((scales, _): &Self::Header<S>, part: usize) -> [S::Ints; MOST_IN_PART] {
        let (first, second, byte) = (scales[2 * (part / 2)], scales[2 * (part / 2) + 1], part % 2);
        // SAFETY: as promised by the caller.
        unsafe {
            [
                signed_scale::<S>(first, byte),
                signed_scale::<S>(first, byte + 2),
                signed_scale::<S>(second, byte),
                signed_scale::<S>(second, byte + 2),
            ]
        }
    }

    #[inline(always)]
    unsafe fn d<S: Simd>((_, d): &Self::Header<S>) -> S::Floats {
        *d
    }

    #[inline(always)]
    unsafe fn moves<S: Simd>((scales, _): &Self::Header<S>) -> [S::Ints; BLOCK / 32] {
        // SAFETY: as promised by the caller.
        unsafe {
            let mut pairs = [scales[0]; BLOCK / 32];
            for i in 0..pairs.len() {
                pairs[i] = signed_words::<S>(scales[i / 2], 2 * (i % 2), 2 * (i % 2) + 1);
            }
            pairs
        }
    }

    #[inline(always)]
    unsafe fn part<S: Simd>(lanes: Lanes, _header: &Self::Header<S>, part: usize, to: &mut impl Take<S>) {
        // SAFETY: as promised by the caller; as above.
        unsafe {
            let (half, piece) = (part / 2, part % 2);
            let first = lanes.transpose::<S>(64 * half + 16 * piece);
            let second = lanes.transpose::<S>(64 * half + 32 + 16 * piece);
            let high = lanes.transpose::<S>(128 + 32 * half + 16 * piece);
            // One group after the other, written out: in a loop, weights would pass through memory.
            take_six_bits::<S>(part, 0, first, |i| S::left(high[i], 4), to);
            take_six_bits::<S>(part, 1, second, |i| S::left(high[i], 2), to);
            take_six_bits::<S>(part, 2, upper::<S>(first), |i| high[i], to);
            take_six_bits::<S>(part, 3, upper::<S>(second), |i| S::right(high[i], 2), to);
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], _is_unsigned: bool) -> Self::Column {
        Rounded::new(x)
    }
}

/// Gives group `i` of a part of Q6_K to `to`: lower nibbles, and two bits of each byte of `high` on top.
///
/// # Safety
/// As [`Take::take`].
#[inline(always)]
unsafe fn take_six_bits<S: Simd>(
    part: usize,
    i: usize,
    nibbles: [S::Ints; 4],
    high: impl Fn(usize) -> S::Ints,
    to: &mut impl Take<S>,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut q = nibbles;
        for i in 0..4 {
            q[i] = S::or(lower::<S>(nibbles[i]), S::and(high(i), S::splat(0x3030_3030)));
            if !S::IS_MIXED {
                q[i] = S::sub_bytes(q[i], S::splat(0x2020_2020));
            }
        }
        to.take(i, 4 * Q6K::group(part, i), q);
    }
}

impl Format for Q8 {
    type Column = RoundedBy32;
    /// The scale of each group.
    type Header<S: Simd> = [S::Floats; 8];
    const GROUP: usize = 32;
    const GROUPS_IN_PART: usize = 1;
    // Moved up instead, weights would need sums of the column's groups, for which llama.cpp's buffer has no room.
    const IS_SIGNED: bool = true;
    const HAS_MINIMA: bool = false;
    const WHOLE_SCALES: bool = false;

    #[inline(always)]
    unsafe fn header<S: Simd>(lanes: Lanes) -> [S::Floats; 8] {
        // SAFETY: as promised by the caller; eight times `d` and 32 weights.
        unsafe { lanes.scales_by_32::<S>(34) }
    }

    #[inline(always)]
    unsafe fn scale<S: Simd>(header: &[S::Floats; 8], group: usize) -> S::Floats {
        header[group]
    }

    #[inline(always)]
    unsafe fn part<S: Simd>(lanes: Lanes, _header: &[S::Floats; 8], part: usize, to: &mut impl Take<S>) {
        for half in 0..2 {
            // SAFETY: as promised by the caller; as above.
            unsafe { to.take(0, 8 * part + 4 * half, lanes.transpose::<S>(34 * part + 2 + 16 * half)) };
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> RoundedBy32 {
        RoundedBy32::new(x, is_unsigned)
    }
}

impl<const HAS_TABLE: bool> Format for NibblesBy32<HAS_TABLE> {
    type Column = RoundedBy32;
    /// The scale of each group.
    type Header<S: Simd> = [S::Floats; 8];
    const GROUP: usize = 32;
    const GROUPS_IN_PART: usize = 1;
    const IS_SIGNED: bool = true; // as above
    const HAS_MINIMA: bool = false;
    const WHOLE_SCALES: bool = false;

    #[inline(always)]
    unsafe fn header<S: Simd>(lanes: Lanes) -> [S::Floats; 8] {
        // SAFETY: as promised by the caller; eight times `d` and 32 nibbles.
        unsafe { lanes.scales_by_32::<S>(18) }
    }

    #[inline(always)]
    unsafe fn scale<S: Simd>(header: &[S::Floats; 8], group: usize) -> S::Floats {
        header[group]
    }

    #[inline(always)]
    unsafe fn part<S: Simd>(lanes: Lanes, _header: &[S::Floats; 8], part: usize, to: &mut impl Take<S>) {
        // SAFETY: as promised by the caller; as above.
        unsafe {
            let nibbles = lanes.transpose::<S>(18 * part + 2);
            let (mut first, mut second) = (nibbles, nibbles);
            for i in 0..4 {
                first[i] = Self::weights::<S>(lower::<S>(nibbles[i]));
                second[i] = Self::weights::<S>(lower::<S>(S::right(nibbles[i], 4)));
            }
            to.take(0, 8 * part, first);
            to.take(0, 8 * part + 4, second);
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> RoundedBy32 {
        RoundedBy32::new(x, is_unsigned)
    }
}

impl<const HAS_TABLE: bool> NibblesBy32<HAS_TABLE> {
    /// `kvalues_iq4nl` in ggml.
    const TABLE: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn weights<S: Simd>(nibbles: S::Ints) -> S::Ints {
        // SAFETY: as promised by the caller.
        unsafe {
            match HAS_TABLE {
                true => S::look_up(&Self::TABLE, nibbles),
                false => S::sub_bytes(nibbles, S::splat(0x0808_0808)),
            }
        }
    }
}

/// Scales and minima of `Q4K` and `Q5K`.
#[derive(Clone, Copy)]
pub(in super::super) struct GroupsOf32<S: Simd> {
    /// A byte for each group.
    scales: [S::Ints; 2],
    d: S::Floats,
    minima: Minima<S>,
}

impl<S: Simd> GroupsOf32<S> {
    /// Eight scales and minima of six bits each, in twelve bytes. The first four of both are the lower six bits of the
    /// first eight bytes. The last four of both consist of a nibble of the other bytes and the upper two bits of the
    /// first eight. `d` and `d_min` come before.
    ///
    /// # Safety
    /// As [`Format::header`].
    #[inline(always)]
    unsafe fn new(lanes: Lanes) -> Self {
        // SAFETY: as promised by the caller.
        unsafe {
            let [both, a, b, c] = lanes.transpose::<S>(0);
            let (six, two) = (S::splat(0x3f3f_3f3f), S::splat(0x3030_3030));
            let scales = [S::and(a, six), S::or(lower::<S>(c), S::and(S::right(a, 2), two))];
            let bytes = [S::and(b, six), S::or(lower::<S>(S::right(c, 4)), S::and(S::right(b, 2), two))];
            let mut pairs = [both; 4];
            for i in 0..4 {
                pairs[i] = words::<S>(bytes[i / 2], 2 * (i % 2), 2 * (i % 2) + 1);
            }
            let minima = Minima { pairs, d: S::from_halves(S::right(both, 16)) };
            Self { scales, d: S::from_halves(both), minima }
        }
    }

    /// # Safety
    /// As [`Format::whole_scales`].
    #[inline(always)]
    unsafe fn whole_scales(&self, part: usize) -> [S::Ints; MOST_IN_PART] {
        let (bytes, first) = (self.scales[part / 2], 2 * (part % 2));
        // SAFETY: as promised by the caller.
        unsafe {
            let mut all = [scale::<S>(bytes, first); MOST_IN_PART];
            all[1] = scale::<S>(bytes, first + 1);
            all
        }
    }
}

/// A byte of each lane that has no sign, twice as a word where words are summed.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn scale<S: Simd>(bytes: S::Ints, byte: usize) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe {
        match S::SUMS_WORDS {
            true => words::<S>(bytes, byte, byte),
            false => S::and(S::right(bytes, 8 * byte as i32), S::splat(0xff)),
        }
    }
}

/// The same of a byte with its sign.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn signed_scale<S: Simd>(bytes: S::Ints, byte: usize) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe {
        match S::SUMS_WORDS {
            true => signed_words::<S>(bytes, byte, byte),
            false => S::signed_right(S::left(bytes, 24 - 8 * byte as i32), 24),
        }
    }
}

/// Two bytes of each lane that have no sign, as words.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn words<S: Simd>(bytes: S::Ints, first: usize, second: usize) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe { S::pick(bytes, [first as u8, NO_BYTE, second as u8, NO_BYTE]) }
}

/// The same of bytes with their signs.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn signed_words<S: Simd>(bytes: S::Ints, first: usize, second: usize) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe { S::signed_right_words(S::pick(bytes, [NO_BYTE, first as u8, NO_BYTE, second as u8])) }
}

/// The upper nibbles, with what was left of them.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn upper<S: Simd>(bytes: [S::Ints; 4]) -> [S::Ints; 4] {
    let [a, b, c, d] = bytes;
    // SAFETY: as promised by the caller.
    unsafe { [S::right(a, 4), S::right(b, 4), S::right(c, 4), S::right(d, 4)] }
}

/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn lower<S: Simd>(bytes: S::Ints) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe { S::and(bytes, S::splat(0x0f0f_0f0f)) }
}
