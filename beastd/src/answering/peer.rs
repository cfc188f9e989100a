//! The client of a request, and why it may end without an answer.

use std::io;
use std::sync::Arc;

use beast_protocol::{Event, WireError};

use crate::shared::{Phase, Shared};
use crate::worker::shutting_down;

/// Most events per call when the client has fallen behind.
pub(super) const MAX_EVENTS: usize = 64;

/// The client of a request.
pub trait Peer: Send {
    /// Sends events. Waits while the client does not read; the engine continues into a bounded channel.
    ///
    /// # Errors
    /// When the client cannot be reached.
    fn send(&mut self, events: &[Event]) -> impl Future<Output = io::Result<()>> + Send;

    /// Called when the request has passed all checks; the next event shows whether the queue has room.
    fn accepted(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Resolves when the client no longer wants its answer. May be dropped and called again.
    fn departure(&mut self) -> impl Future<Output = Stopped> + Send;
}

/// Why a request ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The client cannot be reached.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The request failed; the client has not been told.
    #[error("{0}")]
    Refused(WireError),
    /// The client cancelled, and has been told that the request ended.
    #[error("the client cancelled")]
    Cancelled,
    /// The client disconnected.
    #[error("the client disconnected")]
    Gone,
}

/// Counts a request until dropped; shutdown and the idle timer wait for it.
pub struct Counted(Arc<Shared>);

impl Counted {
    pub fn new(shared: &Arc<Shared>) -> Self {
        shared.answering.send_modify(|n| *n += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.answering.send_modify(|n| *n -= 1);
    }
}

/// Counts a request while it is answered, even if the future is dropped; refuses it once the daemon is shutting down.
pub(super) async fn counted(
    shared: &Arc<Shared>,
    answer: impl Future<Output = Result<(), Stopped>>,
) -> Result<(), Stopped> {
    let _counted = Counted::new(shared);
    match shared.phase() {
        Phase::Serving => answer.await,
        _ => Err(Stopped::Refused(shutting_down())),
    }
}

/// Awaits a result, unless the client leaves first.
pub(super) async fn unless_gone<P: Peer, T>(
    peer: &mut P,
    result: impl Future<Output = Result<T, WireError>>,
) -> Result<T, Stopped> {
    tokio::select! {
        biased;
        outcome = result => outcome.map_err(Stopped::Refused),
        stopped = peer.departure() => Err(stopped),
    }
}
