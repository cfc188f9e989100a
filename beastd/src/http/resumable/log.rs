//! The bytes of a stream so far, for any number of readers. Knows neither its id nor its journal.

use std::sync::Mutex;

use bytes::Bytes;
use tokio::sync::watch;

use crate::http::refusal::Refusal;

#[derive(Debug)]
pub(super) struct Log {
    bytes: Mutex<Vec<u8>>,
    state: watch::Sender<State>,
    /// Seconds since 1970.
    pub(super) started_at: u64,
}

#[derive(Debug, Clone, Default)]
struct State {
    n_bytes: usize,
    /// Seconds since 1970.
    ended_at: Option<u64>,
    stopped: Option<Refusal>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Read {
    More(Bytes),
    End,
    /// The stream was aborted, for this reason.
    Stopped(Refusal),
}

impl Log {
    pub(super) fn new(started_at: u64) -> Self {
        Self { bytes: Mutex::default(), state: watch::Sender::default(), started_at }
    }

    /// Number of bytes so far.
    pub(super) fn len(&self) -> usize {
        self.state.borrow().n_bytes
    }

    pub(super) fn append(&self, more: &[u8]) {
        if more.is_empty() {
            return;
        }
        let mut bytes = self.bytes.lock().expect("the lock is never poisoned");
        bytes.extend_from_slice(more);
        self.state.send_modify(|state| state.n_bytes = bytes.len());
    }

    /// Ends the stream at this time, in seconds since 1970.
    pub(super) fn end(&self, at: u64) {
        self.state.send_modify(|state| state.ended_at = Some(at));
    }

    /// When it ended, in seconds since 1970.
    pub(super) fn ended_at(&self) -> Option<u64> {
        self.state.borrow().ended_at
    }

    /// Aborts a stream that has not ended. The first reason counts.
    pub(super) fn stop(&self, why: Refusal) {
        self.state.send_if_modified(|state| {
            let is_open = state.stopped.is_none();
            if is_open {
                state.stopped = Some(why);
            }
            is_open
        });
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.borrow().stopped.is_some()
    }

    /// Resolves when the stream is aborted.
    pub(super) async fn stopped(&self) {
        let _ = self.state.subscribe().wait_for(|state| state.stopped.is_some()).await;
    }

    /// Returns what follows the first `from` bytes; waits until there is something.
    pub(super) async fn read(&self, from: usize) -> Read {
        let mut state = self.state.subscribe();
        let is_over = |state: &State| state.ended_at.is_some() || state.stopped.is_some();
        // Cannot fail: we hold the sender.
        let _ = state.wait_for(|state| state.n_bytes > from || is_over(state)).await;
        let State { n_bytes, ended_at, stopped } = state.borrow().clone();
        match stopped {
            _ if n_bytes > from => {
                Read::More(Bytes::copy_from_slice(&self.bytes.lock().expect("the lock is never poisoned")[from..]))
            }
            Some(why) if ended_at.is_none() => Read::Stopped(why),
            _ => Read::End,
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
