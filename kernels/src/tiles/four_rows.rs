//! A few columns with AVX-512, four rows at a time: for CPUs that read sixteen rows at once slower than four.
//!
//! 64 bytes of four rows are four vectors, and transposed, each quarter of each vector has four bytes of each row. The
//! quarters are multiplied with different activations, and their sums are added at the end of a block. Until then
//! everything is a whole number, and what follows is computed in the order of `direct.rs`: products are the same to the
//! bit.
//!
//! How fast rows are read in which way is in decision 15, "Rows at once".
#![expect(clippy::needless_range_loop, reason = "functions of iterators lack the instruction set, see `simd.rs`")]

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::super::blocks::{BLOCK, Q4K, Q5K, Q6K};
use super::super::simd::avx512::Vectors512;
use super::super::simd::{NO_BYTE, Products, Simd};
use super::ahead::HalvesAhead;
use super::lanes::Lanes;
use super::rounding::Rounded;
use super::tile::{Column, Format};
use super::{ROWS, Rows};

pub(in super::super) const ROWS_AT_ONCE: usize = 4;

/// Weights that can be multiplied four rows at a time: ggml's K types.
pub(in super::super) trait FourRows: Format {
    /// The products of a block of four rows and N columns, without the columns' scales.
    ///
    /// # Safety
    /// The CPU has the instruction set, and the blocks are valid: four of them.
    unsafe fn products<const N: usize>(lanes: Lanes, columns: &[Self::Column; N], ahead: HalvesAhead) -> [__m128; N];
}

/// As [`super::multiply`], for up to four columns.
///
/// # Safety
/// As there; the CPU has AVX-512 with F, BW, DQ, VL and VNNI, and F16C.
pub(in super::super) unsafe fn multiply<W: FourRows>(
    rows: Rows,
    columns: &[W::Column],
    store: impl FnMut(usize, usize, &[f32]),
) {
    // SAFETY: as promised by the caller.
    unsafe {
        match columns.len() / rows.n_blocks {
            1 => multiply_all::<W, 1>(rows, columns, store),
            2 => multiply_all::<W, 2>(rows, columns, store),
            3 => multiply_all::<W, 3>(rows, columns, store),
            4 => multiply_all::<W, 4>(rows, columns, store),
            n => unreachable!("{n} columns are not few"),
        }
    }
}

/// # Safety
/// As above, with N columns.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,f16c,fma")]
unsafe fn multiply_all<W: FourRows, const N: usize>(
    rows: Rows,
    columns: &[W::Column],
    mut store: impl FnMut(usize, usize, &[f32]),
) {
    assert_eq!(columns.len(), N * rows.n_blocks);
    let n_whole = rows.n_rows / ROWS_AT_ONCE * ROWS_AT_ONCE;
    let mut store = |row, sums: [__m128; N], n_rows| {
        for n in 0..N {
            let mut products = [0.0; ROWS_AT_ONCE];
            // SAFETY: there is room.
            unsafe { _mm_storeu_ps(products.as_mut_ptr(), sums[n]) };
            store(n, row, &products[..n_rows]);
        }
    };
    // Two functions, so that not every block has to ask which it is.
    // SAFETY: as promised by the caller.
    unsafe {
        for row in (0..n_whole).step_by(ROWS_AT_ONCE) {
            store(row, products_of_rows::<W, N, true>(rows, row, columns), ROWS_AT_ONCE);
        }
        if n_whole < rows.n_rows {
            store(n_whole, products_of_rows::<W, N, false>(rows, n_whole, columns), rows.n_rows - n_whole);
        }
    }
}

