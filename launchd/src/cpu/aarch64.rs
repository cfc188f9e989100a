//! The features that Linux reports for an Arm CPU.

use super::Set;

/// Index of a word, and a bit in it: `HWCAP_…` and `HWCAP2_…` of asm/hwcap.h.
pub(super) type Place = (usize, u32);

macro_rules! sets {
    ($($feature:tt $name:literal $word:literal $bit:literal,)+) => {
        [$(Set {
            feature: $feature,
            name: $name,
            is_needed: cfg!(target_feature = $feature),
            place: ($word, $bit),
            is_in_packages: false,
        },)+]
    };
}

pub(super) static SETS: [Set; 18] = sets! {
    "aes" "AES" 0 3,
    "sha2" "SHA-2" 0 6,
    "crc" "CRC32" 0 7,
    "lse" "LSE" 0 8,
    "fp16" "FP16" 0 10,
    "rdm" "RDM" 0 12,
    "jsconv" "JSCVT" 0 13,
    "fcma" "FCMA" 0 14,
    "rcpc" "LRCPC" 0 15,
    "sha3" "SHA-3" 0 17,
    "sm4" "SM4" 0 19,
    "dotprod" "DotProd" 0 20,
    "sve" "SVE" 0 22,
    "fhm" "FHM" 0 23,
    "rcpc2" "LRCPC2" 0 26,
    "sve2" "SVE2" 1 1,
    "i8mm" "I8MM" 1 13,
    "bf16" "BF16" 1 14,
};

pub(super) fn cpu() -> [usize; 2] {
    let (first, second) = rustix::param::linux_hwcap();
    [first, second]
}

pub(super) fn has(words: &[usize; 2], (word, bit): Place) -> bool {
    words[word] >> bit & 1 == 1
}
