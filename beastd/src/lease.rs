//! A lease on the model: a count of users that goes down by itself. Knows neither the model nor its users.

use tokio::sync::watch;

/// Keeps the model in memory as long as it lives. It travels with a request to the worker and ends when the answer is
/// computed: a client that reads slowly, or not at all, needs no model.
#[derive(Debug)]
pub struct Lease(watch::Sender<usize>);

impl Lease {
    /// One more user.
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
