//! Which CPU this is, where two with the same instruction set are fastest in different ways.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__cpuid;
#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// AMD's CPUs read many rows at once slower than a few, and gain from weights that are fetched into the first cache. On
/// two Zen 5 cores, where memory was the limit, products of two columns took 1.1 (Q4_K) and 1.25 times (Q6_K) as long
/// with sixteen rows at once as with four. On an Intel Xeon (Emerald Rapids) eight rows took 1.01 to 1.07 times as long
/// as sixteen, and fetching into the first cache was slower. Zen 4 was not measured, nor four rows on Intel.
#[cfg(target_arch = "x86_64")]
pub(super) fn is_amd() -> bool {
    static IS_AMD: LazyLock<bool> = LazyLock::new(|| {
        #[allow(unused_unsafe, reason = "it is safe in newer versions of Rust")]
        // SAFETY: every x86-64 CPU has it.
        let cpu = unsafe { __cpuid(0) };
        [cpu.ebx, cpu.edx, cpu.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
    });
    *IS_AMD
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn is_amd() -> bool {
    false
}
