//! How much memory this machine, or the control group that the daemon is in, can spare for models.

#[cfg(target_os = "linux")]
use std::path::Path;

/// Left to other programs, in bytes, and at least this share of all memory.
#[cfg(target_os = "linux")]
const RESERVE: u64 = 256 << 20;
#[cfg(target_os = "linux")]
const RESERVE_SHARE: u64 = 20;
/// Where the kernel shows control groups.
#[cfg(target_os = "linux")]
const GROUPS: &str = "/sys/fs/cgroup";

/// Bytes that models may take, counting those that they hold already; `None` if the system does not say.
///
/// Mapped weights are available memory for the kernel, so that only what this process has allocated is added.
#[cfg(target_os = "linux")]
pub fn spare() -> Option<u64> {
    let held = field(&read(Path::new("/proc/self/status"))?, "RssAnon:")?;
    let machine = spare_of(&read(Path::new("/proc/meminfo"))?, held)?;
    let groups = read(Path::new("/proc/self/cgroup")).and_then(|own| spare_in_groups(Path::new(GROUPS), &own, held));
    Some(groups.map_or(machine, |groups| machine.min(groups)))
}

/// macOS counts nothing that programs can still allocate: it compresses and swaps first. Three quarters of the memory
/// is what Metal allows by default.
#[cfg(target_os = "macos")]
pub fn spare() -> Option<u64> {
    static TOTAL: std::sync::OnceLock<Option<u64>> = std::sync::OnceLock::new();
    let ask = || {
        let output = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "hw.memsize"]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u64>().ok()
    };
    TOTAL.get_or_init(ask).map(|total| total / 4 * 3)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn spare() -> Option<u64> {
    None
}

#[cfg(target_os = "linux")]
fn spare_of(meminfo: &str, held: u64) -> Option<u64> {
    let total = field(meminfo, "MemTotal:")?;
    Some((field(meminfo, "MemAvailable:")? + held).min(total).saturating_sub(reserve(total)))
}

/// The least that a control group above this process can spare; `None` without limits, and under cgroup v1. `own` is
/// the content of `/proc/self/cgroup`.
#[cfg(target_os = "linux")]
fn spare_in_groups(root: &Path, own: &str, held: u64) -> Option<u64> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // A group outside the container's view begins with `..`; then only the container's own group is visible.
    let folder = if path.starts_with("..") { root.to_owned() } else { root.join(path) };
    folder.ancestors().take_while(|group| group.starts_with(root)).filter_map(|group| spare_in(group, held)).min()
}

/// What one control group can spare; `None` if it has no limit.
#[cfg(target_os = "linux")]
fn spare_in(group: &Path, held: u64) -> Option<u64> {
    let file = |name: &str| read(&group.join(name));
    // Without a limit, the file says `max`.
    let limit: u64 = file("memory.max")?.trim().parse().ok()?;
    let used: u64 = file("memory.current")?.trim().parse().ok()?;
    let stat = file("memory.stat")?;
    let cache = |name: &str| {
        let value = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
    };
    // Files in memory count as used, but leave as soon as others need it.
    let used = used.saturating_sub(cache("active_file") + cache("inactive_file"));
    Some((limit.saturating_sub(used) + held).min(limit).saturating_sub(reserve(limit)))
}

#[cfg(target_os = "linux")]
fn reserve(total: u64) -> u64 {
    RESERVE.max(total / RESERVE_SHARE)
}

#[cfg(target_os = "linux")]
fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
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

    const GIB: u64 = 1 << 30;

    #[test]
    fn what_is_available_and_what_is_held_less_a_reserve() {
        let meminfo = "MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n";
        assert_eq!(spare_of(meminfo, GIB), Some(5 * GIB - 8 * GIB / 20));
        assert_eq!(spare_of("MemFree: 1 kB\n", GIB), None);
        assert!(spare().expect("Linux has these files") > 0);
    }

    /// A folder as the kernel shows control groups: path, limit, bytes used, bytes of files among them.
    fn groups(all: &[(&str, &str, u64, u64)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder can be made");
        for (path, limit, used, files) in all {
            let folder = root.path().join(path);
            std::fs::create_dir_all(&folder).expect("the folder is ours");
            let stat = format!("anon 1\nfile {files}\ninactive_file {}\nactive_file {}\n", files / 2, files / 2);
            let content = [("max", format!("{limit}\n")), ("current", format!("{used}\n")), ("stat", stat)];
            for (name, text) in content {
                std::fs::write(folder.join(format!("memory.{name}")), text).expect("the folder is ours");
            }
        }
        root
    }

    #[test]
    fn of_nested_groups_the_one_that_can_spare_least_counts() {
        let four = (4 * GIB).to_string();
        let six = (6 * GIB).to_string();
        let spare = |all: &[(&str, &str, u64, u64)], own: &str| spare_in_groups(groups(all).path(), own, GIB);
        let own = "1:name=systemd:/old\n0::/user/app\n";
        // One of two used gibibytes is files, and one of them is this process.
        let child = [("user/app", six.as_str(), 2 * GIB, GIB), ("user", "max", 3 * GIB, 0), ("", "max", 9 * GIB, 0)];
        assert_eq!(spare(&child, own), Some(6 * GIB - 6 * GIB / 20));
        let parent = [("user/app", six.as_str(), 2 * GIB, GIB), ("user", four.as_str(), 3 * GIB, GIB)];
        assert_eq!(spare(&parent, own), Some(3 * GIB - RESERVE), "the parent's limit is lower");
        let full = [("user/app", four.as_str(), 2 * GIB, 0), ("user", six.as_str(), 6 * GIB, 0)];
        assert_eq!(spare(&full, own), Some(GIB - 6 * GIB / 20), "others fill the parent");
        assert_eq!(spare(&[("user/app", "max", GIB, 0)], own), None);
        assert_eq!(spare(&parent, "4:memory:/user/app\n"), None, "cgroup v1");
        // A container sees its own group as the root, and maybe a path outside of it.
        let container = [("", four.as_str(), GIB, 0)];
        assert_eq!(spare(&container, "0::/\n"), Some(4 * GIB - RESERVE));
        assert_eq!(spare(&container, "0::/../../other\n"), Some(4 * GIB - RESERVE));
        assert_eq!(spare(&[("", "1000", 2000, 0)], "0::/\n"), Some(0));
    }
}
