//! The vectors that products are computed with; each instruction set is a file that implements them. Knows no weights.
//!
//! All functions are inlined wherever they are called: the instruction set is enabled where `Tiles` is implemented, and
//! a function that is not inlined there would pass registers through memory.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;

/// See [`Simd::pick`].
pub(super) const NO_BYTE: u8 = 0x80;

/// Vectors of 32-bit lanes. A lane of integers also serves as four bytes or two words.
///
/// # Safety
/// Of all functions: the CPU has the instruction set.
pub(super) trait Simd: Copy {
    const LANES: usize;
    /// Whether one factor of `dot` must be unsigned.
    const IS_MIXED: bool;
    /// Whether tiles have eight weights of one row and then of the next, instead of four.
    const IS_PAIRED: bool;
    /// Whether `dot` sums in 16 bits, which must be widened before they overflow (`whole.rs`).
    const SUMS_WORDS: bool = false;
    type Ints: Copy;
    type Floats: Copy;

    /// # Safety
    /// Besides, there are as many bytes.
    unsafe fn load(from: *const u8) -> Self::Ints;
    /// # Safety
    /// Besides, there are as many bytes.
    unsafe fn store(to: *mut u8, ints: Self::Ints);
    /// # Safety
    /// Besides, there are as many floats.
    unsafe fn store_floats(to: *mut f32, floats: Self::Floats);
    /// Sixteen bytes of every fourth row from `from` on.
    ///
    /// # Safety
    /// Besides, there are `LANES / 4` such rows, with `row_bytes` bytes from each row to the next.
    unsafe fn load_rows(from: *const u8, row_bytes: usize) -> Self::Ints;

