//! AVX-512 VNNI: rows of quantized weights times a few columns. Knows no tensors and no threads.
//!
//! A row is read once, whatever the number of columns: its nibbles are unpacked into registers, and each column costs
//! four 64-byte multiplications. Rows are read one after the other, with prefetch: decoding is memory-bound, and
//! reading two rows at once reaches two thirds of the bandwidth.

use std::arch::x86_64::*;

use super::{Kernel, half};
use crate::blocks::{BLOCK, Q4K, Q5K, Q6K, scales_and_minima};

/// With the extensions F, BW, DQ and VNNI.
pub(crate) struct Avx512;

/// Most columns per pass: what fits into 32 registers beside the weights.
const MOST_COLUMNS: usize = 8;

/// Prefetch distance in bytes. With 1.2 GB of weights on two cores: 27 GB/s without prefetch, 29 with 1 KiB, 31 to 34
/// with 4 or 8 KiB.
const AHEAD: usize = 4096;

/// A block of a column: 256 activations as bytes, `x = d * q`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub(crate) struct Activations {
    /// In the order of the type's nibbles.
    q: [i8; BLOCK],
    /// Sums of 16 activations each, in the order of the column, for the offset that all weights of a group share.
    sums: [i16; 16],
    d: f32,
}

impl Activations {
    const ZERO: Self = Self { q: [0; BLOCK], sums: [0; 16], d: 0.0 };
}

/// Weights that these kernels can unpack.
trait Unpack {
    /// Whether the second and third quarter of a half block are swapped in the activations, to match the type's
    /// nibbles.
    const IS_SWAPPED: bool;

    /// # Safety
    /// The CPU has the instruction set.
    unsafe fn unpack(&self) -> Unpacked;
}

/// A block in registers: `w = d * scale * q - d_common * common`, scale and common per 16 or 32 weights.
struct Unpacked {
    /// 256 weights, in the order of the activations.
    q: [__m512i; 4],
    /// 16-bit words, one for each pair of `q`.
    scales: [__m512i; 4],
    /// 16-bit words, one for each of the sums.
    common: __m256i,
    d: f32,
    d_common: f32,
}

impl Unpack for Q4K {
    const IS_SWAPPED: bool = true;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,f16c,fma")]
    unsafe fn unpack(&self) -> Unpacked {
        Unpacked { q: nibbles(&self.q), ..groups_of_32(self.d, self.d_min, &self.scales) }
    }
}

impl Unpack for Q5K {
    const IS_SWAPPED: bool = true;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,f16c,fma")]
    unsafe fn unpack(&self) -> Unpacked {
        // Byte i of `high` has the fifth bits of weight i in all eight groups; each moves to bit 4.
        // SAFETY: 32 bytes.
        let high = _mm512_broadcast_i64x4(unsafe { _mm256_loadu_si256(self.high.as_ptr().cast()) });
        let fifth = _mm512_set1_epi8(0x10);
        let up = |first, second| _mm512_and_si512(_mm512_sllv_epi16(high, halves(first, second)), fifth);
        let down = |first, second| _mm512_and_si512(_mm512_srlv_epi16(high, halves(first, second)), fifth);
        let [a, b, c, d] = nibbles(&self.q);
        let q = [
            _mm512_or_si512(a, up(4, 2)),
            _mm512_or_si512(b, up(3, 1)),
            _mm512_or_si512(c, down(0, 2)),
            _mm512_or_si512(d, down(1, 3)),
        ];
        Unpacked { q, ..groups_of_32(self.d, self.d_min, &self.scales) }
    }
}

/// Lower and upper nibbles of two times 64 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn nibbles(bytes: &[u8; 128]) -> [__m512i; 4] {
    // SAFETY: 128 bytes are read in two halves.
    let (first, second) =
        unsafe { (_mm512_loadu_si512(bytes.as_ptr().cast()), _mm512_loadu_si512(bytes.as_ptr().add(64).cast())) };
    let low = _mm512_set1_epi8(0x0f);
    let high = |bytes| _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), low);
    [_mm512_and_si512(first, low), high(first), _mm512_and_si512(second, low), high(second)]
}

