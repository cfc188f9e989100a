//! The registry of streams: those of this process, and those that earlier processes left on disk. Knows nothing of
//! their contents.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::{Notify, OwnedMutexGuard, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::journal::{self, Head, Journal};
use super::log::Log;
use crate::http::openai::now_s;
use crate::http::refusal::Refusal;

/// How long an ended or interrupted stream can be fetched, in seconds, across restarts.
pub(super) const KEPT: u64 = 300;
/// Most streams at once.
pub(super) const MAX_STREAMS: usize = 64;

#[derive(Debug)]
pub(crate) struct Streams {
    /// Folder of the journals; `None` without a home directory.
    folder: Option<PathBuf>,
    known: Mutex<HashMap<String, Stream>>,
    /// Requests that will begin a stream.
    announced: Mutex<HashMap<u64, Announcement>>,
    /// Signals that an announced request has begun its stream or has failed.
    settled: Notify,
    /// Held while files are created, read or removed, which keeps the files and `known` consistent.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Signals that the next expiry may have changed.
    changed: Notify,
    /// Whether a failure to write journals has already been logged.
    is_failing: AtomicBool,
}

#[derive(Debug)]
struct Announcement {
    /// The name of its stream.
    id: String,
    /// Cancels the request; `None` once that has happened.
    stop: Option<oneshot::Sender<()>>,
    /// When it was detached from its client, in seconds since 1970; `None` before that.
    since: Option<u64>,
}

#[derive(Debug)]
enum Stream {
    Open(Arc<Log>),
    /// Only on disk.
    Stored(Summary),
}

/// Facts about a stream, without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) started_at: u64,
    pub(super) n_bytes: usize,
    pub(super) is_done: bool,
    /// When it ended or was last written, in seconds since 1970.
    pub(super) at: u64,
}

impl Stream {
    fn summary(&self) -> Summary {
        match self {
            Self::Stored(summary) => *summary,
            Self::Open(log) => Summary {
                started_at: log.started_at,
                n_bytes: log.len(),
                is_done: log.ended_at().is_some(),
                at: log.ended_at().unwrap_or(u64::MAX),
            },
        }
    }

    /// When it was last written to, in seconds since 1970; `None` while it is being written.
    fn at_rest_since(&self) -> Option<u64> {
        match self {
            Self::Stored(summary) => Some(summary.at),
            Self::Open(log) => log.ended_at(),
        }
    }

    fn is_expired(&self) -> bool {
        self.at_rest_since().is_some_and(|at| is_expired(at, now_s()))
    }
}

/// Whether a stream has expired. The absolute difference keeps a clock that is set back from making streams immortal.
pub(super) fn is_expired(at: u64, now: u64) -> bool {
    now.abs_diff(at) >= KEPT
}

