//! Describes this machine: processor, cores, memory. Knows `/proc` and macOS's `sysctl`, never what the values are for.

use std::{fs, path::Path, thread};

use serde::Serialize;

use crate::{
    output::units::{bytes, count},
    program,
    wait::Wait,
};

const IS_MAC: bool = cfg!(target_os = "macos");

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Machine {
    /// The processor's name, or its architecture if the system reports no name.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) n_cores: usize,
    /// `None` if the system does not report it.
    #[serde(rename = "memory_bytes")]
    pub(crate) n_bytes: Option<u64>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpu = if IS_MAC { sysctl("machdep.cpu.brand_string") } else { cpu_of(&read("/proc/cpuinfo")) };
        let n_cores = thread::available_parallelism().map_or(1, usize::from);
        let n_bytes = Memory::look().map(|memory| memory.total);
        // Linux reports no name on ARM.
        Self { cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.into()), n_cores, n_bytes }
    }

    pub(crate) fn text(&self) -> String {
        let memory = self.n_bytes.map(|n| format!(", {} memory", bytes(n))).unwrap_or_default();
        format!("{}, {}{memory}", self.cpu, count(self.n_cores as u64, "core"))
    }
}

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    /// Memory that programs can still allocate; `None` on macOS, where it is not a common figure.
    pub(crate) available: Option<u64>,
}

impl Memory {
    pub(crate) fn look() -> Option<Self> {
        match IS_MAC {
            true => Some(Self { total: sysctl("hw.memsize")?.parse().ok()?, available: None }),
            false => Self::parse(&read("/proc/meminfo")),
        }
    }

    /// `MemAvailable:    123 kB`, where a kB has 1024 bytes.
    fn parse(meminfo: &str) -> Option<Self> {
        let field = |name: &str| -> Option<u64> {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(Self { total: field("MemTotal")?, available: field("MemAvailable") })
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn cpu_of(cpuinfo: &str) -> Option<String> {
    let value = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    value.map(|(_, name)| name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn sysctl(name: &str) -> Option<String> {
    let said = program::ask(Path::new("/usr/sbin/sysctl"), &["-n", name], &Wait::default()).ok()?;
    let text = said.and_then(program::Said::answer).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