/// Common to `Q4K` and `Q5K`, without the weights.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,f16c")]
fn groups_of_32(d: u16, d_min: u16, packed: &[u8; 12]) -> Unpacked {
    let [scales, minima] = scales_and_minima(packed).map(|bytes| _mm_cvtsi64_si128(bytes.cast_signed()));
    let scales = _mm512_castsi128_si512(_mm_cvtepu8_epi16(scales));
    let spread = |first, second| _mm512_permutexvar_epi16(halves(first, second), scales);
    Unpacked {
        q: [_mm512_setzero_si512(); 4],
        scales: [spread(0, 2), spread(1, 3), spread(4, 6), spread(5, 7)],
        // Each twice, because each sum is of 16 activations.
        common: _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(minima, minima)),
        d: half(d),
        d_common: half(d_min),
    }
}

/// One word in the lower half of the register, one in the upper.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn halves(first: i16, second: i16) -> __m512i {
    _mm512_inserti64x4::<1>(_mm512_castsi256_si512(_mm256_set1_epi16(first)), _mm256_set1_epi16(second))
}

impl Unpack for Q6K {
    const IS_SWAPPED: bool = false;

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,f16c,fma")]
    unsafe fn unpack(&self) -> Unpacked {
        let low = _mm512_set1_epi8(0x0f);
        let two_bits = _mm512_set1_epi8(0x30);
        // The upper two bits of four weights share a byte. Each half of the register needs a different pair, at bits 4
        // and 5.
        let (up, down) = (halves(4, 2), halves(0, 2));
        let half_block = |i: usize| {
            // SAFETY: 64 of 128 and 32 of 64 bytes, i being 0 or 1.
            let (nibbles, pairs) = unsafe {
                (
                    _mm512_loadu_si512(self.low.as_ptr().add(64 * i).cast()),
                    _mm256_loadu_si256(self.high.as_ptr().add(32 * i).cast()),
                )
            };
            let pairs = _mm512_broadcast_i64x4(pairs);
            [
                _mm512_or_si512(
                    _mm512_and_si512(nibbles, low),
                    _mm512_and_si512(_mm512_sllv_epi16(pairs, up), two_bits),
                ),
                _mm512_or_si512(
                    _mm512_and_si512(_mm512_srli_epi16::<4>(nibbles), low),
                    _mm512_and_si512(_mm512_srlv_epi16(pairs, down), two_bits),
                ),
            ]
        };
        let ([a, b], [c, d]) = (half_block(0), half_block(1));
        // SAFETY: sixteen bytes.
        let common = _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(self.scales.as_ptr().cast()) });
        let scales = _mm512_castsi256_si512(common);
        // Word i of the result is the scale of group i / 8.
        let group = _mm512_set_epi64(
            0x0003_0003_0003_0003,
            0x0003_0003_0003_0003,
            0x0002_0002_0002_0002,
            0x0002_0002_0002_0002,
            0x0001_0001_0001_0001,
            0x0001_0001_0001_0001,
            0,
            0,
        );
        let spread = |first: i16| _mm512_permutexvar_epi16(_mm512_add_epi16(group, _mm512_set1_epi16(first)), scales);
        let scale = half(self.d);
        Unpacked {
            q: [a, b, c, d],
            scales: [spread(0), spread(4), spread(8), spread(12)],
            common,
            d: scale,
            d_common: 32.0 * scale,
        }
    }
}

/// The place of the `i`th group of 16 activations in a block. Of each eight groups, the third and fourth swap places
/// with the fifth and sixth if the type's nibbles require it.
fn place<W: Unpack>(i: usize) -> usize {
    match (W::IS_SWAPPED, i % 8) {
        (true, 2 | 3) => i + 2,
        (true, 4 | 5) => i - 2,
        _ => i,
    }
}

impl<W: Unpack> Kernel<W> for Avx512 {
    type Column = Activations;

