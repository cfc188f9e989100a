//! How many cores get a compute thread: physical ones, and on hybrid CPUs only the fast ones.
//!
//! Every operation of the engine waits for its slowest thread: one efficiency core slows down all performance cores,
//! and two threads on one core compete.

/// CPUs that this process may use: at least one.
pub fn allowed() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Number of cores worth a thread: at least one, at most as many as are allowed.
pub fn worth_a_thread() -> usize {
    fast_cores().unwrap_or_else(num_cpus::get_physical).clamp(1, allowed())
}

/// Fast physical cores; `None` if the machine has only one kind of core, or this is unknown.
#[cfg(target_os = "linux")]
fn fast_cores() -> Option<usize> {
    let cpus = "/sys/devices/system/cpu";
    let read = |path: String| std::fs::read_to_string(path).ok();
    // Intel hybrids list the CPUs of each kind.
    let fast = match read("/sys/devices/cpu_core/cpus".into()) {
        Some(list) => numbers(&list)?,
        None => {
            // Arm reports a capacity per core, of at most 1024.
            let all = numbers(&read(format!("{cpus}/present"))?)?;
            let capacity = |cpu: &usize| read(format!("{cpus}/cpu{cpu}/cpu_capacity"))?.trim().parse::<u32>().ok();
            let capacities: Vec<_> = all.iter().map(capacity).collect::<Option<_>>()?;
            fastest(&all, &capacities)?
        }
    };
    // Counts each physical core once, by its first hardware thread.
    let is_first = |cpu: &&usize| {
        let siblings = read(format!("{cpus}/cpu{cpu}/topology/thread_siblings_list"));
        siblings.and_then(|list| numbers(&list)).is_none_or(|list| list.first() == Some(*cpu))
    };
    Some(fast.iter().filter(is_first).count())
}

/// macOS numbers core types from the fastest.
#[cfg(target_os = "macos")]
fn fast_cores() -> Option<usize> {
    let output =
        std::process::Command::new("/usr/sbin/sysctl").args(["-n", "hw.perflevel0.physicalcpu"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn fast_cores() -> Option<usize> {
    None
}

/// Parses a CPU list such as `0-3,8`.
#[cfg(any(target_os = "linux", test))]
fn numbers(list: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for range in list.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        numbers.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(numbers)
}

/// The cores with the largest capacity; `None` when all are equal. Nearly equal capacities count as equal: on some
/// chips, one core is slightly faster than the rest.
#[cfg(any(target_os = "linux", test))]
fn fastest(cpus: &[usize], capacities: &[u32]) -> Option<Vec<usize>> {
    let max = *capacities.iter().max()?;
    let is_fast = |capacity: u32| capacity * 4 >= max * 3;
    let fast: Vec<_> = cpus.iter().zip(capacities).filter(|(_, c)| is_fast(**c)).map(|(cpu, _)| *cpu).collect();
    (fast.len() < cpus.len()).then_some(fast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(numbers("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(numbers("\n"), Some(vec![]));
        assert_eq!(numbers("all"), None);
    }

    #[test]
    fn the_fast_kind_is_told_from_the_slow_one() {
        assert_eq!(fastest(&[0, 1, 2, 3], &[400, 400, 1024, 1024]), Some(vec![2, 3]));
        assert_eq!(fastest(&[0, 1, 2], &[900, 1000, 1024]), None, "one kind");
        assert_eq!(fastest(&[], &[]), None);
    }

    #[test]
    fn there_is_always_one_and_never_more_than_allowed() {
        assert!((1..=allowed()).contains(&worth_a_thread()));
    }
}