/// The products of the four rows from `row` on, or unless it `IS_WHOLE`, of the fewer rows that are left.
///
/// # Safety
/// As above; there is such a row, and if it `IS_WHOLE`, three more.
#[inline(always)]
unsafe fn products_of_rows<W: FourRows, const N: usize, const IS_WHOLE: bool>(
    rows: Rows,
    row: usize,
    columns: &[W::Column],
) -> [__m128; N] {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut sums = [_mm_setzero_ps(); N];
        let mut copy = [const { MaybeUninit::uninit() }; ROWS];
        let mut lanes = Lanes { first: rows.at.add(row * rows.row_bytes), row_bytes: rows.row_bytes };
        let distance = HalvesAhead::distance(ROWS_AT_ONCE, rows.row_bytes, rows.n_rows);
        let mut ahead = HalvesAhead::new::<W>(rows.at_or_next(row + distance), ROWS_AT_ONCE);
        for block in 0..rows.n_blocks {
            if !IS_WHOLE {
                lanes = rows.block::<W>(row, block, ROWS_AT_ONCE, &mut copy);
            }
            let here = columns.get_unchecked(N * block..).first_chunk().expect("there are N columns");
            let products = W::products::<N>(lanes, here, ahead);
            for n in 0..N {
                sums[n] = _mm_fmadd_ps(products[n], _mm_set1_ps(here[n].scales()[0]), sums[n]);
            }
            lanes.first = lanes.first.wrapping_add(size_of::<W>());
            ahead.advance();
        }
        sums
    }
}

impl FourRows for Q4K {
    #[inline(always)]
    unsafe fn products<const N: usize>(lanes: Lanes, columns: &[Rounded<8>; N], ahead: HalvesAhead) -> [__m128; N] {
        // SAFETY: as promised by the caller.
        unsafe { groups_of_32::<false, N>(lanes, columns, ahead) }
    }
}

impl FourRows for Q5K {
    #[inline(always)]
    unsafe fn products<const N: usize>(lanes: Lanes, columns: &[Rounded<8>; N], ahead: HalvesAhead) -> [__m128; N] {
        // SAFETY: as promised by the caller.
        unsafe { groups_of_32::<true, N>(lanes, columns, ahead) }
    }
}

/// A block of `Q4K`, or of `Q5K` if it `HAS_FIFTHS`: 16 bytes of scales, perhaps 32 of fifth bits, and 128 of nibbles,
/// of which each 32 bytes hold 64 weights: the lower nibbles are the first 32.
///
/// # Safety
/// As [`FourRows::products`].
#[inline(always)]
unsafe fn groups_of_32<const HAS_FIFTHS: bool, const N: usize>(
    lanes: Lanes,
    columns: &[Rounded<8>; N],
    ahead: HalvesAhead,
) -> [__m128; N] {
    // SAFETY: as promised by the caller.
    unsafe {
        // For the bits, see `GroupsOf32` in `formats.rs`.
        let header = sixteen_bytes(lanes, 0);
        let [a, b, c] = [lane_of_rows(header, 1), lane_of_rows(header, 2), lane_of_rows(header, 3)];
        let (six, two, low) = (splat(0x3f), splat(0x30), splat(0x0f));
        let (a_up, b_up) =
            (_mm512_and_si512(_mm512_srli_epi32::<2>(a), two), _mm512_and_si512(_mm512_srli_epi32::<2>(b), two));
        let scales = [_mm512_and_si512(a, six), _mm512_or_si512(_mm512_and_si512(c, low), a_up)];
        let last_minima = _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi32::<4>(c), low), b_up);
        let minima = _mm512_mask_blend_epi32(0xff00, _mm512_and_si512(b, six), last_minima);
        // Of two groups in each quarter.
        let minima = pick(minima, &PAIRS);
        let fifths = if HAS_FIFTHS { Vectors512::zip_four(rows_twice(lanes, 16)) } else { [low; 4] }; // or unused
        let mut sums = [_mm512_setzero_si512(); N];
        // Written out: in a loop, header and sums pass through memory.
        half_of_32::<HAS_FIFTHS, N>(lanes, 0, scales[0], &fifths, columns, ahead, &mut sums);
        half_of_32::<HAS_FIFTHS, N>(lanes, 1, scales[1], &fifths, columns, ahead, &mut sums);
        // Both halves of the first bytes are f16: `d` and `d_min`.
        let at = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        let both = _mm256_cvtph_ps(_mm_shuffle_epi8(_mm512_castsi512_si128(lane_of_rows(header, 0)), at));
        let (d, d_min) = (_mm256_castps256_ps128(both), _mm256_extractf128_ps::<1>(both));
        let mut products = [d; N];
        for n in 0..N {
            let x = spread(_mm512_castsi128_si512(_mm_loadu_si128(columns[n].sums().as_ptr().cast())), 0);
            let offsets = _mm512_dpwssd_epi32(_mm512_setzero_si512(), minima, x);
            let product = _mm_mul_ps(_mm_cvtepi32_ps(add_quarters(sums[n])), d);
            products[n] = _mm_fnmadd_ps(_mm_cvtepi32_ps(add_quarters(offsets)), d_min, product);
        }
        products
    }
}

