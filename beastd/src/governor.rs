//! Chooses the number of compute threads: all on an idle machine, fewer under CPU contention.
//!
//! Every operation of the engine ends in a barrier. A thread that shares its core with a busy program is paused for
//! milliseconds at a time while all others wait: with one of two cores taken, two threads decoded up to forty times
//! slower than on an idle machine, and much slower than one thread alone. So busy cores get no thread, only
//! best-effort helpers that never block the single thread (`engine/kernels/crew.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The workers of this daemon that compute on the CPU at the same time, one for each model. They divide the threads.
#[derive(Debug, Clone, Default)]
pub struct Crowd(Arc<AtomicUsize>);

/// A worker that computes, until dropped.
#[derive(Debug)]
pub struct Present(Arc<AtomicUsize>);

impl Crowd {
    pub fn enter(&self) -> Present {
        self.0.fetch_add(1, Relaxed);
        Present(Arc::clone(&self.0))
    }

    /// Workers that compute now.
    pub fn n(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// CPU time of all other processes at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// On the monotonic clock, in microseconds.
    pub at_us: u64,
    /// CPU time used by other processes since boot, over all cores, in microseconds.
    pub others_us: u64,
}

impl Sample {
    /// Average number of cores that other processes have used since an earlier sample.
    pub fn others_since(self, before: Self) -> f64 {
        let elapsed_us = self.at_us.saturating_sub(before.at_us).max(1);
        self.others_us.saturating_sub(before.others_us) as f64 / elapsed_us as f64
    }
}

/// Interval between samples while computing, in microseconds: the kernel counts in hundredths of a second.
pub const PERIOD_US: u64 = 100_000;
/// A core counts as free up to this use by other processes: housekeeping, a client that prints.
const TOLERATED_CORES: f64 = 0.3;
/// More threads must have been possible for this long, in microseconds, and in at least two samples in a row, before
/// their number grows.
const CALM_US: u64 = 500_000;

/// After an idle period of up to this length, in microseconds, a sample still describes the present; after a longer
/// one it says too little about the end of the period.
const SHORT_REST_US: u64 = 5_000_000;

/// How often to count runnable threads after an idle period.
const N_LOOKS: usize = 4;

/// Chooses the number of threads from samples. Has no clock.
#[derive(Debug)]
pub struct Governor {
    n_cores: usize,
    n_max: usize,
    n_now: usize,
    last: Option<Sample>,
    /// Since when, according to the samples, more threads would have been possible.
    calm_since_us: Option<u64>,
    /// Whether the engine was idle between the last sample and now.
    has_rested: bool,
    /// Whether other processes do not matter.
    is_blind: bool,
}

impl Governor {
    /// Starts with all `n_max` threads on a machine of `n_cores` cores.
    pub fn new(n_max: usize, n_cores: usize) -> Self {
        Self { n_cores, n_max, n_now: n_max, last: None, calm_since_us: None, has_rested: false, is_blind: false }
    }

    /// One that takes no samples.
    #[must_use]
    pub fn blind(self) -> Self {
        Self { is_blind: true, ..self }
    }

    /// Whether a sample is due.
    pub fn is_due(&self, now_us: u64) -> bool {
        self.n_max > 1 && !self.is_blind && self.last.is_none_or(|last| now_us >= last.at_us + PERIOD_US)
    }

    /// Takes a sample; returns the number of threads if it changes. `n_runnable` counts other processes' threads that
    /// run or wait for a core, a moment later with each call.
    pub fn observe(&mut self, sample: Sample, n_runnable: impl FnMut() -> u64) -> Option<usize> {
        let last = self.last.replace(sample)?;
        let has_rested = std::mem::take(&mut self.has_rested);
        let elapsed_us = sample.at_us.saturating_sub(last.at_us);
        if elapsed_us < PERIOD_US / 2 || (has_rested && elapsed_us > SHORT_REST_US) {
            return None;
        }
        let mut n_wanted = self.n_wanted(sample.others_since(last));
        if has_rested && n_wanted < self.n_max {
            // `make && beastctl …`: the program that was busy during the idle period may have ended with it. The
            // minimum of several counts is used, because the client and our own threads may still be running at the
            // first.
            let n_left = std::iter::repeat_with(n_runnable).take(N_LOOKS).min().unwrap_or(0);
            n_wanted = n_wanted.max(self.n_wanted(n_left as f64));
        }
        // Fewer threads at once, more only after a calm period: one thread too many costs far more than one too few.
        if n_wanted > self.n_now {
            let since_us = *self.calm_since_us.get_or_insert(last.at_us);
            // A long step may have started under contention and ended without it, so its sample is doubtful; an idle
            // period's is not.
            let is_first_look = since_us == last.at_us && !has_rested;
            if is_first_look || sample.at_us < since_us + CALM_US {
                return None;
            }
        } else if n_wanted == self.n_now {
            self.calm_since_us = None;
            return None;
        }
        self.calm_since_us = None;
        self.n_now = n_wanted;
        Some(n_wanted)
    }

