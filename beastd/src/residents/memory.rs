//! How much memory this machine can spare for models.

/// Left to other programs, in bytes, and at least this share of all memory.
#[cfg(target_os = "linux")]
const RESERVE: u64 = 256 << 20;
#[cfg(target_os = "linux")]
const RESERVE_SHARE: u64 = 20;

/// Bytes that models may take, counting those that they hold already; `None` if the system does not say.
///
/// Mapped weights are available memory for the kernel, so that only what this process has allocated is added.
#[cfg(target_os = "linux")]
pub fn spare() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    spare_of(&meminfo, &status)
}

/// macOS has no such figure.
#[cfg(not(target_os = "linux"))]
pub fn spare() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
fn spare_of(meminfo: &str, status: &str) -> Option<u64> {
    let total = field(meminfo, "MemTotal:")?;
    let reserve = RESERVE.max(total / RESERVE_SHARE);
    Some((field(meminfo, "MemAvailable:")? + field(status, "RssAnon:")?).min(total).saturating_sub(reserve))
}

/// A line such as `MemTotal:  123 kB`, in bytes.
#[cfg(target_os = "linux")]
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|n| n * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_and_what_is_held_less_a_reserve() {
        let meminfo = "MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n";
        let gib = 1 << 30;
        assert_eq!(spare_of(meminfo, "Name: x\nRssAnon:  1048576 kB\n"), Some(5 * gib - 8 * gib / 20));
        assert_eq!(spare_of(meminfo, "Name: x\n"), None);
        assert!(spare().expect("Linux has these files") > 0);
    }
}