/// Adds the products of half a block.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn half_of_32<const HAS_FIFTHS: bool, const N: usize>(
    lanes: Lanes,
    half: usize,
    scales: __m512i,
    fifths: &[__m512i; 4],
    columns: &[Rounded<8>; N],
    ahead: HalvesAhead,
    sums: &mut [__m512i; N],
) {
    // SAFETY: as promised by the caller.
    unsafe {
        ahead.fetch(half);
        let low = splat(0x0f);
        let first = if HAS_FIFTHS { 48 } else { 16 };
        let nibbles = Vectors512::zip_four(rows(lanes, first + 64 * half));
        let (mut lower, mut upper) = (nibbles, nibbles);
        for i in 0..4 {
            lower[i] = _mm512_and_si512(nibbles[i], low);
            upper[i] = _mm512_and_si512(_mm512_srli_epi32::<4>(nibbles[i]), low);
            if HAS_FIFTHS {
                lower[i] = _mm512_or_si512(lower[i], fifth(fifths[i], 4 * half as i32));
                upper[i] = _mm512_or_si512(upper[i], fifth(fifths[i], 4 * half as i32 + 1));
            }
        }
        let lower_scales = pick(scales, &FIRST_AND_THIRD);
        let upper_scales = pick(scales, &SECOND_AND_FOURTH);
        for n in 0..N {
            let [x, y] = activations(&columns[n], half);
            let products = dot(_mm512_setzero_si512(), &lower, _mm512_shuffle_i64x2::<0b01_00_01_00>(x, y));
            sums[n] = Vectors512::add_products_scaled(sums[n], products, lower_scales);
            let products = dot(_mm512_setzero_si512(), &upper, _mm512_shuffle_i64x2::<0b11_10_11_10>(x, y));
            sums[n] = Vectors512::fence(Vectors512::add_products_scaled(sums[n], products, upper_scales));
        }
    }
}

/// The bits of `group` in the first two quarters and of the group after the next in the others, as bit 4.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn fifth(bits: __m512i, group: i32) -> __m512i {
    // SAFETY: as promised by the caller.
    unsafe { _mm512_and_si512(_mm512_rolv_epi32(bits, two_numbers(4 - group, 2 - group)), splat(0x10)) }
}

impl FourRows for Q6K {
    /// 128 bytes of lower nibbles, 64 of upper pairs of bits, 16 scales, and `d`. Of the first 32 bytes of each half,
    /// nibbles are the first and third 32 weights, and of the next 32 bytes the second and fourth; a byte of the upper
    /// bits has those of all four.
    #[inline(always)]
    unsafe fn products<const N: usize>(lanes: Lanes, columns: &[Rounded<16>; N], ahead: HalvesAhead) -> [__m128; N] {
        // SAFETY: as promised by the caller.
        unsafe {
            let header = sixteen_bytes(lanes, 192);
            let scales =
                [lane_of_rows(header, 0), lane_of_rows(header, 1), lane_of_rows(header, 2), lane_of_rows(header, 3)];
            let mut sums = [_mm512_setzero_si512(); N];
            let mut starts = [_mm512_setzero_si512(); N];
            for n in 0..N {
                // Weights are moved up by 32.
                let x = _mm512_cvtepi16_epi32(_mm256_loadu_si256(columns[n].sums().as_ptr().cast()));
                starts[n] = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32::<5>(x));
            }
            half_of_16::<N>(lanes, 0, [scales[0], scales[1]], &starts, columns, ahead, &mut sums);
            half_of_16::<N>(lanes, 1, [scales[2], scales[3]], &starts, columns, ahead, &mut sums);
            let mut d = [0_u16; 8];
            for row in 0..ROWS_AT_ONCE {
                d[row] = lanes.first.add(row * lanes.row_bytes + 208).cast::<u16>().read_unaligned();
            }
            let d = _mm_cvtph_ps(_mm_loadu_si128(d.as_ptr().cast()));
            let mut products = [d; N];
            for n in 0..N {
                products[n] = _mm_mul_ps(_mm_cvtepi32_ps(add_quarters(sums[n])), d);
            }
            products
        }
    }
}

