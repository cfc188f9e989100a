//! Architectures whose CPUs all have what programs are built for, such as Apple's.

use super::Set;

/// There are none.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {}

pub(super) static SETS: [Set; 0] = [];

pub(super) fn cpu() {}

pub(super) fn has((): &(), place: Place) -> bool {
    match place {}
}
