//! Vectors of AVX-512 with VNNI.
#![allow(unsafe_op_in_unsafe_fn, reason = "all conditions are those of the trait")]
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::arch::x86_64::*;

use super::{Products, Simd, Softmax};

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
    /// In 40 instructions, 16 of them loads, instead of 48 and 32. Measured on Zen 5 only, which issues two loads and
    /// up to four shuffles in a cycle.
    #[inline(always)]
    unsafe fn transpose_two(from: *const u8, row_bytes: usize) -> [__m512i; 8] {
        // Each quarter has the `i`th or the `i + 4`th lanes of four rows.
        let first = transpose_eight_rows(from, row_bytes);
        let last = transpose_eight_rows(from.add(8 * row_bytes), row_bytes);
        let mut all = [first[0]; 8];
        for i in 0..4 {
            all[i] = _mm512_shuffle_i32x4::<0b10_00_10_00>(first[i], last[i]);
            all[i + 4] = _mm512_shuffle_i32x4::<0b11_01_11_01>(first[i], last[i]);
        }
        all
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

impl Softmax for Vectors512 {
    const SLICES_AT_ONCE: usize = 4;

    #[inline(always)]
    unsafe fn load_halves(from: *const u16) -> __m512 {
        _mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const i8) -> __m512 {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast())))
    }
    #[inline(always)]
    unsafe fn which_are(from: *const u16, word: u16) -> u32 {
        _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(from.cast()), _mm512_set1_epi16(word.cast_signed()))
    }
    #[inline(always)]
    unsafe fn dots<const STRIDE: usize>(x: *const f32, others: *const f32, n_slices: usize) -> __m512 {
        let mut sums = [_mm512_setzero_ps(); 16];
        for slice in 0..n_slices {
            let here = _mm512_loadu_ps(x.add(slice * 16));
            let others = others.add(slice * STRIDE * 16);
            for i in 0..16 {
                sums[i] = _mm512_fmadd_ps(here, _mm512_loadu_ps(others.add(i * 16)), sums[i]);
            }
        }
        // Each stage adds halves of two vectors, until the quarters of one have the sums of four.
        let mut fours = [_mm512_setzero_ps(); 4];
        for i in 0..4 {
            let [a, b, c, d] = [sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]];
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
            let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
            fours[i] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
        }
        add_quarters(add_quarters(fours[0], fours[1]), add_quarters(fours[2], fours[3]))
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub_floats(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn largest(a: __m512) -> f32 {
        _mm512_reduce_max_ps(a)
    }
    #[inline(always)]
    unsafe fn sum(a: __m512) -> f32 {
        _mm512_reduce_add_ps(a)
    }
    #[inline(always)]
    unsafe fn nearest(a: __m512) -> __m512i {
        _mm512_cvtps_epi32(a)
    }
    #[inline(always)]
    unsafe fn times_power(a: __m512, n: __m512i) -> __m512 {
        _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32::<23>(n)))
    }
    #[inline(always)]
    unsafe fn zero_below(a: __m512, x: __m512, least: __m512) -> __m512 {
        _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x, least), a)
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn fence(mut sums: __m512i) -> __m512i {
    std::arch::asm!("/* {0} */", inout(zmm_reg) sums, options(nostack, preserves_flags));
    sums
}

/// 32 bytes of eight rows: the first vector has the first lanes of rows 0 to 3, their fifth ones, and the same of rows
/// 4 to 7; the next one has their second and sixth lanes, and so on.
#[inline(always)]
unsafe fn transpose_eight_rows(from: *const u8, row_bytes: usize) -> [__m512i; 4] {
    let mut rows = [_mm512_setzero_si512(); 4];
    for i in 0..4 {
        let (row, other) = (from.add(i * row_bytes), from.add((i + 4) * row_bytes));
        let row = _mm512_castsi256_si512(_mm256_loadu_si256(row.cast()));
        rows[i] = _mm512_inserti64x4::<1>(row, _mm256_loadu_si256(other.cast()));
    }
    Vectors512::zip_four(rows)
}

/// Quarters 0 and 1 of `a`, 2 and 3 of `a`, and the same of `b`, added.
#[inline(always)]
unsafe fn add_quarters(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(_mm512_shuffle_f32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b))
}