/// Adds the products of half a block.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn half_of_16<const N: usize>(
    lanes: Lanes,
    half: usize,
    scales: [__m512i; 2],
    starts: &[__m512i; N],
    columns: &[Rounded<16>; N],
    ahead: HalvesAhead,
    sums: &mut [__m512i; N],
) {
    // SAFETY: as promised by the caller.
    unsafe {
        ahead.fetch(half);
        let (low, two) = (splat(0x0f), splat(0x30));
        let nibbles = Vectors512::zip_four(rows(lanes, 64 * half));
        let pairs = Vectors512::zip_four(rows_twice(lanes, 128 + 32 * half));
        let (mut lower, mut upper) = (nibbles, nibbles);
        for i in 0..4 {
            let pair = _mm512_sllv_epi32(pairs[i], two_numbers(4, 2));
            lower[i] = _mm512_or_si512(_mm512_and_si512(nibbles[i], low), _mm512_and_si512(pair, two));
            let pair = _mm512_srlv_epi32(pairs[i], two_numbers(0, 2));
            let nibble = _mm512_and_si512(_mm512_srli_epi32::<4>(nibbles[i]), low);
            upper[i] = _mm512_or_si512(nibble, _mm512_and_si512(pair, two));
        }
        // A byte of each quarter, with its sign.
        let lower_scales = _mm512_srai_epi32::<24>(pick(scales[0], &ONE_EACH));
        let upper_scales = _mm512_srai_epi32::<24>(pick(scales[1], &ONE_EACH));
        for n in 0..N {
            let [x, y] = activations(&columns[n], half);
            let products = dot(spread(starts[n], 8 * half as i32), &lower, x);
            sums[n] = Vectors512::add_products_scaled(sums[n], products, lower_scales);
            let products = dot(spread(starts[n], 8 * half as i32 + 4), &upper, y);
            sums[n] = Vectors512::fence(Vectors512::add_products_scaled(sums[n], products, upper_scales));
        }
    }
}

/// For `pick`, the bytes of each lane with these numbers, which depend on the quarter, or zero for `NO_BYTE`.
const fn bytes_of_lanes(at: [[u8; 4]; 4]) -> [u8; 64] {
    let mut all = [NO_BYTE; 64];
    let mut i = 0;
    while i < all.len() {
        let at = at[i / 16][i % 4];
        if at != NO_BYTE {
            all[i] = (i / 4 % 4 * 4) as u8 + at;
        }
        i += 1;
    }
    all
}

/// Of each lane the first and second byte as words in the first and third quarter, and the last two in the others.
const PAIRS: [u8; 64] = bytes_of_lanes([
    [0, NO_BYTE, 1, NO_BYTE],
    [2, NO_BYTE, 3, NO_BYTE],
    [0, NO_BYTE, 1, NO_BYTE],
    [2, NO_BYTE, 3, NO_BYTE],
]);
/// The first byte of each lane in the first two quarters and the third in the others; the second and the fourth.
const FIRST_AND_THIRD: [u8; 64] = bytes_of_lanes([
    [0, NO_BYTE, NO_BYTE, NO_BYTE],
    [0, NO_BYTE, NO_BYTE, NO_BYTE],
    [2, NO_BYTE, NO_BYTE, NO_BYTE],
    [2, NO_BYTE, NO_BYTE, NO_BYTE],
]);
const SECOND_AND_FOURTH: [u8; 64] = bytes_of_lanes([
    [1, NO_BYTE, NO_BYTE, NO_BYTE],
    [1, NO_BYTE, NO_BYTE, NO_BYTE],
    [3, NO_BYTE, NO_BYTE, NO_BYTE],
    [3, NO_BYTE, NO_BYTE, NO_BYTE],
]);
/// A byte for each quarter, as the highest one.
const ONE_EACH: [u8; 64] = bytes_of_lanes([
    [NO_BYTE, NO_BYTE, NO_BYTE, 0],
    [NO_BYTE, NO_BYTE, NO_BYTE, 1],
    [NO_BYTE, NO_BYTE, NO_BYTE, 2],
    [NO_BYTE, NO_BYTE, NO_BYTE, 3],
]);

/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn pick(bytes: __m512i, at: &'static [u8; 64]) -> __m512i {
    // SAFETY: as promised by the caller; there are 64.
    unsafe { _mm512_shuffle_epi8(bytes, _mm512_loadu_si512(at.as_ptr().cast())) }
}

