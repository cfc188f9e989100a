//! NEON with dotprod: rows of quantized weights times a few columns, row by row. Knows no tensors and no threads.
//!
//! A row is read once, whatever the number of columns: 64 weights at a time are unpacked into registers, and each
//! column costs four 16-byte multiplications.

use std::arch::aarch64::*;

use crate::blocks::{Q4K, Q5K, Q6K};
use crate::simd::LINE;
use crate::simd::neon::{dot, half, prefetch};
use crate::tiles::{Column, Format};

/// Most columns per pass: what fits into 32 registers beside the weights.
const MOST_COLUMNS: usize = 8;

/// Prefetch distance in bytes: what was best on x86, for rows that are read one after the other.
const AHEAD: usize = 4096;

/// Weights that are unpacked here.
pub(super) trait Unpack: Format {
    /// What all weights of the block share.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn shared(&self) -> Shared;

    /// The `quarter`th 64 weights, in the order of the activations.
    ///
    /// # Safety
    /// The CPU has the instruction set, and `quarter` is below four.
    unsafe fn unpack(&self, quarter: usize) -> [int8x16_t; 4];
}

/// `w = d * scale * q - d_min * minimum`.
pub(super) struct Shared {
    d: f32,
    /// One for each group.
    scales: [i8; 16],
    d_min: f32,
    /// One for each 32 weights.
    minima: int16x8_t,
}

