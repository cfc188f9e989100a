//! Counts who needs the model to stay loaded; decrements on drop.

use tokio::sync::watch;

/// Keeps the model loaded while it lives. Travels with a request to the worker and is dropped when computation ends: a
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
