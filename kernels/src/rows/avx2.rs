//! AVX2: rows of quantized weights times a few columns. Knows no tensors and no threads.
//!
//! A row is read once, whatever the number of columns: 64 weights at a time are unpacked into registers, and each
//! column costs two multiplications for 32 of them, one with the weights and one with their scales.

use std::arch::x86_64::*;

use super::{Kernel, half};
use crate::blocks::{BLOCK, Q4K, Q5K, Q6K, scales_and_minima};
use crate::tiles::{Column, Format};

/// With the extensions F16C and FMA.
pub(crate) struct Avx2;

/// Most columns per pass: what fits into 16 registers beside the weights. With eight, eight columns take as long and
/// sixteen 8 % longer.
const MOST_COLUMNS: usize = 4;

/// Prefetch distance in bytes, as measured with AVX-512.
const AHEAD: usize = 4096;
const LINE: usize = 64;

/// A block of a column: 256 activations as bytes, `x = d * q`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(crate) struct Activations {
    q: [i8; BLOCK],
    /// Sums of 16 activations each, for the offset that all weights of a group share.
    sums: [i16; 16],
    d: f32,
}

/// Weights that this kernel can unpack.
trait Unpack: Format {
    /// What all weights of the block share.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn shared(&self) -> Shared;

    /// The `quarter`th 64 weights, in the order of the activations.
    ///
    /// # Safety
    /// The CPU has the instruction set, and `quarter` is below four.
    unsafe fn unpack(&self, quarter: usize) -> [__m256i; 2];
}

/// `w = d * scale * q - d_common * common`, scale and common per 16 or 32 weights.
struct Shared {
    /// Words: for each 32 weights the scales of the first and the second sixteen, twice each.
    scales: [[i16; 4]; 8],
    /// Words, one for each of the sums.
    common: __m256i,
    d: f32,
    d_common: f32,
}

impl Unpack for Q4K {
    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn shared(&self) -> Shared {
        groups_of_32(self.d, self.d_min, &self.scales)
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn unpack(&self, quarter: usize) -> [__m256i; 2] {
        // SAFETY: 32 of 128 bytes.
        nibbles(unsafe { _mm256_loadu_si256(self.q.as_ptr().add(32 * quarter).cast()) })
    }
}

impl Unpack for Q5K {
    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn shared(&self) -> Shared {
        groups_of_32(self.d, self.d_min, &self.scales)
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn unpack(&self, quarter: usize) -> [__m256i; 2] {
        // SAFETY: 32 of 128 bytes, and 32 bytes.
        let (q, high) = unsafe {
            let q = _mm256_loadu_si256(self.q.as_ptr().add(32 * quarter).cast());
            (q, _mm256_loadu_si256(self.high.as_ptr().cast()))
        };
        // Bit i of byte k is the fifth bit of weight k in group i. It moves to bit 4.
        let fifth = |group: usize| {
            let down = _mm256_srl_epi16(high, _mm_cvtsi32_si128(group as i32));
            _mm256_slli_epi16::<4>(_mm256_and_si256(down, _mm256_set1_epi8(1)))
        };
        let [low, up] = nibbles(q);
        [_mm256_or_si256(low, fifth(2 * quarter)), _mm256_or_si256(up, fifth(2 * quarter + 1))]
    }
}

impl Unpack for Q6K {
    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn shared(&self) -> Shared {
        // SAFETY: sixteen bytes.
        let common = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(self.scales.as_ptr().cast()) });
        let (low, high) = (_mm256_unpacklo_epi16(common, common), _mm256_unpackhi_epi16(common, common));
        let mut scales = [[0; 4]; 8];
        // SAFETY: four times eight of 32 words.
        unsafe {
            let to = scales.as_mut_ptr().cast::<__m128i>();
            _mm_storeu_si128(to, _mm256_castsi256_si128(low));
            _mm_storeu_si128(to.add(1), _mm256_castsi256_si128(high));
            _mm_storeu_si128(to.add(2), _mm256_extracti128_si256::<1>(low));
            _mm_storeu_si128(to.add(3), _mm256_extracti128_si256::<1>(high));
        }
        let d = half(self.d);
        Shared { scales, common, d, d_common: 32.0 * d }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn unpack(&self, quarter: usize) -> [__m256i; 2] {
        let (in_half, is_upper) = (quarter / 2, quarter % 2 == 1);
        // SAFETY: 64 of 128 and 32 of 64 bytes.
        let (first, second, pairs) = unsafe {
            let low = self.low.as_ptr().add(64 * in_half);
            let pairs = _mm256_loadu_si256(self.high.as_ptr().add(32 * in_half).cast());
            (_mm256_loadu_si256(low.cast()), _mm256_loadu_si256(low.add(32).cast()), pairs)
        };
        // The upper two bits of four weights share a byte: those of the first and second quarter are the lower ones.
        let two = _mm256_set1_epi8(0x30);
        match is_upper {
            false => [
                _mm256_or_si256(lower(first), _mm256_and_si256(_mm256_slli_epi16::<4>(pairs), two)),
                _mm256_or_si256(lower(second), _mm256_and_si256(_mm256_slli_epi16::<2>(pairs), two)),
            ],
            true => [
                _mm256_or_si256(lower(_mm256_srli_epi16::<4>(first)), _mm256_and_si256(pairs, two)),
                _mm256_or_si256(
                    lower(_mm256_srli_epi16::<4>(second)),
                    _mm256_and_si256(_mm256_srli_epi16::<2>(pairs), two),
                ),
            ],
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn lower(bytes: __m256i) -> __m256i {
    _mm256_and_si256(bytes, _mm256_set1_epi8(0x0f))
}

/// Lower and upper nibbles.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(bytes: __m256i) -> [__m256i; 2] {
    [lower(bytes), lower(_mm256_srli_epi16::<4>(bytes))]
}

/// Common to `Q4K` and `Q5K`.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn groups_of_32(d: u16, d_min: u16, packed: &[u8; 12]) -> Shared {
    let [scales, minima] = scales_and_minima(packed).map(|bytes| _mm_cvtsi64_si128(bytes.cast_signed()));
    let scales = _mm_cvtepu8_epi16(scales);
    let (low, high) = (_mm_unpacklo_epi16(scales, scales), _mm_unpackhi_epi16(scales, scales));
    let mut four = [[0; 4]; 8];
    // SAFETY: four times eight of 32 words.
    unsafe {
        let to = four.as_mut_ptr().cast::<__m128i>();
        _mm_storeu_si128(to, _mm_unpacklo_epi32(low, low));
        _mm_storeu_si128(to.add(1), _mm_unpackhi_epi32(low, low));
        _mm_storeu_si128(to.add(2), _mm_unpacklo_epi32(high, high));
        _mm_storeu_si128(to.add(3), _mm_unpackhi_epi32(high, high));
    }
    // Minima twice, because each sum is of 16 activations.
    let common = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(minima, minima));
    Shared { scales: four, common, d: half(d), d_common: half(d_min) }
}

impl<W: Unpack> Kernel<W> for Avx2 {
    type Column = Activations;

