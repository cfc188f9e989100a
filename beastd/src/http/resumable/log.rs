//! What a stream has said so far, for any number of readers.

use std::sync::Mutex;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::openai::now_s;

/// The bytes of a stream, from its beginning.
#[derive(Debug)]
pub(super) struct Log {
    bytes: Mutex<Vec<u8>>,
    state: watch::Sender<State>,
    /// Seconds since 1970.
    pub(super) started_at: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    n_bytes: usize,
    ended: Option<(Instant, u64)>,
    is_stopped: bool,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { bytes: Mutex::default(), state: watch::Sender::default(), started_at: now_s() }
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> usize {
        self.state.borrow().n_bytes
    }

    pub(super) fn append(&self, more: &[u8]) {
        if more.is_empty() {
            return;
        }
        let mut bytes = self.bytes.lock().expect("nobody panics with it");
        bytes.extend_from_slice(more);
        self.state.send_modify(|state| state.n_bytes = bytes.len());
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        self.state.send_modify(|state| state.ended = Some((Instant::now(), now_s())));
    }

    /// When it ended.
    pub(super) fn ended(&self) -> Option<Instant> {
        self.state.borrow().ended.map(|(at, _)| at)
    }

    /// The same in seconds since 1970; 0 while it goes on.
    pub(super) fn completed_at(&self) -> u64 {
        self.state.borrow().ended.map_or(0, |(_, at)| at)
    }

    /// Nobody wants it any more.
    pub(super) fn stop(&self) {
        self.state.send_modify(|state| state.is_stopped = true);
    }

    /// Resolves when nobody wants it any more.
    pub(super) async fn stopped(&self) {
        let _ = self.state.subscribe().wait_for(|state| state.is_stopped).await;
    }

    /// What follows a byte, as soon as there is something; `None` at the end.
    pub(super) async fn read(&self, from: usize) -> Option<Vec<u8>> {
        let mut state = self.state.subscribe();
        let is_over = |state: &State| state.ended.is_some() || state.is_stopped;
        // The sender is ours.
        let n_bytes =
            state.wait_for(|state| state.n_bytes > from || is_over(state)).await.map_or(0, |state| state.n_bytes);
        (n_bytes > from).then(|| self.bytes.lock().expect("nobody panics with it")[from..].to_vec())
    }
}
