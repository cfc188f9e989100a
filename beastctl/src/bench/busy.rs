//! Checks whether the machine is idle enough for meaningful numbers. Uses `/proc` on Linux.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use super::BenchError;
use crate::wait::{Wait, WaitError};

/// How long to watch the machine.
const GLANCE: Duration = Duration::from_millis(500);
/// The machine is not idle if other programs use more than this share of all cores.
const LIMIT: f64 = 0.10;
/// How many programs to name, and the share of one core that makes one worth naming.
const N_NAMED: usize = 3;
const WORTH_NAMING: f64 = 0.05;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Trust {
    Idle,
    /// The system does not report it.
    Unknown,
    /// Other programs used the machine, but the measurement was forced.
    Busy(String),
}

impl Trust {
    /// Refuses to measure while other programs use the machine, unless `is_forced`.
    pub(super) fn judge(busy: Option<Busy>, is_forced: bool) -> Result<Self, BenchError> {
        match busy {
            None => Ok(Trust::Unknown),
            Some(busy) if busy.share <= LIMIT => Ok(Trust::Idle),
            Some(busy) if is_forced => Ok(Trust::Busy(busy.words())),
            Some(busy) => Err(BenchError::MachineBusy(busy.words())),
        }
    }

    pub(super) fn warning(&self) -> Option<String> {
        match self {
            Trust::Idle => None,
            Trust::Unknown => Some("cannot check on this system whether other programs use the cores".into()),
            Trust::Busy(words) => Some(format!("these numbers are unreliable: {words}")),
        }
    }

    pub(super) fn is_trusted(&self) -> bool {
        !matches!(self, Trust::Busy(_))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Busy {
    /// Share of all cores that other programs use, 0 to 1.
    share: f64,
    /// The busiest programs and their shares of one core.
    top: Vec<(String, f64)>,
}

impl Busy {
    fn words(&self) -> String {
        let one = |(name, share): &(String, f64)| format!("{name} {:.0} % of a core", share * 100.0);
        let top: Vec<String> = self.top.iter().map(one).collect();
        let top = if top.is_empty() { String::new() } else { format!(" ({})", top.join(", ")) };
        format!("other programs use {:.0} % of the cores{top}", self.share * 100.0)
    }
}

/// Watches for half a second; `None` if `proc` has no such information.
pub(super) fn look(proc: &Path, wait: &Wait) -> Result<Option<Busy>, WaitError> {
    let Some(before) = Times::read(proc) else { return Ok(None) };
    wait.pause(GLANCE)?;
    Ok(Times::read(proc).map(|after| after.since(&before)))
}

/// CPU time since boot, in ticks.
#[derive(Debug)]
struct Times {
    n_total: u64,
    n_idle: u64,
    n_cores: usize,
    programs: HashMap<u32, (String, u64)>,
}

impl Times {
    fn read(proc: &Path) -> Option<Self> {
        let stat = fs::read_to_string(proc.join("stat")).ok()?;
        // user, nice, system, idle, iowait, irq, softirq and steal. The remaining fields are included in user time.
        let all = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
        let all: Vec<u64> = all.map(str::parse).collect::<Result<_, _>>().ok()?;
        let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
        Some(Self {
            n_total: all.iter().sum(),
            n_idle: all.get(3)? + all.get(4)?,
            n_cores: stat.lines().filter(is_core).count().max(1),
            programs: programs(proc),
        })
    }

    fn since(&self, before: &Self) -> Busy {
        let n_total = self.n_total.saturating_sub(before.n_total).max(1) as f64;
        let n_idle = self.n_idle.saturating_sub(before.n_idle) as f64;
        let of_one_core = |(pid, (name, n)): (&u32, &(String, u64))| {
            let n_before = before.programs.get(pid).map_or(0, |(_, n)| *n);
            (format!("{name} ({pid})"), n.saturating_sub(n_before) as f64 * self.n_cores as f64 / n_total)
        };
        let own = std::process::id();
        let mut top: Vec<_> = self.programs.iter().filter(|(pid, _)| **pid != own).map(of_one_core).collect();
        top.retain(|(_, share)| *share >= WORTH_NAMING);
        top.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        top.truncate(N_NAMED);
        Busy { share: (1.0 - n_idle / n_total).clamp(0.0, 1.0), top }
    }
}

/// Name and ticks of each program. One that ends meanwhile is left out.
fn programs(proc: &Path) -> HashMap<u32, (String, u64)> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let program = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name is in parentheses and may itself contain some.
        let (head, fields) = stat.rsplit_once(") ")?;
        let (_, name) = head.split_once('(')?;
        let ticks = |n| fields.split(' ').nth(n)?.parse::<u64>().ok();
        Some((pid, (name.to_owned(), ticks(11)? + ticks(12)?)))
    };
    entries.filter_map(program).collect()
}

#[cfg(test)]
#[path = "busy_tests.rs"]
mod tests;
