//! A lease on a model: a count of its users that decrements on drop. Knows neither the model nor its users.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{Notify, watch};

use crate::clock::now_us;

/// Keeps the model loaded as long as this value lives. It travels with a request to the worker and ends when the
/// answer is computed, because a client that is still reading, or not reading at all, needs no model.
#[derive(Debug)]
pub struct Lease {
    n_users: watch::Sender<usize>,
    /// When the model was used last.
    used_us: Arc<AtomicU64>,
    /// Told when it ends.
    freed: Arc<Notify>,
}

impl Lease {
    /// Adds a user.
    pub fn new(n_users: &watch::Sender<usize>, used_us: &Arc<AtomicU64>, freed: &Arc<Notify>) -> Self {
        n_users.send_modify(|n| *n += 1);
        used_us.store(now_us(), Relaxed);
        Self { n_users: n_users.clone(), used_us: Arc::clone(used_us), freed: Arc::clone(freed) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.used_us.store(now_us(), Relaxed);
        self.n_users.send_modify(|n| *n -= 1);
        self.freed.notify_one();
    }
}
