//! Vectors of AVX2: with VNNI, without, and with AVX-512 for vectors of this length.
#![allow(unsafe_op_in_unsafe_fn, reason = "all conditions are those of the trait")]
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::arch::x86_64::*;

use super::{Products, Simd, Softmax};

/// 256 bits. With AVX-512 they have its VNNI, and 32 registers.
#[derive(Clone, Copy)]
pub(in super::super) struct Vectors256<const HAS_VNNI: bool, const HAS_AVX512: bool = false>;

impl<const HAS_VNNI: bool, const HAS_AVX512: bool> Simd for Vectors256<HAS_VNNI, HAS_AVX512> {
    const LANES: usize = 8;
    const IS_MIXED: bool = true;
    const IS_PAIRED: bool = false;
    const SUMS_WORDS: bool = !HAS_VNNI;
    type Ints = __m256i;
    type Floats = __m256;
    #[inline(always)]
    unsafe fn load(from: *const u8) -> __m256i {
        _mm256_loadu_si256(from.cast())
    }
    #[inline(always)]
    unsafe fn store(to: *mut u8, ints: __m256i) {
        _mm256_storeu_si256(to.cast(), ints)
    }
    #[inline(always)]
    unsafe fn store_floats(to: *mut f32, floats: __m256) {
        _mm256_storeu_ps(to, floats)
    }
    #[inline(always)]
    unsafe fn load_rows(from: *const u8, row_bytes: usize) -> __m256i {
        let rows = _mm256_castsi128_si256(_mm_loadu_si128(from.cast()));
        _mm256_inserti128_si256::<1>(rows, _mm_loadu_si128(from.add(4 * row_bytes).cast()))
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> __m256i {
        _mm256_set1_epi32(value)
    }
    #[inline(always)]
    unsafe fn splat_float(value: f32) -> __m256 {
        _mm256_set1_ps(value)
    }
    #[inline(always)]
    unsafe fn and(a: __m256i, b: __m256i) -> __m256i {
        _mm256_and_si256(a, b)
    }
    #[inline(always)]
    unsafe fn or(a: __m256i, b: __m256i) -> __m256i {
        _mm256_or_si256(a, b)
    }
    #[inline(always)]
    unsafe fn left(a: __m256i, n: i32) -> __m256i {
        _mm256_sll_epi32(a, _mm_cvtsi32_si128(n))
    }
    #[inline(always)]
    unsafe fn right(a: __m256i, n: i32) -> __m256i {
        _mm256_srl_epi32(a, _mm_cvtsi32_si128(n))
    }
    #[inline(always)]
    unsafe fn signed_right(a: __m256i, n: i32) -> __m256i {
        _mm256_sra_epi32(a, _mm_cvtsi32_si128(n))
    }
    #[inline(always)]
    unsafe fn signed_right_words(a: __m256i) -> __m256i {
        _mm256_srai_epi16::<8>(a)
    }
    #[inline(always)]
    unsafe fn sub(a: __m256i, b: __m256i) -> __m256i {
        _mm256_sub_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn sub_bytes(a: __m256i, b: __m256i) -> __m256i {
        _mm256_sub_epi8(a, b)
    }
    #[inline(always)]
    unsafe fn pick(bytes: __m256i, at: [u8; 4]) -> __m256i {
        let of_lane = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x0404_0404, 0x0808_0808, 0x0c0c_0c0c));
        _mm256_shuffle_epi8(bytes, _mm256_add_epi32(of_lane, _mm256_set1_epi32(i32::from_le_bytes(at))))
    }
    #[inline(always)]
    unsafe fn look_up(table: &[i8; 16], bytes: __m256i) -> __m256i {
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast())), bytes)
    }
    #[inline(always)]
    unsafe fn zip_low(a: __m256i, b: __m256i) -> __m256i {
        _mm256_unpacklo_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn zip_high(a: __m256i, b: __m256i) -> __m256i {
        _mm256_unpackhi_epi32(a, b)
    }
    #[inline(always)]
    unsafe fn zip_low_pairs(a: __m256i, b: __m256i) -> __m256i {
        _mm256_unpacklo_epi64(a, b)
    }
    #[inline(always)]
    unsafe fn zip_high_pairs(a: __m256i, b: __m256i) -> __m256i {
        _mm256_unpackhi_epi64(a, b)
    }
    #[inline(always)]
    unsafe fn dot(sums: __m256i, unsigned: __m256i, signed: __m256i) -> __m256i {
        if HAS_AVX512 {
            _mm256_dpbusd_epi32(sums, unsigned, signed)
        } else if HAS_VNNI {
            _mm256_dpbusd_avx_epi32(sums, unsigned, signed)
        } else {
            _mm256_add_epi16(sums, _mm256_maddubs_epi16(unsigned, signed))
        }
    }
    #[inline(always)]
    unsafe fn from_halves(a: __m256i) -> __m256 {
        let words = _mm256_and_si256(a, _mm256_set1_epi32(0xffff));
        let words = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(words, words));
        _mm256_cvtph_ps(_mm256_castsi256_si128(words))
    }
}