    /// As for tiles, with sums of sixteen.
    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn round(x: &[f32; BLOCK], to: &mut Activations) {
        let rounded = <Q4K as Format>::round(x, false);
        (to.q, to.d) = (*rounded.q(), rounded.scales()[0]);
        for (sum, q) in to.sums.iter_mut().zip(to.q.as_chunks::<16>().0) {
            *sum = q.iter().map(|&q| i16::from(q)).sum();
        }
    }

    #[target_feature(enable = "avx2,f16c,fma")]
    unsafe fn row(row: &[W], columns: &[Activations], mut store: impl FnMut(usize, f32)) {
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
                    _ => keep(&products::<W, 4>(row, columns)),
                }
            }
        }
    }
}

/// # Safety
/// As [`Kernel::row`], with N columns.
#[inline]
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn products<W: Unpack, const N: usize>(row: &[W], columns: &[Activations]) -> [f32; N] {
    let n_blocks = row.len();
    debug_assert_eq!(columns.len(), N * n_blocks);
    let mut sums = [_mm256_setzero_ps(); N];
    for (i, block) in row.iter().enumerate() {
        let ahead = std::ptr::from_ref(block).cast::<i8>().wrapping_add(AHEAD);
        for line in 0..size_of::<W>().div_ceil(LINE) {
            // A prefetch past the end of the weights has no effect.
            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(LINE * line));
        }
        // SAFETY: as promised by the caller; n < N and i < n_blocks; four quarters of 64 aligned activations.
        unsafe {
            let column = |n: usize| columns.get_unchecked(n * n_blocks + i);
            let shared = block.shared();
            let mut products = [_mm256_setzero_si256(); N];
            for quarter in 0..4 {
                let q = block.unpack(quarter);
                let scales = [scales::<W>(&shared, 2 * quarter), scales::<W>(&shared, 2 * quarter + 1)];
                for (n, product) in products.iter_mut().enumerate() {
                    let x = column(n).q.as_ptr().add(64 * quarter).cast::<__m256i>();
                    // Pairs of at most 63 * 127 each stay within 16 bits.
                    let pair = |k: usize| {
                        _mm256_madd_epi16(_mm256_maddubs_epi16(q[k], _mm256_load_si256(x.add(k))), scales[k])
                    };
                    *product = _mm256_add_epi32(*product, _mm256_add_epi32(pair(0), pair(1)));
                }
            }
            for (n, sum) in sums.iter_mut().enumerate() {
                let x = column(n);
                *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products[n]), _mm256_set1_ps(shared.d * x.d), *sum);
                let common = _mm256_madd_epi16(shared.common, _mm256_load_si256(x.sums.as_ptr().cast()));
                *sum = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(common), _mm256_set1_ps(shared.d_common * x.d), *sum);
            }
        }
    }
    sums.map(|eight| {
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    })
}

/// The scales of 32 weights, a word for each pair of them.
///
/// # Safety
/// The CPU has the instruction set, and `i` is below eight.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn scales<W: Unpack>(shared: &Shared, i: usize) -> __m256i {
    // SAFETY: as promised by the caller.
    let four = unsafe { shared.scales.get_unchecked(i) };
    // SAFETY: four words.
    let (first, second) =
        unsafe { (four.as_ptr().cast::<i32>().read_unaligned(), four.as_ptr().add(2).cast::<i32>().read_unaligned()) };
    if W::GROUP == 32 {
        return _mm256_set1_epi32(first);
    }
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(_mm_set1_epi32(first)), _mm_set1_epi32(second))
}
