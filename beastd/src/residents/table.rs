//! The models that were asked for, and the requests that wait for one.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use beast_protocol::WireError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::plan::Claim;
use super::resident::{Hold, Resident};

/// So many requests may begin before one that waits for a model is overdue.
const MOST_TURNS: u64 = 8;
/// After this time it is overdue as well.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

pub(super) struct Table {
    /// In the order in which they were asked for.
    pub(super) all: Vec<Arc<Resident>>,
    /// Answers requests that name no model.
    pub(super) default: Arc<Resident>,
    /// Requests that wait for a model, in order of arrival.
    pub(super) waiting: Vec<Waiting>,
    /// Requests that have begun.
    pub(super) n_begun: u64,
    /// Names of the pinned models. To find them, the models folder is read.
    pub(super) pinned: Vec<String>,
}

/// A request that waits for a model.
pub(super) struct Waiting {
    pub(super) resident: Arc<Resident>,
    pub(super) since: Instant,
    /// Requests that had begun when this one arrived.
    pub(super) n_begun: u64,
    pub(super) grant: oneshot::Sender<Result<Hold, WireError>>,
}

impl Table {
    pub(super) fn claims(&self, now: Instant) -> Vec<Claim> {
        let claim = |one: &Waiting| {
            let model = self.all.iter().position(|resident| Arc::ptr_eq(resident, &one.resident));
            let is_overdue = self.n_begun - one.n_begun >= MOST_TURNS || now >= one.since + LONGEST_WAIT;
            Claim { model: model.expect("broken invariant: a model that is waited for is not forgotten"), is_overdue }
        };
        self.waiting.iter().map(claim).collect()
    }

    /// Forgets a model that was never loaded: its name was probably a mistake. Its thread ends.
    pub(super) fn forget_useless(&mut self, resident: &Arc<Resident>) {
        if resident.n_loads.load(Relaxed) == 0 && !Arc::ptr_eq(resident, &self.default) {
            self.all.retain(|one| !Arc::ptr_eq(one, resident));
        }
    }

    /// Ends the wait for a model.
    pub(super) fn refuse(&mut self, resident: &Arc<Resident>, error: &WireError) {
        let refused: Vec<_> = self.waiting.extract_if(.., |one| Arc::ptr_eq(&one.resident, resident)).collect();
        for one in refused {
            // Fails if the client is gone.
            let _ = one.grant.send(Err(error.clone()));
        }
    }
}
