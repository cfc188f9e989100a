//! The machine's monotonic clock. All processes share it, so a client can compute how long a piece was in transit.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since a fixed point before all running processes started.
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000
}
