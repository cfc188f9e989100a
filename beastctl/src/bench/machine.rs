//! The machine that was measured.

use std::{fs, path::Path, thread};

use serde_json::{Value, json};

use crate::{
    output::units::{bytes, count},
    program,
    wait::Wait,
};

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

    pub(super) fn text(&self) -> String {
        let memory = self.n_bytes.map(|n| format!(", {} memory", bytes(n))).unwrap_or_default();
        format!("{}, {}{memory}", self.cpu, count(self.n_cores as u64, "core"))
    }

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
    let said = program::ask(Path::new("/usr/sbin/sysctl"), &["-n", name], &Wait::default()).ok()?;
    let text = said.and_then(program::Said::answer).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
