//! Memory against the size of the model.

use super::finding::Finding;
use crate::{
    output::units::bytes,
    wait::{Wait, WaitError},
};

const CHECK: &str = "memory";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    total: u64,
    /// What programs could still take; not told on macOS, which is never asked for it by people either.
    available: Option<u64>,
}

/// `loaded` is the size of the model that the daemon has in memory, `file` that of the one it would load.
pub(super) fn check(loaded: Option<u64>, file: Option<u64>, wait: &Wait) -> Result<Finding, WaitError> {
    Ok(match look(wait)? {
        Some(memory) => judge(memory, loaded, file),
        None => Finding::ok(CHECK, "this system does not report its memory"),
    })
}

fn judge(memory: Memory, loaded: Option<u64>, file: Option<u64>) -> Finding {
    let there = match memory.available {
        Some(available) => format!("{} of {} available", bytes(available), bytes(memory.total)),
        None => format!("{} in total", bytes(memory.total)),
    };
    if let Some(n) = loaded {
        return Finding::ok(CHECK, format!("the model ({}) is loaded, {there}", bytes(n)));
    }
    let Some(n) = file else {
        return Finding::ok(CHECK, there);
    };
    let text = format!("the model needs {}, {there}", bytes(n));
    if n >= memory.total {
        return Finding::problem(CHECK, text, "use a smaller model: beastctl models list");
    }
    // Beside the weights there are the cache of the context and the buffers.
    let needed = n + n / 4;
    match memory.available {
        Some(available) if available < needed => {
            Finding::warning(CHECK, text, "close other programs, or use a smaller model: beastctl models list")
        }
        _ => Finding::ok(CHECK, text),
    }
}

#[cfg(target_os = "macos")]
fn look(wait: &Wait) -> Result<Option<Memory>, WaitError> {
    let said = crate::program::ask(std::path::Path::new("/usr/sbin/sysctl"), &["-n", "hw.memsize"], wait)?;
    let total = said.and_then(|said| said.answer()).ok().and_then(|said| said.trim().parse().ok());
    Ok(total.map(|total| Memory { total, available: None }))
}

#[cfg(not(target_os = "macos"))]
fn look(_: &Wait) -> Result<Option<Memory>, WaitError> {
    Ok(std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse(&text)))
}

/// `MemAvailable:    123 kB`, where a kB has 1024 bytes.
#[cfg_attr(target_os = "macos", allow(dead_code))]
fn parse(text: &str) -> Option<Memory> {
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Memory { total: field("MemTotal")?, available: field("MemAvailable") })
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
