//! The features that an x86 CPU reports, and whether the system saves its larger registers.
#![allow(unsafe_code)]

use std::arch::x86_64::{__cpuid_count, _xgetbv, CpuidResult};

use super::Set;

/// Words of [`Cpu`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    Ecx1,
    Ebx7,
    Ecx7,
    Edx7,
    Eax7Sub1,
    EcxExtended,
}

/// Registers that the system must save for an instruction to work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Registers {
    Old,
    /// 256-bit registers.
    Ymm,
    /// 512-bit registers.
    Zmm,
}

pub(super) type Place = (Word, u32, Registers);

/// The words that the CPU reports, by [`Word`], and which registers the system saves.
pub(super) struct Cpu {
    words: [u32; 6],
    saves_ymm: bool,
    saves_zmm: bool,
}

use Registers::{Old, Ymm, Zmm};
use Word::{Eax7Sub1, Ebx7, Ecx1, Ecx7, EcxExtended, Edx7};

macro_rules! sets {
    ($($feature:tt $name:literal $word:ident $bit:literal $registers:ident $is_in_packages:literal,)+) => {
        [$(Set {
            feature: $feature,
            name: $name,
            is_needed: cfg!(target_feature = $feature),
            // As a bit mask, not a bit number: shifting by a variable could compile to an instruction that not every
            // CPU has.
            place: ($word, 1 << $bit, $registers),
            is_in_packages: $is_in_packages,
        },)+]
    };
}

/// The features that compilers use unasked. AMX is not among them: only llama.cpp uses it, after checking for it.
/// Packages are built for x86-64-v3 (`.ci/deb`).
pub(super) static SETS: [Set; 35] = sets! {
    "sse3" "SSE3" Ecx1 0 Old true,
    "ssse3" "SSSE3" Ecx1 9 Old true,
    "sse4.1" "SSE4.1" Ecx1 19 Old true,
    "sse4.2" "SSE4.2" Ecx1 20 Old true,
    "popcnt" "POPCNT" Ecx1 23 Old true,
    "cmpxchg16b" "CMPXCHG16B" Ecx1 13 Old true,
    "movbe" "MOVBE" Ecx1 22 Old true,
    "lzcnt" "LZCNT" EcxExtended 5 Old true,
    "bmi1" "BMI1" Ebx7 3 Old true,
    "bmi2" "BMI2" Ebx7 8 Old true,
    "adx" "ADX" Ebx7 19 Old false,
    "aes" "AES" Ecx1 25 Old false,
    "pclmulqdq" "PCLMULQDQ" Ecx1 1 Old false,
    "sha" "SHA" Ebx7 29 Old false,
    "gfni" "GFNI" Ecx7 8 Old false,
    "avx" "AVX" Ecx1 28 Ymm true,
    "f16c" "F16C" Ecx1 29 Ymm true,
    "fma" "FMA" Ecx1 12 Ymm true,
    "avx2" "AVX2" Ebx7 5 Ymm true,
    "vaes" "VAES" Ecx7 9 Ymm false,
    "vpclmulqdq" "VPCLMULQDQ" Ecx7 10 Ymm false,
    "avxvnni" "AVX-VNNI" Eax7Sub1 4 Ymm false,
    "avx512f" "AVX-512F" Ebx7 16 Zmm false,
    "avx512cd" "AVX-512CD" Ebx7 28 Zmm false,
    "avx512bw" "AVX-512BW" Ebx7 30 Zmm false,
    "avx512dq" "AVX-512DQ" Ebx7 17 Zmm false,
    "avx512vl" "AVX-512VL" Ebx7 31 Zmm false,
    "avx512ifma" "AVX-512IFMA" Ebx7 21 Zmm false,
    "avx512vbmi" "AVX-512VBMI" Ecx7 1 Zmm false,
    "avx512vbmi2" "AVX-512VBMI2" Ecx7 6 Zmm false,
    "avx512vnni" "AVX-512VNNI" Ecx7 11 Zmm false,
    "avx512bitalg" "AVX-512BITALG" Ecx7 12 Zmm false,
    "avx512vpopcntdq" "AVX-512VPOPCNTDQ" Ecx7 14 Zmm false,
    "avx512bf16" "AVX-512BF16" Eax7Sub1 5 Zmm false,
    "avx512fp16" "AVX-512FP16" Edx7 23 Zmm false,
};

/// XSAVE is supported and enabled by the system.
const OSXSAVE: u32 = 1 << 27;
/// Register parts in XCR0.
const YMM: u64 = 0b110;
const ZMM: u64 = 0b1110_0110;

pub(super) fn cpu() -> Cpu {
    // On a virtual machine every query is slow, so none is repeated. None goes beyond the highest leaf, for which a
    // CPU returns unrelated data.
    let none = CpuidResult { eax: 0, ebx: 0, ecx: 0, edx: 0 };
    let (highest, highest_extended) = (cpuid(0, 0).eax, cpuid(0x8000_0000, 0).eax);
    let first = cpuid(1, 0);
    let seventh = if highest >= 7 { cpuid(7, 0) } else { none };
    let after = if seventh.eax >= 1 { cpuid(7, 1).eax } else { 0 };
    let extended = if highest_extended > 0x8000_0000 { cpuid(0x8000_0001, 0) } else { none };
    let words = [first.ecx, seventh.ebx, seventh.ecx, seventh.edx, after, extended.ecx];
    // SAFETY: the system has enabled XSAVE, so XGETBV exists, and register 0 always does.
    let saved = if first.ecx & OSXSAVE != 0 { unsafe { _xgetbv(0) } } else { 0 };
    Cpu { words, saves_ymm: saved & YMM == YMM, saves_zmm: saved & ZMM == ZMM }
}

#[allow(unused_unsafe, reason = "a safe function in newer versions of std")]
fn cpuid(leaf: u32, sub: u32) -> CpuidResult {
    // SAFETY: every CPU of this architecture has the instruction.
    unsafe { __cpuid_count(leaf, sub) }
}

pub(super) fn has(cpu: &Cpu, (word, bit, registers): Place) -> bool {
    let is_saved = match registers {
        Old => true,
        Ymm => cpu.saves_ymm,
        Zmm => cpu.saves_zmm,
    };
    is_saved && cpu.words[word as usize] & bit != 0
}