impl Unpack for Q4K {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn shared(&self) -> Shared {
        groups_of_32(self.d, self.d_min, &self.scales)
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn unpack(&self, quarter: usize) -> [int8x16_t; 4] {
        // SAFETY: 32 of 128 bytes.
        let q = unsafe { vld1q_u8_x2(self.q.as_ptr().add(32 * quarter)) };
        [lower(q.0), lower(q.1), upper(q.0), upper(q.1)].map(|q| vreinterpretq_s8_u8(q))
    }
}

impl Unpack for Q5K {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn shared(&self) -> Shared {
        groups_of_32(self.d, self.d_min, &self.scales)
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn unpack(&self, quarter: usize) -> [int8x16_t; 4] {
        // SAFETY: 32 of 128 bytes, and 32 bytes.
        let (q, high) = unsafe { (vld1q_u8_x2(self.q.as_ptr().add(32 * quarter)), vld1q_u8_x2(self.high.as_ptr())) };
        // Bit i of byte k is the fifth bit of weight k in group i. It moves to the lowest bit, and from there up.
        let fifth = |high, group: usize| {
            let bit = vandq_u8(vshlq_u8(high, vdupq_n_s8(-(group as i8))), vdupq_n_u8(1));
            vshlq_n_u8::<4>(bit)
        };
        let (first, second) = (2 * quarter, 2 * quarter + 1);
        [
            vorrq_u8(lower(q.0), fifth(high.0, first)),
            vorrq_u8(lower(q.1), fifth(high.1, first)),
            vorrq_u8(upper(q.0), fifth(high.0, second)),
            vorrq_u8(upper(q.1), fifth(high.1, second)),
        ]
        .map(|q| vreinterpretq_s8_u8(q))
    }
}

impl Unpack for Q6K {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn shared(&self) -> Shared {
        Shared { d: half(self.d), scales: self.scales, d_min: 0.0, minima: vdupq_n_s16(0) }
    }

    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn unpack(&self, quarter: usize) -> [int8x16_t; 4] {
        let (in_half, is_upper) = (quarter / 2, quarter % 2 == 1);
        // SAFETY: 64 of 128 and 32 of 64 bytes.
        let (q, high) = unsafe {
            (vld1q_u8_x4(self.low.as_ptr().add(64 * in_half)), vld1q_u8_x2(self.high.as_ptr().add(32 * in_half)))
        };
        // The upper two bits of four weights share a byte: those of the first and second quarter are the lower ones.
        let pair = |high, at: i8| vshlq_n_u8::<4>(vandq_u8(vshlq_u8(high, vdupq_n_s8(-at)), vdupq_n_u8(3)));
        let nibbles = |bytes| if is_upper { upper(bytes) } else { lower(bytes) };
        let at = if is_upper { 4 } else { 0 };
        [
            vorrq_u8(nibbles(q.0), pair(high.0, at)),
            vorrq_u8(nibbles(q.1), pair(high.1, at)),
            vorrq_u8(nibbles(q.2), pair(high.0, at + 2)),
            vorrq_u8(nibbles(q.3), pair(high.1, at + 2)),
        ]
        .map(|q| vsubq_s8(vreinterpretq_s8_u8(q), vdupq_n_s8(32)))
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn lower(bytes: uint8x16_t) -> uint8x16_t {
    vandq_u8(bytes, vdupq_n_u8(0x0f))
}

#[inline]
#[target_feature(enable = "neon")]
fn upper(bytes: uint8x16_t) -> uint8x16_t {
    vshrq_n_u8::<4>(bytes)
}

/// The eight scales and the eight minima of `Q4K` and `Q5K`, a byte each: six bits of twelve bytes. The first four of
/// both are the lower six bits of the first eight bytes. The last four of both consist of a nibble of the other bytes
/// and the upper two bits of the first eight.
#[inline]
fn scales_and_minima(packed: &[u8; 12]) -> [u64; 2] {
    let word = |i: usize| u32::from_le_bytes([packed[i], packed[i + 1], packed[i + 2], packed[i + 3]]);
    let (a, b, c) = (word(0), word(4), word(8));
    let six = 0x3f3f_3f3f;
    let upper = |word: u32| ((word >> 6) & 0x0303_0303) << 4;
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    [join(a & six, (c & 0x0f0f_0f0f) | upper(a)), join(b & six, ((c >> 4) & 0x0f0f_0f0f) | upper(b))]
}

/// Common to `Q4K` and `Q5K`.
#[inline]
#[target_feature(enable = "neon")]
fn groups_of_32(d: u16, d_min: u16, packed: &[u8; 12]) -> Shared {
    let [scales, minima] = scales_and_minima(packed);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&scales.to_le_bytes().map(u8::cast_signed));
    Shared { d: half(d), scales: bytes, d_min: half(d_min), minima: vmovl_s8(vcreate_s8(minima)) }
}

/// The products of one row with `columns.len() / row.len()` columns; `store` is called with a column's number and its
/// product.
///
/// # Safety
/// The CPU has the instruction set, and `columns` holds whole columns of as many blocks as the row.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn row<W: Unpack>(row: &[W], columns: &[W::Column], mut store: impl FnMut(usize, f32)) {
    let per_go = row.len() * MOST_COLUMNS;
    for (i, columns) in columns.chunks(per_go).enumerate() {
        let mut keep = |products: &[f32]| {
            products.iter().enumerate().for_each(|(column, &product)| store(i * MOST_COLUMNS + column, product))
        };
        // SAFETY: as promised by the caller; each arm has as many columns as it says.
        unsafe {
            match columns.len() / row.len() {
                1 => keep(&products::<W, 1>(row, columns)),
                2 => keep(&products::<W, 2>(row, columns)),
                3 => keep(&products::<W, 3>(row, columns)),
                4 => keep(&products::<W, 4>(row, columns)),
                5 => keep(&products::<W, 5>(row, columns)),
                6 => keep(&products::<W, 6>(row, columns)),
                7 => keep(&products::<W, 7>(row, columns)),
                _ => keep(&products::<W, 8>(row, columns)),
            }
        }
    }
}

/// # Safety
/// As [`row`], with N columns.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn products<W: Unpack, const N: usize>(row: &[W], columns: &[W::Column]) -> [f32; N] {
    let n_blocks = row.len();
    debug_assert_eq!(columns.len(), N * n_blocks);
    let mut sums = [0.0_f32; N];
    for (i, block) in row.iter().enumerate() {
        let ahead = std::ptr::from_ref(block).cast::<u8>().wrapping_add(AHEAD);
        for line in 0..size_of::<W>().div_ceil(LINE) {
            prefetch(ahead.wrapping_add(LINE * line));
        }
        // SAFETY: as promised by the caller; n < N and i < n_blocks; four quarters of 64 activations.
        unsafe {
            let column = |n: usize| columns.get_unchecked(n * n_blocks + i);
            let shared = block.shared();
            let mut products = [vdupq_n_s32(0); N];
            for quarter in 0..4 {
                let q = block.unpack(quarter);
                let scale = |i: usize| vdupq_n_s32(shared.scales[64 / W::GROUP * quarter + i].into());
                let scales = [scale(0), scale(1), scale(2 % (64 / W::GROUP)), scale(3 % (64 / W::GROUP))];
                for (n, product) in products.iter_mut().enumerate() {
                    *product = add::<W>(*product, &q, &scales, column(n).q().as_ptr().add(64 * quarter));
                }
            }
            // Rounded as in tiles.
            for (n, sum) in sums.iter_mut().enumerate() {
                let mut product = vaddvq_s32(products[n]) as f32 * shared.d;
                if W::HAS_MINIMA {
                    let x = vld1q_s16(column(n).sums().as_ptr());
                    let minima = vmull_s16(vget_low_s16(x), vget_low_s16(shared.minima));
                    let minima = vaddvq_s32(vmlal_high_s16(minima, x, shared.minima));
                    product = (-(minima as f32)).mul_add(shared.d_min, product);
                }
                *sum = product.mul_add(column(n).scales()[0], *sum);
            }
        }
    }
    sums
}

/// Adds the products of 64 weights, times their scales.
///
/// # Safety
/// The CPU has the instruction set, and there are 64 activations.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn add<W: Unpack>(
    mut product: int32x4_t,
    q: &[int8x16_t; 4],
    scales: &[int32x4_t; 4],
    x: *const i8,
) -> int32x4_t {
    // SAFETY: as promised by the caller.
    unsafe {
        let x = vld1q_s8_x4(x);
        let none = vdupq_n_s32(0);
        if W::GROUP == 32 {
            product = vmlaq_s32(product, dot(dot(none, q[0], x.0), q[1], x.1), scales[0]);
            vmlaq_s32(product, dot(dot(none, q[2], x.2), q[3], x.3), scales[1])
        } else {
            product = vmlaq_s32(product, dot(none, q[0], x.0), scales[0]);
            product = vmlaq_s32(product, dot(none, q[1], x.1), scales[1]);
            product = vmlaq_s32(product, dot(none, q[2], x.2), scales[2]);
            vmlaq_s32(product, dot(none, q[3], x.3), scales[3])
        }
    }
}
