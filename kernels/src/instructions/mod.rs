//! The instruction sets that kernels are written for, which of them this CPU has, and what each computes.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "other.rs")]
mod arch;

pub use arch::InstructionSet;

impl InstructionSet {
    /// The best of this CPU.
    pub fn best() -> Option<Self> {
        Self::ALL.iter().copied().find(|set| set.is_supported())
    }
}