    /// Threads to use when other processes use this many cores.
    fn n_wanted(&self, others: f64) -> usize {
        let n_free = (self.n_cores as f64 - others + TOLERATED_CORES).floor().max(1.0) as usize;
        n_free.min(self.n_max)
    }

    /// Marks the engine as idle until the next sample.
    pub fn rest(&mut self) {
        self.has_rested = true;
        self.calm_since_us = None;
    }

    pub fn n_threads(&self) -> usize {
        self.n_now
    }

    /// The share of one of `n_workers` workers that compute at the same time.
    pub fn n_threads_among(&self, n_workers: usize) -> usize {
        self.n_now.min(self.n_max / n_workers.max(1)).max(1)
    }
}

/// Samples the machine; `None` where that is not possible, which always means all threads.
#[cfg(target_os = "linux")]
pub fn sample(now_us: u64) -> Option<Sample> {
    let all = busy_ticks(&std::fs::read_to_string("/proc/stat").ok()?)?;
    let own = own_ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    let us_per_tick = 1_000_000 / rustix::param::clock_ticks_per_second().max(1);
    Some(Sample { at_us: now_us, others_us: all.saturating_sub(own) * us_per_tick })
}

/// Number of other processes' threads that run or wait for a core, a millisecond from now.
#[cfg(target_os = "linux")]
pub fn n_runnable() -> u64 {
    std::thread::sleep(std::time::Duration::from_millis(1));
    let stat = std::fs::read_to_string("/proc/stat").ok();
    // Subtracts the reading thread itself.
    stat.and_then(|stat| runnable(&stat)).map_or(u64::MAX, |n| n.saturating_sub(1))
}

/// Never called, because there are no samples either.
#[cfg(not(target_os = "linux"))]
pub fn n_runnable() -> u64 {
    u64::MAX
}

/// macOS computes on the GPU, and has no simple file with its CPU load.
#[cfg(not(target_os = "linux"))]
pub fn sample(_now_us: u64) -> Option<Sample> {
    None
}

/// Ticks of all cores in `/proc/stat`: user, system, interrupts and stolen. Niced processes do not count, because the
/// kernel makes them wait for us.
#[cfg(target_os = "linux")]
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<u64> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [user, _nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else { return None };
    Some(user + system + irq + softirq + steal)
}

/// Threads in `/proc/stat` that run or wait for a core, including the reading thread.
#[cfg(target_os = "linux")]
fn runnable(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("procs_running "))?.trim().parse().ok()
}

