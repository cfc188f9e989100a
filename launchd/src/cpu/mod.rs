//! Compares the instructions that a program was built for with those of the CPU that it runs on: a missing one would
//! end the program with SIGILL sooner or later.
//!
//! Never knows: what the instructions are used for. std's own check does not help, because it assumes every feature
//! that the program was built for.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(all(target_arch = "aarch64", target_os = "linux"), path = "aarch64.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_os = "linux"))), path = "other.rs")]
mod arch;

use std::io::Write;

/// A set of instructions that only some CPUs of an architecture have.
struct Set {
    /// Rust's name for it.
    feature: &'static str,
    /// The common name.
    name: &'static str,
    /// Whether Rust's code was built for it.
    is_needed: bool,
    /// Where the CPU, or the system on its behalf, reports it.
    place: arch::Place,
    /// Whether packages, which are built for other machines, need it as well.
    is_in_packages: bool,
}

/// Ends the program with a line on stderr and this exit code if the CPU lacks what it was built for. `others` names
/// features that code in other languages was built for.
///
/// Call this before anything else. It must run on every CPU of its architecture, so it avoids code that a compiler
/// could translate to such instructions: it computes nothing and formats no text. A test checks that where QEMU is
/// installed.
#[inline(never)]
pub fn require(program: &str, others: &[&str], code: i32) {
    let cpu = arch::cpu();
    let is_missing = |set: &Set| is_needed(set, others) && !arch::has(&cpu, set.place);
    if arch::SETS.iter().any(is_missing) {
        // stderr may be closed.
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

// Only on x86 do features vary enough for a test.
#[cfg(test)]
#[cfg(target_arch = "x86_64")]
#[path = "cpu_tests.rs"]
mod tests;
