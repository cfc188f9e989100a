//! Who needs the model to stay: a count that goes down by itself.

use tokio::sync::watch;

/// The model stays in memory as long as this lives. It goes with a request to the worker and ends with its computing: a
/// client that reads slowly, or not at all, needs no model.
#[derive(Debug)]
pub struct InUse(watch::Sender<usize>);

impl InUse {
    /// One more user.
    pub fn new(n_users: &watch::Sender<usize>) -> Self {
        n_users.send_modify(|n| *n += 1);
        Self(n_users.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}
