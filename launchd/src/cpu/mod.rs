//! The instructions that a program was built for, against those of the CPU that it runs on: where some are missing,
//! SIGILL ends it sooner or later.
//!
//! Never knows: what the instructions are used for. std's own check is of no use here: it takes everything for granted
//! that the program was built for.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(all(target_arch = "aarch64", target_os = "linux"), path = "aarch64.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_os = "linux"))), path = "other.rs")]
mod arch;

use std::io::Write;

/// Instructions that only some CPUs of an architecture have.
struct Set {
    /// As Rust calls it.
    feature: &'static str,
    /// As people call it.
    name: &'static str,
    /// Whether Rust's code was built for it.
    is_needed: bool,
    /// Where the CPU, or the system for it, says that it is there.
    place: arch::Place,
    /// Whether a package for other machines needs it as well.
    is_in_packages: bool,
}

/// Ends the program with a line on stderr and this exit code if the CPU lacks what it was built for. `others` are names
/// of features that code in other languages was built for.
///
/// To be called before anything else. It runs on every CPU of its architecture, because a compiler finds nothing in it
/// to use such instructions for: nothing to compute, no text to put together. A test tries that where there is QEMU.
#[inline(never)]
pub fn require(program: &str, others: &[&str], code: i32) {
    let cpu = arch::cpu();
    let is_missing = |set: &Set| is_needed(set, others) && !arch::has(&cpu, set.place);
    if arch::SETS.iter().any(is_missing) {
        // Nobody may be listening.
        let _ = say(&mut std::io::stderr(), program, &is_missing);
        std::process::exit(code);
    }
}

fn is_needed(set: &Set, others: &[&str]) -> bool {
    set.is_needed || others.contains(&set.feature)
}

fn say(out: &mut dyn Write, program: &str, is_missing: &dyn Fn(&Set) -> bool) -> std::io::Result<()> {
    let mut before = ": this program was built for a CPU with ";
    out.write_all(program.as_bytes())?;
    for set in arch::SETS.iter().filter(|set| is_missing(set)) {
        out.write_all(before.as_bytes())?;
        out.write_all(set.name.as_bytes())?;
        before = ", ";
    }
    out.write_all(b", which this one lacks; try: ")?;
    if !arch::SETS.iter().any(|set| set.is_in_packages && is_missing(set)) {
        out.write_all(b"install the package of beast, or ")?;
    }
    out.write_all(b"build it on this machine from source: make build\n")
}

// Only there instructions differ enough to be told.
#[cfg(test)]
#[cfg(target_arch = "x86_64")]
#[path = "cpu_tests.rs"]
mod tests;