/// Exclusive access to the files.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Streams {
    /// The streams of this folder. The journals of earlier processes are scanned on another thread, before any other
    /// access.
    pub(crate) fn open(folder: Option<PathBuf>) -> Arc<Self> {
        let turn = Arc::new(tokio::sync::Mutex::default());
        let first = Arc::clone(&turn).try_lock_owned();
        let streams = Arc::new(Self {
            folder,
            known: Mutex::default(),
            announced: Mutex::default(),
            settled: Notify::new(),
            turn,
            changed: Notify::new(),
            is_failing: AtomicBool::new(false),
        });
        let found = Arc::clone(&streams);
        spawn_blocking(move || {
            let _turn = first.expect("nobody else knows it yet");
            let stored = found.folder.as_deref().map(|folder| journal::scan(folder, MAX_STREAMS)).unwrap_or_default();
            let mut known = found.known();
            for (id, summary) in stored {
                // A new stream may have taken the name during the scan.
                known.entry(id).or_insert(Stream::Stored(summary));
            }
            drop(known);
            found.changed.notify_one();
        });
        tokio::spawn(Arc::clone(&streams).sweep());
        streams
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        self.known.lock().expect("the lock is never poisoned")
    }

    fn announced(&self) -> MutexGuard<'_, HashMap<u64, Announcement>> {
        self.announced.lock().expect("the lock is never poisoned")
    }

    /// Detached requests that still wait for their model, and when they were detached.
    fn waiting(&self) -> HashMap<String, u64> {
        let announced = self.announced();
        let waiting = announced.values().filter(|announcement| announcement.stop.is_some());
        waiting.filter_map(|announcement| Some((announcement.id.clone(), announcement.since?))).collect()
    }

    /// Waits for exclusive access to the files.
    pub(super) async fn turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Runs `work` on the folder off the sockets' thread, exclusively, and to its end even if the caller is dropped.
    /// `None` without a folder.
    pub(super) async fn on_disk<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Option<(Turn, T)> {
        let folder = self.folder.clone()?;
        spawn_blocking(move || {
            let done = work(&folder);
            (turn, done)
        })
        .await
        .ok()
    }

    /// A stream of this process.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Log>> {
        match self.known().get(id) {
            Some(stream @ Stream::Open(log)) if !stream.is_expired() => Some(Arc::clone(log)),
            _ => None,
        }
    }

    /// A stream of this process; waits for one whose request is still waiting for its model.
    pub(super) async fn begun(&self, id: &str) -> Option<Arc<Log>> {
        loop {
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            if !self.waiting().contains_key(id) {
                return self.get(id);
            }
            settled.await;
        }
    }

    /// A stream that exists only on disk.
    pub(super) fn stored(&self, id: &str) -> Option<Summary> {
        match self.known().get(id) {
            Some(stream @ Stream::Stored(summary)) if !stream.is_expired() => Some(*summary),
            _ => None,
        }
    }

    /// Streams with these ids.
    pub(super) fn find(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Summary)> {
        let waiting = self.waiting();
        let known = self.known();
        let found = known.iter().filter(|(id, stream)| !waiting.contains_key(*id) && !stream.is_expired());
        let found = found.map(|(id, stream)| (id.clone(), stream.summary()));
        let nothing_yet = |at: u64| Summary { started_at: at, n_bytes: 0, is_done: false, at: u64::MAX };
        let waiting = waiting.iter().map(|(id, at)| (id.clone(), nothing_yet(*at)));
        found.chain(waiting).filter(|(id, _)| is_wanted(id)).collect()
    }

    /// Adds a stream, stopping and replacing one with the same name. Returns the name of an evicted one, whose file
    /// still exists.
    ///
    /// # Errors
    /// 429 when the maximum number of streams is being written.
    pub(super) fn insert(&self, id: &str, log: &Arc<Log>) -> Result<Option<String>, Refusal> {
        let mut known = self.known();
        let mut evicted = None;
        if !known.contains_key(id) && known.len() >= MAX_STREAMS {
            let at_rest = known.iter().filter_map(|(id, stream)| Some((stream.at_rest_since()?, id.clone())));
            let Some((_, oldest)) = at_rest.min() else { return Err(too_many()) };
            known.remove(&oldest);
            evicted = Some(oldest);
        }
        if let Some(Stream::Open(replaced)) = known.insert(id.to_owned(), Stream::Open(Arc::clone(log))) {
            replaced.stop(conflict("the stream was replaced: a new request uses its X-Conversation-Id"));
        }
        Ok(evicted)
    }

    /// Replaces a stream that was only on disk by its restored log; false when it no longer exists.
    pub(super) fn reopen(&self, id: &str, log: &Arc<Log>) -> bool {
        match self.known().get_mut(id) {
            Some(stream @ Stream::Stored(_)) => {
                *stream = Stream::Open(Arc::clone(log));
                self.changed.notify_one();
                true
            }
            _ => false,
        }
    }

    /// Marks a stream as only on disk again, because it could not be resumed.
    pub(super) fn put_back(&self, id: &str, log: &Arc<Log>, summary: Summary) {
        if let Some(stream) = self.known().get_mut(id)
            && matches!(stream, Stream::Open(there) if Arc::ptr_eq(there, log))
        {
            *stream = Stream::Stored(summary);
            self.changed.notify_one();
        }
    }

    /// Ends a stream: from now on it can expire.
    pub(super) fn end(&self, log: &Log) {
        log.end(now_s());
        self.changed.notify_one();
    }

    /// Announces a request that will start a stream of this name, so that stopping that name stops the request.
    pub(super) fn announce(self: &Arc<Self>, id: String) -> Announced {
        self.announce_since(id, None)
    }

    /// Announces a request that runs without its client. A client that reconnects to the stream waits for it.
    ///
    /// # Errors
    /// 429 when the maximum number of such requests is waiting.
    pub(super) fn detach(self: &Arc<Self>, id: String) -> Result<Announced, Refusal> {
        if self.announced().values().filter(|announcement| announcement.since.is_some()).count() >= MAX_STREAMS {
            return Err(too_many());
        }
        Ok(self.announce_since(id, Some(now_s())))
    }

    fn announce_since(self: &Arc<Self>, id: String, since: Option<u64>) -> Announced {
        let (stop, stopped) = oneshot::channel();
        let mut announced = self.announced();
        let n = (0..).find(|n| !announced.contains_key(n)).expect("there are fewer requests than numbers");
        announced.insert(n, Announcement { id, stop: Some(stop), since });
        Announced { streams: Arc::clone(self), n, stopped }
    }

    /// Stops everything with this name, started or announced.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub(super) async fn delete(&self, id: &str) -> io::Result<()> {
        self.stop(id);
        let turn = self.turn().await;
        // A concurrent access may have loaded it from disk.
        if self.stored(id).is_some() {
            self.stop(id);
        }
        self.remove_files(turn, vec![id.to_owned()]).await
    }

    fn stop(&self, id: &str) {
        for announcement in self.announced().values_mut().filter(|announcement| announcement.id == id) {
            if let Some(stop) = announcement.stop.take() {
                // Fails if the request has just been answered.
                let _ = stop.send(());
            }
        }
        self.settled.notify_waiters();
        if let Some(Stream::Open(log)) = self.known().remove(id) {
            log.stop(cancelled());
        }
    }

    /// Removes the files of these streams, except those whose names are in use again.
    pub(super) async fn remove_files(&self, turn: Turn, mut ids: Vec<String>) -> io::Result<()> {
        ids.retain(|id| !self.known().contains_key(id));
        let removed = self.on_disk(turn, move |folder| ids.iter().try_for_each(|id| journal::forget(folder, id))).await;
        removed.map_or(Ok(()), |(_, removed)| removed)
    }

    /// Creates the journal of a stream; `None` when it cannot be written, or the stream was stopped.
    pub(super) async fn journal(&self, head: Head, log: &Log) -> Option<Journal> {
        let turn = self.turn().await;
        if log.is_stopped() {
            return None;
        }
        let (_, begun) = self.on_disk(turn, move |folder| Journal::begin(folder, &head)).await?;
        match begun {
            Ok(journal) => {
                self.is_failing.store(false, Relaxed);
                Some(journal)
            }
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    /// Removes a journal after a write error: a partial one must not be resumed later.
    pub(super) async fn give_up(&self, id: &str, log: &Arc<Log>, error: &io::Error) {
        self.complain(error);
        let turn = self.turn().await;
        let is_ours = matches!(self.known().get(id), Some(Stream::Open(there)) if Arc::ptr_eq(there, log));
        if is_ours {
            let id = id.to_owned();
            self.on_disk(turn, move |folder| journal::forget(folder, &id)).await;
        }
    }

    /// Logs a write error once, until writing succeeds again.
    fn complain(&self, error: &io::Error) {
        if !self.is_failing.swap(true, Relaxed) {
            tracing::warn!(%error, "cannot save named streams to disk; they will be lost when this process ends");
        }
    }

    /// Removes expired streams. Sleeps while there are none.
    async fn sweep(self: Arc<Self>) {
        loop {
            let since = self.known().values().filter_map(Stream::at_rest_since).min();
            // The limit makes it check again even after the clock was set back.
            let left = since.map(|at| (at.saturating_add(KEPT)).saturating_sub(now_s()).min(KEPT));
            tokio::select! {
                () = sleep(Duration::from_secs(left.unwrap_or_default())), if left.is_some() => {}
                () = self.changed.notified() => continue,
            }
            let turn = self.turn().await;
            let expired = self.known().extract_if(|_, stream| stream.is_expired()).map(|(id, _)| id).collect();
            if let Err(error) = self.remove_files(turn, expired).await {
                tracing::warn!(%error, "cannot remove an expired stream");
            }
        }
    }
}

/// A request that [`Streams::announce`] registered; dropping this ends the registration.
#[derive(Debug)]
pub(crate) struct Announced {
    streams: Arc<Streams>,
    n: u64,
    stopped: oneshot::Receiver<()>,
}

impl Announced {
    /// Awaits the answer to the request, unless its stream is stopped first.
    ///
    /// # Errors
    /// Those of the answer; 400 when it was stopped.
    pub(crate) async fn unless_stopped<T>(
        mut self,
        answer: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        tokio::select! {
            // Polls `stopped` first: a stopped request must not advance.
            biased;
            Ok(()) = &mut self.stopped => Err(cancelled()),
            outcome = answer => outcome,
        }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.streams.announced().remove(&self.n);
        self.streams.settled.notify_waiters();
    }
}

/// The refusal for a stopped stream; llama-server's clients look for its wording.
pub(super) fn cancelled() -> Refusal {
    Refusal::invalid("the stream was cancelled by DELETE /v1/stream")
}

fn too_many() -> Refusal {
    let text = format!("{MAX_STREAMS} resumable streams are running; try: repeat the request in a moment");
    Refusal { retry_after: Some(1), ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", text) }
}

fn conflict(message: &str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "invalid_request_error", message)
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