impl<const HAS_VNNI: bool, const HAS_AVX512: bool> Products for Vectors256<HAS_VNNI, HAS_AVX512> {
    const MOST_COLUMNS: usize = 3;

    #[inline(always)]
    unsafe fn load_floats(from: *const f32) -> __m256 {
        _mm256_loadu_ps(from)
    }
    #[inline(always)]
    unsafe fn fence(sums: __m256i) -> __m256i {
        fence(sums)
    }
    #[inline(always)]
    unsafe fn dot_words(sums: __m256i, a: __m256i, b: __m256i) -> __m256i {
        _mm256_add_epi32(sums, _mm256_madd_epi16(a, b))
    }
    #[inline(always)]
    unsafe fn add_products_scaled(sums: __m256i, products: __m256i, scales: __m256i) -> __m256i {
        match HAS_VNNI {
            true => _mm256_add_epi32(sums, _mm256_mullo_epi32(products, scales)),
            false => Self::dot_words(sums, products, scales),
        }
    }
    #[inline(always)]
    unsafe fn to_floats(a: __m256i) -> __m256 {
        _mm256_cvtepi32_ps(a)
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        _mm256_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn add_product(sum: __m256, a: __m256, b: __m256) -> __m256 {
        _mm256_fmadd_ps(a, b, sum)
    }
    #[inline(always)]
    unsafe fn sub_product(sum: __m256, a: __m256, b: __m256) -> __m256 {
        _mm256_fnmadd_ps(a, b, sum)
    }
}

impl<const HAS_VNNI: bool, const HAS_AVX512: bool> Softmax for Vectors256<HAS_VNNI, HAS_AVX512> {
    const SLICES_AT_ONCE: usize = 2;

    #[inline(always)]
    unsafe fn load_halves(from: *const u16) -> __m256 {
        _mm256_cvtph_ps(_mm_loadu_si128(from.cast()))
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const i8) -> __m256 {
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast())))
    }
    #[inline(always)]
    unsafe fn which_are(from: *const u16, word: u16) -> u32 {
        let word = _mm256_set1_epi16(word.cast_signed());
        let low = _mm256_cmpeq_epi16(_mm256_loadu_si256(from.cast()), word);
        let high = _mm256_cmpeq_epi16(_mm256_loadu_si256(from.add(16).cast()), word);
        let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
        _mm256_movemask_epi8(bytes).cast_unsigned()
    }
    #[inline(always)]
    unsafe fn dots<const STRIDE: usize>(x: *const f32, others: *const f32, n_slices: usize) -> __m256 {
        let mut sums = [_mm256_setzero_ps(); 8];
        for slice in 0..n_slices {
            let here = _mm256_loadu_ps(x.add(slice * 8));
            let others = others.add(slice * STRIDE * 8);
            for i in 0..8 {
                sums[i] = _mm256_fmadd_ps(here, _mm256_loadu_ps(others.add(i * 8)), sums[i]);
            }
        }
        let (a, b) = (_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
        let (c, d) = (_mm256_hadd_ps(sums[4], sums[5]), _mm256_hadd_ps(sums[6], sums[7]));
        let (low, high) = (_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        _mm256_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub_floats(a: __m256, b: __m256) -> __m256 {
        _mm256_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        _mm256_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn largest(a: __m256) -> f32 {
        let a = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let a = _mm_max_ps(a, _mm_movehl_ps(a, a));
        _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)))
    }
    #[inline(always)]
    unsafe fn sum(a: __m256) -> f32 {
        let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
        _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)))
    }
    #[inline(always)]
    unsafe fn nearest(a: __m256) -> __m256i {
        _mm256_cvtps_epi32(a)
    }
    #[inline(always)]
    unsafe fn times_power(a: __m256, n: __m256i) -> __m256 {
        _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32::<23>(n)))
    }
    #[inline(always)]
    unsafe fn zero_below(a: __m256, x: __m256, least: __m256) -> __m256 {
        _mm256_and_ps(a, _mm256_cmp_ps::<_CMP_NLT_UQ>(x, least))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
unsafe fn fence(mut sums: __m256i) -> __m256i {
    std::arch::asm!("/* {0} */", inout(ymm_reg) sums, options(nostack, preserves_flags));
    sums
}
