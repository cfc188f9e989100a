//! The machine's monotonic clock, shared by all processes: a client can tell how long a piece was on its way.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since an arbitrary point before all running processes.
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}
