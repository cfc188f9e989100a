//! Vectors of AVX-512 with VNNI.
#![allow(unsafe_op_in_unsafe_fn, reason = "all conditions are those of the trait")]

use std::arch::x86_64::*;

use super::{Products, Simd};

/// 512 bits.
#[derive(Clone, Copy)]
pub(in super::super) struct Vectors512;

impl Simd for Vectors512 {
    const LANES: usize = 16;
    const IS_MIXED: bool = true;
    const IS_PAIRED: bool = false;
    type Ints = __m512i;
    type Floats = __m512;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m512i {
        _mm512_loadu_si512(from.cast())
    }
    #[inline(always)]
    unsafe fn store(to: *mut u8, ints: __m512i) {
        _mm512_storeu_si512(to.cast(), ints)
    }
    #[inline(always)]
    unsafe fn store_floats(to: *mut f32, floats: __m512) {
        _mm512_storeu_ps(to, floats)
    }
    #[inline(always)]
    unsafe fn load_rows(from: *const u8, row_bytes: usize) -> __m512i {
        let rows = _mm512_castsi128_si512(_mm_loadu_si128(from.cast()));
        let rows = _mm512_inserti32x4::<1>(rows, _mm_loadu_si128(from.add(4 * row_bytes).cast()));
        let rows = _mm512_inserti32x4::<2>(rows, _mm_loadu_si128(from.add(8 * row_bytes).cast()));
        _mm512_inserti32x4::<3>(rows, _mm_loadu_si128(from.add(12 * row_bytes).cast()))
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> __m512i {
        _mm512_set1_epi32(value)
    }
    #[inline(always)]
    unsafe fn splat_float(value: f32) -> __m512 {
        _mm512_set1_ps(value)
    }
    #[inline(always)]
    unsafe fn and(a: __m512i, b: __m512i) -> __m512i {
        _mm512_and_si512(a, b)
    }
    #[inline(always)]
    unsafe fn or(a: __m512i, b: __m512i) -> __m512i {
        _mm512_or_si512(a, b)
    }
    #[inline(always)]
    unsafe fn left(a: __m512i, n: i32) -> __m512i {
        _mm512_sll_epi32(a, _mm_cvtsi32_si128(n))
    }
    #[inline(always)]
    unsafe fn right(a: __m512i, n: i32) -> __m512i {
        _mm512_srl_epi32(a, _mm_cvtsi32_si128(n))
    }
    #[inline(always)]
    unsafe fn signed_right(a: __m512i, n: i32) -> __m512i {
        _mm512_sra_epi32(a, _mm_cvtsi32_si128(n))
    }
    #[inline(always)]
    unsafe fn signed_right_words(a: __m512i) -> __m512i {
        _mm512_srai_epi16::<8>(a)
    }
    #[inline(always)]
    unsafe fn sub(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn sub_bytes(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi8(a, b)
    }
    #[inline(always)]
    unsafe fn pick(bytes: __m512i, at: [u8; 4]) -> __m512i {
        let of_lane = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x0404_0404, 0x0808_0808, 0x0c0c_0c0c));
        _mm512_shuffle_epi8(bytes, _mm512_add_epi32(of_lane, _mm512_set1_epi32(i32::from_le_bytes(at))))
    }
    #[inline(always)]
    unsafe fn look_up(table: &[i8; 16], bytes: __m512i) -> __m512i {
        _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())), bytes)
    }
    #[inline(always)]
    unsafe fn zip_low(a: __m512i, b: __m512i) -> __m512i {
        _mm512_unpacklo_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn zip_high(a: __m512i, b: __m512i) -> __m512i {
        _mm512_unpackhi_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn zip_low_pairs(a: __m512i, b: __m512i) -> __m512i {
        _mm512_unpacklo_epi64(a, b)
    }
    #[inline(always)]
    unsafe fn zip_high_pairs(a: __m512i, b: __m512i) -> __m512i {
        _mm512_unpackhi_epi64(a, b)
    }
    #[inline(always)]
    unsafe fn dot(sums: __m512i, unsigned: __m512i, signed: __m512i) -> __m512i {
        _mm512_dpbusd_epi32(sums, unsigned, signed)
    }
    #[inline(always)]
    unsafe fn from_halves(a: __m512i) -> __m512 {
        _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a))
    }
}

impl Products for Vectors512 {
    const MOST_COLUMNS: usize = 6;

    #[inline(always)]
    unsafe fn load_floats(from: *const f32) -> __m512 {
        _mm512_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn fence(sums: __m512i) -> __m512i {
        fence(sums)
    }
    #[inline(always)]
    unsafe fn dot_words(sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
        _mm512_dpwssd_epi32(sums, a, b)
    }
    #[inline(always)]
    unsafe fn add_products_scaled(sums: __m512i, products: __m512i, scales: __m512i) -> __m512i {
        _mm512_add_epi32(sums, _mm512_mullo_epi32(products, scales))
    }
    #[inline(always)]
    unsafe fn to_floats(a: __m512i) -> __m512 {
        _mm512_cvtepi32_ps(a)
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn add_product(sum: __m512, a: __m512, b: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, sum)
    }
    #[inline(always)]
    unsafe fn sub_product(sum: __m512, a: __m512, b: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, sum)
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn fence(mut sums: __m512i) -> __m512i {
    std::arch::asm!("/* {0} */", inout(zmm_reg) sums, options(nostack, preserves_flags));
    sums
}