    /// As ggml's `quantize_row_q8_K` does: the largest becomes -127.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,f16c,fma")]
    unsafe fn round(x: &[f32; BLOCK], to: &mut Activations) {
        // SAFETY: sixteen of 256 floats from 16 i on, i below 16.
        let part = |i: usize| unsafe { _mm512_loadu_ps(x.as_ptr().add(16 * i)) };
        let (mut low, mut high) = (part(0), part(0));
        for i in 1..16 {
            low = _mm512_min_ps(low, part(i));
            high = _mm512_max_ps(high, part(i));
        }
        let (low, high) = (_mm512_reduce_min_ps(low), _mm512_reduce_max_ps(high));
        let largest = if -low > high { low } else { high };
        if largest == 0.0 {
            *to = Activations::ZERO;
            return;
        }
        let scale = -127.0 / largest;
        to.d = 1.0 / scale;
        for i in 0..16 {
            let words = _mm512_cvtps_epi32(_mm512_mul_ps(part(i), _mm512_set1_ps(scale)));
            let words = _mm512_min_epi32(words, _mm512_set1_epi32(127));
            #[expect(clippy::cast_possible_truncation, reason = "sixteen bytes add up to at most 2032")]
            let sum = _mm512_reduce_add_epi32(words) as i16;
            to.sums[i] = sum;
            // SAFETY: `place` is below 16.
            unsafe { _mm_store_si128(to.q.as_mut_ptr().add(16 * place::<W>(i)).cast(), _mm512_cvtepi32_epi8(words)) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,f16c,fma")]
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
                    4 => keep(&products::<W, 4>(row, columns)),
                    5 => keep(&products::<W, 5>(row, columns)),
                    6 => keep(&products::<W, 6>(row, columns)),
                    7 => keep(&products::<W, 7>(row, columns)),
                    _ => keep(&products::<W, 8>(row, columns)),
                }
            }
        }
    }
}

/// # Safety
/// As [`Kernel::row`], with N columns.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni,f16c,fma")]
unsafe fn products<W: Unpack, const N: usize>(row: &[W], columns: &[Activations]) -> [f32; N] {
    let n_blocks = row.len();
    debug_assert_eq!(columns.len(), N * n_blocks);
    let mut sums = [_mm512_setzero_ps(); N];
    let mut commons = [_mm256_setzero_ps(); N];
    for (i, block) in row.iter().enumerate() {
        let here = std::ptr::from_ref(block).cast::<i8>();
        // A prefetch past the end of the weights has no effect.
        _mm_prefetch::<_MM_HINT_T0>(here.wrapping_add(AHEAD));
        _mm_prefetch::<_MM_HINT_T0>(here.wrapping_add(AHEAD + 64));
        // SAFETY: as promised by the caller.
        let w = unsafe { block.unpack() };
        for n in 0..N {
            // SAFETY: n < N and i < n_blocks; the activations are aligned to 64 bytes.
            let (x, q) = unsafe {
                let x = columns.get_unchecked(n * n_blocks + i);
                let q = x.q.as_ptr().cast::<__m512i>();
                (
                    x,
                    [
                        _mm512_load_si512(q),
                        _mm512_load_si512(q.add(1)),
                        _mm512_load_si512(q.add(2)),
                        _mm512_load_si512(q.add(3)),
                    ],
                )
            };
            // Pairs of at most 63 * 127 each stay within 16 bits.
            let pair = |k: usize| _mm512_maddubs_epi16(w.q[k], q[k]);
            let even = _mm512_dpwssd_epi32(_mm512_madd_epi16(pair(0), w.scales[0]), pair(2), w.scales[2]);
            let odd = _mm512_dpwssd_epi32(_mm512_madd_epi16(pair(1), w.scales[1]), pair(3), w.scales[3]);
            sums[n] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(even, odd)), _mm512_set1_ps(w.d * x.d), sums[n]);
            // SAFETY: 16 words, aligned to 32 bytes behind 256 bytes.
            let common = _mm256_madd_epi16(w.common, unsafe { _mm256_load_si256(x.sums.as_ptr().cast()) });
            commons[n] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(common), _mm256_set1_ps(w.d_common * x.d), commons[n]);
        }
    }
    std::array::from_fn(|n| {
        let eight = _mm256_add_ps(
            _mm256_add_ps(_mm512_castps512_ps256(sums[n]), _mm512_extractf32x8_ps::<1>(sums[n])),
            commons[n],
        );
        let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    })
}
