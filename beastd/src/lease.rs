//! A lease on the model: a count of its users that decrements on drop. Knows neither the model nor its users.

use tokio::sync::watch;

/// Keeps the model loaded as long as this value lives. It travels with a request to the worker and ends when the
/// answer is computed, because a client that is still reading, or not reading at all, needs no model.
#[derive(Debug)]
pub struct Lease(watch::Sender<usize>);

impl Lease {
    /// Adds a user.
    pub fn new(n_users: &watch::Sender<usize>) -> Self {
        n_users.send_modify(|n| *n += 1);
        Self(n_users.clone())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}
