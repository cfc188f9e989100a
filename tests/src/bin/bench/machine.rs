//! Information from Linux's `/proc`: the machine, its load, and the resources of a process.

use std::{collections::HashMap, fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result};

/// The machine that the numbers come from.
pub struct Machine {
    pub cpu: String,
    pub n_cores: usize,
}

impl Machine {
    pub fn look() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
        // On ARM there is no such line.
        let cpu = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let cpu = cpu.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned();
        Ok(Self { cpu, n_cores: thread::available_parallelism().map_or(1, usize::from) })
    }
}

/// Drops a file from the page cache, except for pages that are mapped.
pub fn forget(path: &Path) {
    // Errors are ignored: what stays cached is measured as it is. macOS lacks this call, and the bench does not run
    // there.
    #[cfg(target_os = "linux")]
    if let Ok(file) = fs::File::open(path) {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
}

/// CPU use of other programs.
pub struct Busy {
    /// Share of all cores, 0 to 1.
    pub share: f64,
    /// The busiest processes and their shares of one core.
    top: Vec<(String, f64)>,
}

impl Busy {
    /// The busiest processes, as text.
    pub fn who(&self) -> String {
        if self.top.is_empty() {
            return "no process that is seen from here".into();
        }
        let one = |(name, share): &(String, f64)| format!("{name} {:.0} % of a core", share * 100.0);
        self.top.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Watches the cores for a second.
pub fn busy() -> Result<Busy> {
    let (before, processes_before) = (cpu_times()?, process_times());
    thread::sleep(Duration::from_secs(1));
    let (after, processes_after) = (cpu_times()?, process_times());
    let n_total = after.n_total.saturating_sub(before.n_total).max(1) as f64;
    let n_idle = after.n_idle.saturating_sub(before.n_idle) as f64;
    let n_core = n_total / after.n_cores as f64;

    let mut top: Vec<(String, f64)> = processes_after
        .into_iter()
        .filter(|(pid, _)| *pid != std::process::id())
        .map(|(pid, (name, n))| {
            let n_before = processes_before.get(&pid).map_or(0, |(_, n)| *n);
            (format!("{name} ({pid})"), n.saturating_sub(n_before) as f64 / n_core)
        })
        .filter(|(_, share)| *share >= 0.02)
        .collect();
    top.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    top.truncate(4);
    Ok(Busy { share: 1.0 - n_idle / n_total, top })
}

struct CpuTimes {
    n_total: u64,
    n_idle: u64,
    n_cores: usize,
}

fn cpu_times() -> Result<CpuTimes> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    parse_cpu_times(&stat).context("cannot understand /proc/stat")
}

/// In ticks: user, nice, system, idle, iowait, irq, softirq and steal. Guest time, which follows, is included in user
/// time.
fn parse_cpu_times(stat: &str) -> Option<CpuTimes> {
    let first = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = first.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let n_cores = stat.lines().filter(is_core).count().max(1);
    Some(CpuTimes { n_total: ticks.iter().sum(), n_idle: ticks.get(3)? + ticks.get(4)?, n_cores })
}

/// Name and ticks of every process.
fn process_times() -> HashMap<u32, (String, u64)> {
    let Ok(folder) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Processes that have ended meanwhile are left out.
    pids.filter_map(|pid: u32| Some((pid, parse_process(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The name is in parentheses and may itself contain some.
fn parse_process(stat: &str) -> Option<(String, u64)> {
    let (head, rest) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some((name.into(), ticks(11)? + ticks(12)?))
}

/// A size of a process in bytes, such as `VmRSS`.
pub fn memory(pid: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = number_of(&status, field).with_context(|| format!("/proc tells no {field}"))?;
    Ok(kib as f64 * 1024.0)
}

/// What a thread has used since its start.
pub struct Thread {
    pub name: String,
    /// Context switches; each one means that the thread was awake.
    pub n_switches: u64,
    /// CPU time.
    pub cpu: Duration,
}

/// The threads of a process by their ids.
pub fn threads(pid: u32) -> Result<HashMap<u32, Thread>> {
    let mut threads = HashMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = entry?.path();
        let read = |file: &str| fs::read_to_string(folder.join(file));
        // A thread may end at any time.
        let (Ok(status), Ok(times)) = (read("status"), read("schedstat")) else { continue };
        let name = status.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default().trim().into();
        let switches = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|field| number_of(&status, field));
        let n_switches = switches[0].zip(switches[1]).map(|(a, b)| a + b).context("/proc counts no switches")?;
        let ns = times.split(' ').next().and_then(|ns| ns.parse().ok()).context("/proc tells no CPU time")?;
        let id = folder.file_name().and_then(|id| id.to_str()?.parse().ok()).context("a thread has no id")?;
        threads.insert(id, Thread { name, n_switches, cpu: Duration::from_nanos(ns) });
    }
    Ok(threads)
}

fn number_of(status: &str, field: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
