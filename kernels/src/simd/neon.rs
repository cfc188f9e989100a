//! Vectors of NEON, and the instructions for which Rust's stable functions are missing.
#![allow(unsafe_op_in_unsafe_fn, reason = "all conditions are those of the trait")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::Simd;

/// 128 bits, with the extension dotprod and perhaps i8mm.
#[derive(Clone, Copy)]
pub(in super::super) struct Vectors128<const HAS_I8MM: bool>;

/// Adds four products of signed bytes in each lane: `vdotq_s32`.
///
/// # Safety
/// The CPU has dotprod, and the caller enables it.
#[inline(always)]
pub(in super::super) unsafe fn dot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    asm!(
        "sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b",
        sums = inout(vreg) sums,
        a = in(vreg) a,
        b = in(vreg) b,
        options(pure, nomem, nostack, preserves_flags)
    );
    sums
}

/// The same with one lane of `b` for all of `a`: `vdotq_laneq_s32`.
///
/// # Safety
/// As above.
#[inline(always)]
pub(in super::super) unsafe fn dot_lane<const LANE: i32>(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    asm!(
        "sdot {sums:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]",
        sums = inout(vreg) sums,
        a = in(vreg) a,
        b = in(vreg) b,
        lane = const LANE,
        options(pure, nomem, nostack, preserves_flags)
    );
    sums
}

/// Multiplies two rows of eight bytes with two columns of eight: `vmmlaq_s32`.
///
/// # Safety
/// The CPU has i8mm, and the caller enables it.
#[inline(always)]
pub(in super::super) unsafe fn matrix(mut sums: int32x4_t, rows: int8x16_t, columns: int8x16_t) -> int32x4_t {
    asm!(
        "smmla {sums:v}.4s, {rows:v}.16b, {columns:v}.16b",
        sums = inout(vreg) sums,
        rows = in(vreg) rows,
        columns = in(vreg) columns,
        options(pure, nomem, nostack, preserves_flags)
    );
    sums
}

/// An f16 as f32.
#[inline(always)]
pub(in super::super) fn half(bits: u16) -> f32 {
    let mut value = f32::from_bits(bits.into());
    // SAFETY: every 64-bit Arm CPU has it.
    unsafe {
        asm!("fcvt {value:s}, {value:h}", value = inout(vreg) value, options(pure, nomem, nostack, preserves_flags));
    }
    value
}

/// Fetches a line into the first cache. May be given any address.
#[inline(always)]
pub(in super::super) fn prefetch(at: *const u8) {
    // SAFETY: it is a hint and never faults.
    unsafe {
        asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(readonly, nostack, preserves_flags));
    }
}

impl<const HAS_I8MM: bool> Simd for Vectors128<HAS_I8MM> {
    const LANES: usize = 4;
    const IS_MIXED: bool = false;
    const IS_PAIRED: bool = HAS_I8MM;
    type Ints = int32x4_t;
    type Floats = float32x4_t;

    #[inline(always)]
    unsafe fn load(from: *const u8) -> int32x4_t {
        vreinterpretq_s32_u8(vld1q_u8(from))
    }
    #[inline(always)]
    unsafe fn store(to: *mut u8, ints: int32x4_t) {
        vst1q_u8(to, vreinterpretq_u8_s32(ints));
    }
    #[inline(always)]
    unsafe fn store_floats(to: *mut f32, floats: float32x4_t) {
        vst1q_f32(to, floats);
    }
    #[inline(always)]
    unsafe fn load_rows(from: *const u8, _row_bytes: usize) -> int32x4_t {
        Self::load(from)
    }
    #[inline(always)]
    unsafe fn splat(value: i32) -> int32x4_t {
        vdupq_n_s32(value)
    }
    #[inline(always)]
    unsafe fn splat_float(value: f32) -> float32x4_t {
        vdupq_n_f32(value)
    }
    #[inline(always)]
    unsafe fn and(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vandq_s32(a, b)
    }
    #[inline(always)]
    unsafe fn or(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vorrq_s32(a, b)
    }
    #[inline(always)]
    unsafe fn left(a: int32x4_t, n: i32) -> int32x4_t {
        vshlq_s32(a, vdupq_n_s32(n))
    }
    #[inline(always)]
    unsafe fn right(a: int32x4_t, n: i32) -> int32x4_t {
        vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-n)))
    }
    #[inline(always)]
    unsafe fn signed_right(a: int32x4_t, n: i32) -> int32x4_t {
        vshlq_s32(a, vdupq_n_s32(-n))
    }
    #[inline(always)]
    unsafe fn signed_right_words(a: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_s16(vshrq_n_s16::<8>(vreinterpretq_s16_s32(a)))
    }
    #[inline(always)]
    unsafe fn sub(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vsubq_s32(a, b)
    }
    #[inline(always)]
    unsafe fn sub_bytes(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_s8(vsubq_s8(vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)))
    }
    #[inline(always)]
    unsafe fn pick(bytes: int32x4_t, at: [u8; 4]) -> int32x4_t {
        let at = vreinterpretq_u8_u32(vdupq_n_u32(u32::from_le_bytes(at)));
        let of_lane = vcombine_u8(vcreate_u8(0x0404_0404_0000_0000), vcreate_u8(0x0c0c_0c0c_0808_0808));
        vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(bytes), vaddq_u8(at, of_lane)))
    }
    #[inline(always)]
    unsafe fn look_up(table: &[i8; 16], bytes: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(table.as_ptr()), vreinterpretq_u8_s32(bytes)))
    }
    #[inline(always)]
    unsafe fn zip_low(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vzip1q_s32(a, b)
    }
    #[inline(always)]
    unsafe fn zip_high(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vzip2q_s32(a, b)
    }
    #[inline(always)]
    unsafe fn zip_low_pairs(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)))
    }
    #[inline(always)]
    unsafe fn zip_high_pairs(a: int32x4_t, b: int32x4_t) -> int32x4_t {
        vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)))
    }
    #[inline(always)]
    unsafe fn dot(sums: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        dot(sums, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))
    }
    #[inline(always)]
    unsafe fn from_halves(a: int32x4_t) -> float32x4_t {
        let words = vmovn_s32(a);
        let floats: float32x4_t;
        asm!(
            "fcvtl {floats:v}.4s, {words:v}.4h",
            floats = lateout(vreg) floats,
            words = in(vreg) words,
            options(pure, nomem, nostack, preserves_flags)
        );
        floats
    }
}