/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn splat(byte: i8) -> __m512i {
    // SAFETY: as promised by the caller.
    unsafe { _mm512_set1_epi8(byte) }
}

/// One number in the first two quarters, and another in the others.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn two_numbers(first: i32, second: i32) -> __m512i {
    // SAFETY: as promised by the caller.
    unsafe { _mm512_mask_blend_epi32(0xff00, _mm512_set1_epi32(first), _mm512_set1_epi32(second)) }
}

/// 64 bytes of each row, `at` bytes from its start.
///
/// # Safety
/// The CPU has the instruction set, and the rows have these bytes.
#[inline(always)]
unsafe fn rows(lanes: Lanes, at: usize) -> [__m512i; ROWS_AT_ONCE] {
    // SAFETY: as promised by the caller.
    unsafe {
        let from = lanes.first.add(at);
        let mut rows = [_mm512_loadu_si512(from.cast()); ROWS_AT_ONCE];
        for row in 1..ROWS_AT_ONCE {
            rows[row] = _mm512_loadu_si512(from.add(row * lanes.row_bytes).cast());
        }
        rows
    }
}

/// 32 bytes of each row, twice.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn rows_twice(lanes: Lanes, at: usize) -> [__m512i; ROWS_AT_ONCE] {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut rows = [_mm512_setzero_si512(); ROWS_AT_ONCE];
        for row in 0..ROWS_AT_ONCE {
            let from = lanes.first.add(at + row * lanes.row_bytes);
            rows[row] = _mm512_broadcast_i64x4(_mm256_loadu_si256(from.cast()));
        }
        rows
    }
}

/// Sixteen bytes of each row, a row in each quarter.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn sixteen_bytes(lanes: Lanes, at: usize) -> __m512i {
    // SAFETY: as promised by the caller.
    unsafe {
        let (from, bytes) = (lanes.first.add(at), lanes.row_bytes);
        let rows = _mm512_castsi128_si512(_mm_loadu_si128(from.cast()));
        let rows = _mm512_inserti32x4::<1>(rows, _mm_loadu_si128(from.add(bytes).cast()));
        let rows = _mm512_inserti32x4::<2>(rows, _mm_loadu_si128(from.add(2 * bytes).cast()));
        _mm512_inserti32x4::<3>(rows, _mm_loadu_si128(from.add(3 * bytes).cast()))
    }
}

/// Of each quarter the `i`th lane; all four in each quarter.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn lane_of_rows(rows: __m512i, i: i32) -> __m512i {
    // SAFETY: as promised by the caller.
    unsafe { _mm512_permutexvar_epi32(_mm512_broadcast_i32x4(_mm_setr_epi32(i, 4 + i, 8 + i, 12 + i)), rows) }
}

/// Four lanes from the `first` on, each in a quarter of its own.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn spread(lanes: __m512i, first: i32) -> __m512i {
    // SAFETY: as promised by the caller.
    unsafe {
        let quarter = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        _mm512_permutexvar_epi32(_mm512_add_epi32(quarter, _mm512_set1_epi32(first)), lanes)
    }
}

/// Half of a column's block.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn activations(column: &impl Column, half: usize) -> [__m512i; 2] {
    let at = column.q()[BLOCK / 2 * half..].as_ptr();
    // SAFETY: as promised by the caller; half of a block is two vectors.
    unsafe { [_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(64).cast())] }
}

/// Adds the products of four vectors of weights and one of activations.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn dot(sums: __m512i, q: &[__m512i; 4], x: __m512i) -> __m512i {
    // SAFETY: as promised by the caller.
    unsafe {
        let sums = _mm512_dpbusd_epi32(sums, q[0], _mm512_shuffle_epi32::<0x00>(x));
        let sums = _mm512_dpbusd_epi32(sums, q[1], _mm512_shuffle_epi32::<0x55>(x));
        let sums = _mm512_dpbusd_epi32(sums, q[2], _mm512_shuffle_epi32::<0xaa>(x));
        _mm512_dpbusd_epi32(sums, q[3], _mm512_shuffle_epi32::<0xff>(x))
    }
}

/// The sums of the four quarters.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn add_quarters(sums: __m512i) -> __m128i {
    // SAFETY: as promised by the caller.
    unsafe {
        let two = _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums));
        _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256::<1>(two))
    }
}