/// Ticks of this process in `/proc/self/stat`: fields 14 and 15. The name in field 2 may contain any character, even
/// parentheses.
#[cfg(target_os = "linux")]
fn own_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds samples one period apart, each with the number of cores that other processes use; returns the threads
    /// after each.
    fn check(n_max: usize, n_cores: usize, others: &[f64]) -> Vec<usize> {
        let mut governor = Governor::new(n_max, n_cores);
        let mut sample = Sample { at_us: 1, others_us: 1000 };
        governor.observe(sample, || 9);
        let mut look = |&cores: &f64| {
            sample.at_us += PERIOD_US;
            sample.others_us += (cores * PERIOD_US as f64) as u64;
            governor.observe(sample, || 9);
            governor.n_threads()
        };
        others.iter().map(&mut look).collect()
    }

    #[test]
    fn an_idle_machine_computes_with_all_threads() {
        assert_eq!(check(2, 2, &[0.0, 0.1, 0.2, 0.0]), [2, 2, 2, 2]);
    }

    #[test]
    fn a_core_that_is_taken_is_given_back_at_once_and_taken_again_when_it_was_calm_for_half_a_second() {
        assert_eq!(check(2, 2, &[0.0, 0.7, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), [2, 1, 1, 1, 1, 1, 1, 2, 2]);
        let to_and_fro = [0.9, 0.0, 0.0, 0.0, 0.0].repeat(3);
        assert_eq!(check(2, 2, &to_and_fro), [1; 15], "no to and fro");
    }

    #[test]
    fn a_single_look_at_a_long_step_is_not_enough() {
        let mut governor = Governor::new(2, 2);
        let mut look = |at_us, others_us| governor.observe(Sample { at_us, others_us }, || 9);
        assert_eq!(look(0, 0), None);
        assert_eq!(look(3_000_000, 3_000_000), Some(1));
        assert_eq!(look(6_000_000, 3_000_000), None);
        assert_eq!(look(9_000_000, 3_000_000), Some(2));
    }

    #[test]
    fn one_thread_is_always_left_and_spare_cores_come_first() {
        assert_eq!(check(2, 2, &[2.0, 2.0]), [1, 1]);
        assert_eq!(check(4, 8, &[3.0, 4.0, 5.0, 7.5]), [4, 4, 3, 1]);
    }

    #[test]
    fn models_that_compute_at_the_same_time_divide_the_threads() {
        let crowd = Crowd::default();
        let governor = Governor::new(4, 4);
        let share = || governor.n_threads_among(crowd.n());
        let first = crowd.enter();
        assert_eq!(share(), 4);
        let others = [crowd.enter(), crowd.enter()];
        assert_eq!(share(), 1);
        drop(first);
        assert_eq!(share(), 2);
        drop(others);
        assert_eq!((share(), Governor::new(1, 1).n_threads_among(3)), (4, 1));
    }

    #[test]
    fn a_single_thread_needs_no_looks() {
        assert!(!Governor::new(1, 1).is_due(u64::MAX / 2));
    }

    #[test]
    fn after_a_short_rest_the_first_look_counts_and_after_a_long_one_it_does_not() {
        let mut governor = Governor::new(2, 2);
        let mut at = |at_us, others_us, has_rested: bool| {
            if has_rested {
                governor.rest();
            }
            governor.observe(Sample { at_us, others_us }, || 9)
        };
        let second = 1_000_000;
        assert_eq!(at(0, 0, false), None);
        assert_eq!(at(second, second, true), Some(1), "somebody was busy until now");
        assert_eq!(at(2 * second, second, true), Some(2), "nobody was");
        assert_eq!(at(2 * second + PERIOD_US, second + PERIOD_US, false), Some(1));
        assert_eq!(at(2 * second + 3 * PERIOD_US, second + PERIOD_US, true), None, "too short to tell");
        let long = 60 * second;
        assert_eq!(at(long, 2 * second, true), None);
        // A step may take long just because of contention.
        assert_eq!(at(long + 10 * second, 10 * second, false), None, "there is only one thread already");
        assert_eq!(governor.n_threads(), 1);
        assert!(!governor.is_due(long + 10 * second + PERIOD_US - 1));
        assert!(governor.is_due(long + 10 * second + PERIOD_US));
    }

    #[test]
    fn who_was_busy_during_a_rest_and_does_not_run_any_more_takes_no_core() {
        let mut governor = Governor::new(2, 2);
        let mut at = |at_us, others_us, counts: [u64; 4]| {
            governor.rest();
            let mut counts = counts.into_iter();
            governor.observe(Sample { at_us, others_us }, || counts.next().expect("four looks"))
        };
        let second = 1_000_000;
        assert_eq!(at(0, 0, [9; 4]), None);
        assert_eq!(at(second, second, [2, 1, 0, 1]), None, "it has ended");
        assert_eq!(at(2 * second, 2 * second, [1; 4]), Some(1), "it has not");
        assert_eq!(at(3 * second, 3 * second, [0; 4]), Some(2), "the core is free again");
        assert_eq!(at(4 * second, 3 * second, [9; 4]), None, "a moment's crowd is no contention");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(busy_ticks("cpu  100 900 20 5000 7 1 2 3 0 0\ncpu0 1 1"), Some(126));
        assert_eq!(own_ticks("42 (a ) name) S 1 2 3 4 5 6 7 8 9 10 111 222 0 0"), Some(333));
        assert_eq!(runnable("cpu  1 2\nprocs_running 3\nprocs_blocked 0\n"), Some(3));
        assert_eq!((busy_ticks("cpu 1 2"), own_ticks("42 (x) S 1")), (None, None));
        let before = sample(1).expect("Linux has these files");
        assert!(sample(2).expect("still").others_us >= before.others_us / 2);
    }
}
