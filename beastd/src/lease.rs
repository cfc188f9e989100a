//! A lease on a model: a count of its users that decrements on drop. Knows neither the model nor its users.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

/// Keeps the model loaded as long as this value lives. It travels with a request to the worker and ends when the
/// answer is computed, because a client that is still reading, or not reading at all, needs no model.
#[derive(Debug)]
pub struct Lease {
    n_users: watch::Sender<usize>,
    /// Told when it ends.
    freed: Arc<Notify>,
}

impl Lease {
    /// Adds a user.
    pub fn new(n_users: &watch::Sender<usize>, freed: &Arc<Notify>) -> Self {
        n_users.send_modify(|n| *n += 1);
        Self { n_users: n_users.clone(), freed: Arc::clone(freed) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.n_users.send_modify(|n| *n -= 1);
        self.freed.notify_one();
    }
}
