//! Columns, rounded as ggml rounds them. Without instructions of any set: the compiler finds the vectors. In loops:
//! `map` may be compiled apart from its caller, and products of Q8_0 then took a tenth longer.
#![expect(clippy::needless_range_loop, reason = "see above")]

use super::super::blocks::BLOCK;
use super::tile::Column;

/// A block of a column for weights of ggml's K types: `x = d * q`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in super::super) struct Rounded<const GROUPS: usize> {
    q: [i8; BLOCK],
    /// The sum of each group.
    sums: [i16; GROUPS],
    d: f32,
}

/// A block of a column for weights of ggml's older types: `x = d * q`, with a `d` for each 32.
#[repr(C)]
#[derive(Clone, Copy)]
pub(in super::super) struct RoundedBy32 {
    /// Plus 128 where one factor must be unsigned.
    q: [i8; BLOCK],
    /// As f16.
    d: [u16; 8],
}

impl<const GROUPS: usize> Column for Rounded<GROUPS> {
    #[inline(always)]
    fn q(&self) -> &[i8; BLOCK] {
        &self.q
    }

    #[inline(always)]
    fn scales(&self) -> [f32; 8] {
        [self.d; 8]
    }

    #[inline(always)]
    fn sums(&self) -> &[i16] {
        &self.sums
    }
}

impl Column for RoundedBy32 {
    #[inline(always)]
    fn q(&self) -> &[i8; BLOCK] {
        &self.q
    }

    #[inline(always)]
    fn scales(&self) -> [f32; 8] {
        let mut scales = [0.0; 8];
        for i in 0..8 {
            scales[i] = from_half(self.d[i]);
        }
        scales
    }

    #[inline(always)]
    fn sums(&self) -> &[i16] {
        &[]
    }
}

impl<const GROUPS: usize> Rounded<GROUPS> {
    /// As ggml's `quantize_row_q8_K`: the largest becomes -127.
    #[inline(always)]
    pub(super) fn new(x: &[f32; BLOCK]) -> Self {
        let (low, high) = bounds(x);
        let largest = if -low > high { low } else { high };
        let mut to = Self { q: [0; BLOCK], sums: [0; GROUPS], d: 0.0 };
        if largest != 0.0 {
            let scale = -127.0 / largest;
            to.d = 1.0 / scale;
            let n = BLOCK / GROUPS;
            for (i, sum) in to.sums.iter_mut().enumerate() {
                let mut total = 0;
                // In one loop, which is twice as fast as one for words, one for their sum, and one for bytes.
                for k in n * i..n * (i + 1) {
                    let word = nearest_product(x[k], scale).min(127);
                    total += word;
                    to.q[k] = word as i8;
                }
                *sum = total as i16;
            }
        }
        to
    }
}

impl RoundedBy32 {
    /// As ggml's `quantize_row_q8_0`, whose scale is rounded once on x86 and twice on Arm.
    #[inline(always)]
    pub(super) fn new(x: &[f32; BLOCK], is_unsigned: bool) -> Self {
        let mut to = Self { q: [0; BLOCK], d: [0; 8] };
        for ((x, q), d) in x.as_chunks::<32>().0.iter().zip(to.q.as_chunks_mut::<32>().0).zip(&mut to.d) {
            let (low, high) = bounds(x);
            let largest = if -low > high { -low } else { high };
            let inverse = if cfg!(target_arch = "aarch64") { 1.0 / (largest / 127.0) } else { 127.0 / largest };
            let scale = if largest == 0.0 { 0.0 } else { inverse };
            *d = to_half(largest / 127.0);
            for k in 0..32 {
                q[k] = nearest(x[k] * scale) as i8;
            }
        }
        move_up(&mut to.q, is_unsigned);
        to
    }
}

#[inline(always)]
fn move_up(q: &mut [i8; BLOCK], is_unsigned: bool) {
    if is_unsigned {
        for q in q {
            *q ^= i8::MIN;
        }
    }
}

/// The smallest and the largest.
#[inline(always)]
fn bounds<const N: usize>(x: &[f32; N]) -> (f32, f32) {
    let (mut low, mut high) = ([0.0_f32; 16], [0.0_f32; 16]);
    for x in x.as_chunks::<16>().0 {
        for k in 0..16 {
            low[k] = if x[k] < low[k] { x[k] } else { low[k] };
            high[k] = if x[k] > high[k] { x[k] } else { high[k] };
        }
    }
    let mut n = 8;
    while n > 0 {
        for k in 0..n {
            low[k] = if low[k + n] < low[k] { low[k + n] } else { low[k] };
            high[k] = if high[k + n] > high[k] { high[k + n] } else { high[k] };
        }
        n /= 2;
    }
    (low[0], high[0])
}

/// In the sum with this, the last bit of the fraction of a small number is worth one.
const UP: f32 = 12_582_912.0;

/// The nearest integer of a small number, ties to even.
#[inline(always)]
fn nearest(x: f32) -> i32 {
    (x + UP).to_bits().cast_signed() - UP.to_bits().cast_signed()
}

/// The same of a product. GCC compiles ggml's to a multiplication and the sum, but to one fused instruction on Arm.
#[inline(always)]
fn nearest_product(a: f32, b: f32) -> i32 {
    if cfg!(target_arch = "aarch64") {
        return a.mul_add(b, UP).to_bits().cast_signed() - UP.to_bits().cast_signed();
    }
    nearest(a * b)
}

/// A positive, finite number that is small enough, as f16 with ties to even.
#[inline(always)]
fn to_half(x: f32) -> u16 {
    // Dividing by 2^112 makes the exponent that of an f16. Numbers below its smallest normal one become f32 numbers
    // that are not normal either, and the division rounds them; but at another bit than wanted.
    let bits = x.to_bits();
    if bits < (127 - 14) << 23 {
        // In the sum, the last bit of the fraction is worth the smallest f16.
        let up = f32::from_bits((127 - 1) << 23);
        return ((x + up).to_bits() - up.to_bits()) as u16;
    }
    let bits = bits - (112 << 23);
    ((bits + 0xfff + (bits >> 13 & 1)) >> 13) as u16
}

/// A positive, finite f16. Without a multiplication of a number that is not normal, which takes a CPU long.
#[inline(always)]
fn from_half(bits: u16) -> f32 {
    let smallest = f32::from_bits((127 - 24) << 23);
    match bits & 0x7c00 {
        0 => f32::from(bits) * smallest,
        _ => f32::from_bits((u32::from(bits) << 13) + (112 << 23)),
    }
}
