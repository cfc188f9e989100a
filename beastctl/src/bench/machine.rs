//! What the numbers were measured on.

use std::{fs, process::Command, thread};

use serde_json::{Value, json};

use crate::output::units::{bytes, count};

/// The machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// The processor's name, as far as the system tells it.
    pub(super) cpu: String,
    /// Cores that this process may use.
    pub(super) n_cores: usize,
    /// `None` where the system does not tell.
    pub(super) n_bytes: Option<u64>,
}

impl Machine {
    /// This one.
    pub(super) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (cpu, n_bytes) = if cfg!(target_os = "macos") {
            (sysctl("machdep.cpu.brand_string"), sysctl("hw.memsize").and_then(|text| text.parse().ok()))
        } else {
            (cpu_of(&read("/proc/cpuinfo")), memory_of(&read("/proc/meminfo")))
        };
        let n_cores = thread::available_parallelism().map_or(1, usize::from);
        // ARM machines with Linux tell no name.
        Self { cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.into()), n_cores, n_bytes }
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        let memory = self.n_bytes.map(|n| format!(", {} memory", bytes(n))).unwrap_or_default();
        format!("{}, {}{memory}", self.cpu, count(self.n_cores as u64, "core"))
    }

    /// For programs.
    pub(super) fn object(&self) -> Value {
        json!({ "cpu": self.cpu, "n_cores": self.n_cores, "memory_bytes": self.n_bytes })
    }
}

fn cpu_of(cpuinfo: &str) -> Option<String> {
    let value = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    value.map(|(_, name)| name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn memory_of(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn sysctl(name: &str) -> Option<String> {
    let output = Command::new("/usr/sbin/sysctl").args(["-n", name]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
