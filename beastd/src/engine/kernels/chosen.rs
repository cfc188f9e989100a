//! The instruction set that everything is computed with, and whether it is.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use beast_kernels::InstructionSet;

/// The name of the best instruction set that may be used, for tests and measurements.
const LIMIT: &str = "BEAST_TEST_INSTRUCTION_SET";

static ARE_WANTED: AtomicBool = AtomicBool::new(true);

/// The best instruction set of this CPU.
static BEST: LazyLock<Option<InstructionSet>> = LazyLock::new(|| {
    let Ok(limit) = std::env::var(LIMIT) else { return InstructionSet::best() };
    if InstructionSet::ALL.iter().all(|set| set.name() != limit) {
        let names: Vec<&str> = InstructionSet::ALL.iter().map(|set| set.name()).collect();
        tracing::warn!("{LIMIT}={limit} is not one of {}: beastd's kernels are off", names.join(", "));
    }
    InstructionSet::ALL.iter().copied().skip_while(|set| set.name() != limit).find(|set| set.is_supported())
});

/// The name of the instruction set that the kernels use.
pub fn instruction_set() -> Option<&'static str> {
    BEST.map(InstructionSet::name)
}

/// Whether the best instruction set has attention, even while the kernels are off.
pub fn have_attention() -> bool {
    BEST.is_some_and(|set| set.attention().is_some())
}

/// The instruction set to compute with, unless the kernels are off.
pub(super) fn wanted() -> Option<InstructionSet> {
    if ARE_WANTED.load(Ordering::Relaxed) { *BEST } else { None }
}

/// Enables the kernels for everything computed from now on. Nothing may be computing meanwhile: the threads of a
/// product would disagree.
pub fn use_ours(are_wanted: bool) {
    ARE_WANTED.store(are_wanted, Ordering::Relaxed);
}
