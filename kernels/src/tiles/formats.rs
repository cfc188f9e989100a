//! How each type of weights is unpacked, and its activations are rounded.
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use super::super::blocks::{BLOCK, Q4K, Q5K, Q6K, Q8};
use super::super::simd::Simd;
use super::ROWS;
use super::rounding::{Rounded, RoundedBy32};
use super::tile::{Format, Rows, STEP, Tile};

impl Format for Q4K {
    type Column = Rounded;
    const GROUP: usize = 32;
    const IS_SIGNED: bool = false;
    const HAS_MINIMA: bool = true;
    // 8 * 2 * 15 * 127 is less than 32,768.
    const STEPS: usize = 8;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(rows: Rows, to: &mut Tile) {
        // SAFETY: as promised by the caller; the block has nine times sixteen bytes.
        unsafe {
            groups_of_32::<S>(rows, to);
            for piece in 0..8 {
                // Each 32 bytes hold 64 weights: the lower nibbles are the first 32.
                let at = 16 * (piece / 2) + 4 * (piece % 2);
                let nibbles = rows.transpose::<S>(16 + 16 * piece);
                for i in 0..4 {
                    to.set::<S>(at + i, rows, lower::<S>(nibbles[i]));
                    to.set::<S>(at + 8 + i, rows, lower::<S>(S::right(nibbles[i], 4)));
                }
            }
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> Rounded {
        Rounded::new(x, is_unsigned)
    }
}

impl Format for Q5K {
    type Column = Rounded;
    const GROUP: usize = 32;
    const IS_SIGNED: bool = false;
    const HAS_MINIMA: bool = true;
    // 4 * 2 * 31 * 127 is less than 32,768.
    const STEPS: usize = 4;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(rows: Rows, to: &mut Tile) {
        // SAFETY: as promised by the caller; the block has eleven times sixteen bytes.
        unsafe {
            groups_of_32::<S>(rows, to);
            let fifth = S::splat(0x1010_1010);
            for half in 0..2 {
                // Bit i of byte k is the fifth bit of weight k in group i.
                let mut high = rows.transpose::<S>(16 + 16 * half);
                for pair in 0..4 {
                    let nibbles = rows.transpose::<S>(48 + 32 * pair + 16 * half);
                    let at = 16 * pair + 4 * half;
                    for i in 0..4 {
                        let first = S::or(lower::<S>(nibbles[i]), S::and(S::left(high[i], 4), fifth));
                        let second = lower::<S>(S::right(nibbles[i], 4));
                        to.set::<S>(at + i, rows, first);
                        to.set::<S>(at + 8 + i, rows, S::or(second, S::and(S::left(high[i], 3), fifth)));
                        high[i] = S::right(high[i], 2);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> Rounded {
        Rounded::new(x, is_unsigned)
    }
}

impl Format for Q6K {
    type Column = Rounded;
    const GROUP: usize = 16;
    const IS_SIGNED: bool = true;
    const HAS_MINIMA: bool = false;
    // 2 * 2 * 32 * 255 is less than 32,768.
    const STEPS: usize = 2;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(rows: Rows, to: &mut Tile) {
        // SAFETY: as promised by the caller; the block has 128 bytes of lower nibbles, 64 of upper pairs of bits, 16
        // scales, and `d`.
        unsafe {
            let d = rows.halves::<S>(208);
            let scales = rows.transpose::<S>(192);
            for i in 0..4 {
                to.set_scales::<S>(4 * i, rows, scales[i], d);
            }
            for i in 0..4 {
                // Of each half of the block, sixteen weights of each quarter at a time.
                let (half, piece) = (i / 2, i % 2);
                let first = rows.transpose::<S>(64 * half + 16 * piece);
                let second = rows.transpose::<S>(64 * half + 32 + 16 * piece);
                let high = rows.transpose::<S>(128 + 32 * half + 16 * piece);
                six_bits::<S>(first, second, high, 8 * half + piece, rows, to);
            }
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> Rounded {
        Rounded::new(x, is_unsigned)
    }
}

/// Four groups of sixteen weights each; the first is `group`, and the others are every second one after it.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn six_bits<S: Simd>(
    first: [S::Ints; 4],
    second: [S::Ints; 4],
    high: [S::Ints; 4],
    group: usize,
    rows: Rows,
    to: &mut Tile,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let (two_bits, offset) = (S::splat(0x3030_3030), S::splat(0x2020_2020));
        let mut totals = [S::splat(0); 4];
        for i in 0..4 {
            let nibbles = [first[i], second[i], S::right(first[i], 4), S::right(second[i], 4)];
            let bits = [S::left(high[i], 4), S::left(high[i], 2), high[i], S::right(high[i], 2)];
            for k in 0..4 {
                let q = S::sub_bytes(S::or(lower::<S>(nibbles[k]), S::and(bits[k], two_bits)), offset);
                if S::IS_MIXED {
                    totals[k] = total::<S>(totals[k], q);
                }
                to.set::<S>(4 * (group + 2 * k) + i, rows, q);
            }
        }
        if S::IS_MIXED {
            for k in 0..4 {
                to.set_start::<S>(group + 2 * k, rows, totals[k]);
            }
        }
    }
}

impl Format for Q8 {
    type Column = RoundedBy32;
    const GROUP: usize = 32;
    const IS_SIGNED: bool = true;
    const HAS_MINIMA: bool = false;
    // Not even one fits: instruction sets with sums of 16 bits leave this type to llama.cpp.
    const STEPS: usize = 8;

    #[inline(always)]
    unsafe fn unpack<S: Simd>(rows: Rows, to: &mut Tile) {
        // SAFETY: as promised by the caller; eight times `d` and 32 weights.
        unsafe {
            for group in 0..8 {
                S::store_floats(to.scales[group].as_mut_ptr().add(rows.number), rows.halves::<S>(34 * group));
                let mut sum = S::splat(0);
                for half in 0..2 {
                    let q = rows.transpose::<S>(34 * group + 2 + 16 * half);
                    for i in 0..4 {
                        if S::IS_MIXED {
                            sum = total::<S>(sum, q[i]);
                        }
                        to.set::<S>(8 * group + 4 * half + i, rows, q[i]);
                    }
                }
                if S::IS_MIXED {
                    to.set_start::<S>(group, rows, sum);
                }
            }
        }
    }

    #[inline(always)]
    fn round(x: &[f32; BLOCK], is_unsigned: bool) -> RoundedBy32 {
        RoundedBy32::new(x, is_unsigned)
    }
}

/// Scales and minima of `Q4K` and `Q5K`: eight each of six bits, in twelve bytes. The first four of both are the lower
/// six bits of the first eight bytes. The last four of both consist of a nibble of the other bytes and the upper two
/// bits of the first eight. `d` and `d_min` come before.
///
/// # Safety
/// As [`Format::unpack`].
#[inline(always)]
unsafe fn groups_of_32<S: Simd>(rows: Rows, to: &mut Tile) {
    // SAFETY: as promised by the caller.
    unsafe {
        let [both, a, b, c] = rows.transpose::<S>(0);
        S::store_floats(to.d_min.as_mut_ptr().add(rows.number), floats::<S>(S::right(both, 16)));
        let d = floats::<S>(both);
        let (six, two) = (S::splat(0x3f3f_3f3f), S::splat(0x3030_3030));
        let scales = [S::and(a, six), S::or(lower::<S>(c), S::and(S::right(a, 2), two))];
        let minima = [S::and(b, six), S::or(lower::<S>(S::right(c, 4)), S::and(S::right(b, 2), two))];
        for i in 0..2 {
            to.set_scales::<S>(4 * i, rows, scales[i], d);
            let pairs = [minima[i], S::right(minima[i], 16)];
            for k in 0..2 {
                // Two bytes become two words.
                let first = S::and(pairs[k], S::splat(0xff));
                let second = S::left(S::and(pairs[k], S::splat(0xff00)), 8);
                S::store(to.minima[2 * i + k].as_mut_ptr().add(rows.number).cast(), S::or(first, second));
            }
        }
    }
}

/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn lower<S: Simd>(bytes: S::Ints) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe { S::and(bytes, S::splat(0x0f0f_0f0f)) }
}

/// Adds the four signed bytes of each lane.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn total<S: Simd>(sums: S::Ints, bytes: S::Ints) -> S::Ints {
    // SAFETY: as promised by the caller.
    unsafe { S::end(sums, S::dot(S::begin(sums), S::splat(0x0101_0101), bytes)) }
}

/// The f16 values in the lower halves of the lanes. Their bits are those of an f32 whose exponent is too small by 112.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn floats<S: Simd>(halves: S::Ints) -> S::Floats {
    // SAFETY: as promised by the caller.
    unsafe {
        let magnitude = S::left(S::and(halves, S::splat(0x7fff)), 13);
        let sign = S::left(S::and(halves, S::splat(0x8000)), 16);
        S::mul(S::as_floats(S::or(magnitude, sign)), S::splat_float(f32::from_bits((127 + 112) << 23)))
    }
}

impl Rows {
    /// Sixteen bytes of each row, `at` bytes from its start: first four of each, then the next four of each, and so on.
    ///
    /// # Safety
    /// The CPU has the instruction set, and the rows have these bytes.
    #[inline(always)]
    unsafe fn transpose<S: Simd>(self, at: usize) -> [S::Ints; 4] {
        // SAFETY: as promised by the caller.
        unsafe {
            let (from, row_bytes) = (self.first.add(at), self.row_bytes);
            let a = S::load_rows(from, row_bytes);
            let b = S::load_rows(from.add(row_bytes), row_bytes);
            let c = S::load_rows(from.add(2 * row_bytes), row_bytes);
            let d = S::load_rows(from.add(3 * row_bytes), row_bytes);
            let (ab, cd) = (S::zip_low(a, b), S::zip_low(c, d));
            let (ab_2, cd_2) = (S::zip_high(a, b), S::zip_high(c, d));
            [
                S::zip_low_pairs(ab, cd),
                S::zip_high_pairs(ab, cd),
                S::zip_low_pairs(ab_2, cd_2),
                S::zip_high_pairs(ab_2, cd_2),
            ]
        }
    }

    /// The f16 value of each row, `at` bytes from its start.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn halves<S: Simd>(self, at: usize) -> S::Floats {
        let mut halves = [0_u32; ROWS];
        // SAFETY: as promised by the caller.
        unsafe {
            for i in 0..S::LANES {
                halves[i] = self.first.add(i * self.row_bytes + at).cast::<u16>().read_unaligned().into();
            }
            floats::<S>(S::load(halves.as_ptr().cast()))
        }
    }
}

impl Tile {
    /// Of two steps, the even one comes first.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn set<S: Simd>(&mut self, step: usize, rows: Rows, q: S::Ints) {
        // SAFETY: as promised by the caller; the tile has these rows.
        unsafe {
            let to = self.q[step].as_mut_ptr().add(STEP * rows.number);
            if S::IS_PAIRED && !step.is_multiple_of(2) {
                let before = self.q[step - 1].as_mut_ptr().add(STEP * rows.number);
                let first = S::load(before);
                S::store(before, S::zip_low(first, q));
                S::store(to, S::zip_high(first, q));
            } else {
                S::store(to, q);
            }
        };
    }

    /// The scales of four groups, one byte of each lane for each.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn set_scales<S: Simd>(&mut self, group: usize, rows: Rows, bytes: S::Ints, d: S::Floats) {
        // SAFETY: as above.
        unsafe {
            let scales = [
                S::signed_right(S::left(bytes, 24), 24),
                S::signed_right(S::left(bytes, 16), 24),
                S::signed_right(S::left(bytes, 8), 24),
                S::signed_right(bytes, 24),
            ];
            for i in 0..4 {
                let to = self.scales[group + i].as_mut_ptr().add(rows.number);
                S::store_floats(to, S::mul(d, S::to_floats(scales[i])));
            }
        }
    }

    /// What sums of a group start with, given the total of its weights.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn set_start<S: Simd>(&mut self, group: usize, rows: Rows, total: S::Ints) {
        // SAFETY: as above.
        unsafe {
            let start = S::sub(S::splat(0), S::left(total, 7));
            S::store(self.start[group].as_mut_ptr().add(rows.number).cast(), start);
        }
    }
}
