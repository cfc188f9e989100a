//! Architectures whose CPUs all have the features that programs are built for, such as Apple's.

use super::Set;

/// Nothing to look up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {}

pub(super) static SETS: [Set; 0] = [];

pub(super) struct Cpu;

pub(super) fn cpu() -> Cpu {
    Cpu
}

pub(super) fn has(_: &Cpu, place: Place) -> bool {
    match place {}
}
