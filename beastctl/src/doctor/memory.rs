//! Compares the available memory with the size of the model.

use super::finding::Finding;
use crate::{machine::Memory, output::units::bytes};

const CHECK: &str = "memory";

/// `loaded` is the size of the model that the daemon has in memory, `file` the size of the one that it would load.
pub(super) fn check(loaded: Option<u64>, file: Option<u64>) -> Finding {
    match Memory::look() {
        Some(memory) => judge(memory, loaded, file),
        None => Finding::ok(CHECK, "this system does not report its memory"),
    }
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
    // The KV cache and buffers come on top of the weights.
    let needed = n + n / 4;
    match memory.available {
        Some(available) if available < needed => {
            Finding::warning(CHECK, text, "close other programs, or use a smaller model: beastctl models list")
        }
        _ => Finding::ok(CHECK, text),
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