    /// Sixteen bytes of `LANES` rows: lane `r` of vector `i` has the bytes `4 * i` to `4 * i + 3` of row `r`, which
    /// begins at `from + r * row_bytes`.
    ///
    /// # Safety
    /// Besides, the rows have these bytes.
    #[inline(always)]
    unsafe fn transpose(from: *const u8, row_bytes: usize) -> [Self::Ints; 4] {
        // SAFETY: as promised by the caller.
        unsafe {
            let a = Self::load_rows(from, row_bytes);
            let b = Self::load_rows(from.add(row_bytes), row_bytes);
            let c = Self::load_rows(from.add(2 * row_bytes), row_bytes);
            let d = Self::load_rows(from.add(3 * row_bytes), row_bytes);
            Self::zip_four([a, b, c, d])
        }
    }
    /// The same with 32 bytes of each row, in eight vectors.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn transpose_two(from: *const u8, row_bytes: usize) -> [Self::Ints; 8] {
        // SAFETY: as promised by the caller.
        unsafe {
            let ([a, b, c, d], [e, f, g, h]) =
                (Self::transpose(from, row_bytes), Self::transpose(from.add(16), row_bytes));
            [a, b, c, d, e, f, g, h]
        }
    }
    /// Within each 128 bits: the first lanes of all four, then the second ones, and so on.
    #[inline(always)]
    unsafe fn zip_four([a, b, c, d]: [Self::Ints; 4]) -> [Self::Ints; 4] {
        // SAFETY: as promised by the caller.
        unsafe {
            let (ab, cd) = (Self::zip_low(a, b), Self::zip_low(c, d));
            let (ab_2, cd_2) = (Self::zip_high(a, b), Self::zip_high(c, d));
            [
                Self::zip_low_pairs(ab, cd),
                Self::zip_high_pairs(ab, cd),
                Self::zip_low_pairs(ab_2, cd_2),
                Self::zip_high_pairs(ab_2, cd_2),
            ]
        }
    }

    unsafe fn splat(value: i32) -> Self::Ints;
    unsafe fn splat_float(value: f32) -> Self::Floats;
    unsafe fn and(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn or(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// Shifts of lanes: left, right, and right with the sign.
    unsafe fn left(a: Self::Ints, n: i32) -> Self::Ints;
    unsafe fn right(a: Self::Ints, n: i32) -> Self::Ints;
    unsafe fn signed_right(a: Self::Ints, n: i32) -> Self::Ints;
    /// Shifts each word right by eight, with its sign.
    unsafe fn signed_right_words(a: Self::Ints) -> Self::Ints;
    unsafe fn sub(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn sub_bytes(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// The bytes of each lane with these numbers, or zero for `NO_BYTE`.
    unsafe fn pick(bytes: Self::Ints, at: [u8; 4]) -> Self::Ints;
    /// For each byte, which is below 16, that of the table.
    unsafe fn look_up(table: &[i8; 16], bytes: Self::Ints) -> Self::Ints;
    /// Within each 128 bits: the lower lanes of both in turn, or the upper ones.
    unsafe fn zip_low(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn zip_high(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// The same with pairs of lanes.
    unsafe fn zip_low_pairs(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn zip_high_pairs(a: Self::Ints, b: Self::Ints) -> Self::Ints;

    /// Adds four products of bytes in each lane; the first factor is unsigned if `IS_MIXED`. Where it
    /// `SUMS_WORDS`, two in each word.
    unsafe fn dot(sums: Self::Ints, unsigned: Self::Ints, signed: Self::Ints) -> Self::Ints;
    /// The f16 values in the lower halves of the lanes. The upper halves mean nothing.
    unsafe fn from_halves(a: Self::Ints) -> Self::Floats;
}

/// What x86 needs besides.
///
/// # Safety
/// As above.
#[cfg(target_arch = "x86_64")]
pub(super) trait Products: Simd {
    /// Most columns whose sums stay in registers, with two vectors of rows.
    const MOST_COLUMNS: usize;

    /// # Safety
    /// Besides, there are as many floats.
    unsafe fn load_floats(from: *const f32) -> Self::Floats;
    /// A barrier for the compiler, which costs no instruction: it moves no later load before it, and has computed these
    /// sums there. Without it, the loads of a whole block come first and are spilled.
    unsafe fn fence(sums: Self::Ints) -> Self::Ints;
    /// Adds two products of words in each lane.
    unsafe fn dot_words(sums: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// `sums + products * scales` of lanes. Where it `SUMS_WORDS`, products and scales are two words in each lane.
    unsafe fn add_products_scaled(sums: Self::Ints, products: Self::Ints, scales: Self::Ints) -> Self::Ints;

    unsafe fn to_floats(a: Self::Ints) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `sum + a * b`, and `sum - a * b`.
    unsafe fn add_product(sum: Self::Floats, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn sub_product(sum: Self::Floats, a: Self::Floats, b: Self::Floats) -> Self::Floats;
}

/// What attention needs besides.
///
/// # Safety
/// As above.
#[cfg(target_arch = "x86_64")]
pub(super) trait Softmax: Products {
    /// Slices of values whose sums, for four queries, stay in registers.
    const SLICES_AT_ONCE: usize;

    /// As many f16 values as there are lanes.
    ///
    /// # Safety
    /// Besides, there are as many.
    unsafe fn load_halves(from: *const u16) -> Self::Floats;
    /// As many bytes as there are lanes.
    ///
    /// # Safety
    /// Besides, there are as many.
    unsafe fn load_bytes(from: *const i8) -> Self::Floats;
    /// A bit for each of 32 words that is this one.
    ///
    /// # Safety
    /// Besides, there are as many.
    unsafe fn which_are(from: *const u16, word: u16) -> u32;
    /// The products of one vector with `LANES` others, of `n_slices` slices each; theirs are `STRIDE` vectors apart.
    ///
    /// # Safety
    /// Besides, there are as many floats.
    unsafe fn dots<const STRIDE: usize>(x: *const f32, others: *const f32, n_slices: usize) -> Self::Floats;
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn sub_floats(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// The larger lanes; those of `b` where one is not a number.
    unsafe fn max(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn largest(a: Self::Floats) -> f32;
    unsafe fn sum(a: Self::Floats) -> f32;
    unsafe fn nearest(a: Self::Floats) -> Self::Ints;
    /// `a` times 2 to the power of `n`, which must not leave the range of normal floats.
    unsafe fn times_power(a: Self::Floats, n: Self::Ints) -> Self::Floats;
    /// Zero where `x` is below `least`, `a` elsewhere.
    unsafe fn zero_below(a: Self::Floats, x: Self::Floats, least: Self::Floats) -> Self::Floats;
}

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Prefetches a line, on x86 into the first cache if `IS_NEAR` and into the second otherwise. Any address will do.
/// Assembly, because the compiler moves the prefetches of a whole block to its end, one after the other.
#[inline(always)]
pub(super) fn prefetch<const IS_NEAR: bool>(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 CPU has both, and they may be given any address.
    unsafe {
        if IS_NEAR {
            std::arch::asm!("prefetcht0 [{}]", in(reg) at, options(nostack, preserves_flags));
        } else {
            std::arch::asm!("prefetcht1 [{}]", in(reg) at, options(nostack, preserves_flags));
        }
    };
    #[cfg(target_arch = "aarch64")]
    neon::prefetch(at);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}

/// Prefetches four to seven lines into the first cache, with one instruction for each and none to compute its address.
/// Any address will do.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn prefetch_lines(at: *const u8, n_lines: usize) {
    macro_rules! prefetch {
        ($($line:literal)*) => {
            std::arch::asm!(
                $(concat!("prefetcht0 [{0} + 64 * ", $line, "]"),)*
                in(reg) at,
                options(nostack, preserves_flags),
            )
        };
    }
    // SAFETY: every x86-64 CPU has it, and it may be given any address.
    unsafe {
        match n_lines {
            4 => prefetch!(0 1 2 3),
            5 => prefetch!(0 1 2 3 4),
            6 => prefetch!(0 1 2 3 4 5),
            7 => prefetch!(0 1 2 3 4 5 6),
            n => unreachable!("{n} lines at once"),
        }
    }
}
