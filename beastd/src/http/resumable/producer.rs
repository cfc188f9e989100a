//! Produces a stream to its end, whether or not it has readers: first to the journal, then to the readers. Knows no
//! connection.

use std::sync::Arc;

use beast_protocol::{Event, Generate, Resume};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::journal::{self, Found, Head, Journal};
use super::log::Log;
use super::streams::{Streams, Summary, cancelled};
use crate::http::answers::Answers;
use crate::http::fields::Fields;
use crate::http::openai::chat::{self, Chunks};
use crate::http::refusal::Refusal;
use crate::http::stream::{PING_AFTER, Script};
use crate::shared::Shared;

/// Most events per write.
const MAX_EVENTS: usize = 64;

/// Starts producing a stream in a task of its own. Returns once the header is on disk: from then on a client can
/// reconnect.
pub(super) async fn spawn(
    streams: &Arc<Streams>,
    log: &Arc<Log>,
    answers: Answers,
    script: Chunks,
    head: Head,
    evicted: Option<String>,
) {
    let (streams, log) = (Arc::clone(streams), Arc::clone(log));
    let (begun, has_begun) = oneshot::channel();
    tokio::spawn(async move {
        let id = head.id.clone();
        let journal = streams.journal(head, &log).await;
        // Fails if the caller is gone.
        let _ = begun.send(());
        if let Some(evicted) = evicted {
            let turn = streams.turn().await;
            // A file that is left over here is removed at the next start.
            let _ = streams.remove_files(turn, vec![evicted]).await;
        }
        produce(&streams, &id, &log, answers, script, journal).await;
    });
    // Fails only if the task has ended.
    let _ = has_begun.await;
}

/// Loads a stream that another process began, and resumes it if it was interrupted.
///
/// # Errors
/// 404 when there is none; otherwise why it cannot be resumed now.
pub(super) async fn recover(shared: &Arc<Shared>, streams: &Arc<Streams>, id: &str) -> Result<Arc<Log>, Refusal> {
    let unknown = || Refusal::not_found("stream not found or expired");
    let turn = streams.turn().await;
    if let Some(log) = streams.get(id) {
        return Ok(log);
    }
    let summary = streams.stored(id).ok_or_else(unknown)?;
    let name = id.to_owned();
    let read = streams.on_disk(turn, move |folder| Journal::find(folder, &name).map(|found| found.map(replay))).await;
    let (turn, read) = read.ok_or_else(unknown)?;
    let replayed = read.map_err(|error| {
        tracing::warn!(%error, "cannot read a stream back");
        unknown()
    })?;
    let Replayed { request, script, journal, bytes, is_done } = replayed.ok_or_else(unknown)??;
    let log = Arc::new(Log::new(summary.started_at));
    log.append(&bytes);
    if is_done {
        log.end(summary.at);
    }
    // It may have been deleted meanwhile.
    if !streams.reopen(id, &log) {
        return Err(unknown());
    }
    drop(turn);
    if !is_done {
        tracing::info!("resuming a stream that another process began");
        go_on(shared, streams, id, &log, summary, (request, script, journal)).await?;
    }
    Ok(log)
}

/// Generates the rest. Like any stream, it runs without its client; returns once the request is accepted.
async fn go_on(
    shared: &Arc<Shared>,
    streams: &Arc<Streams>,
    id: &str,
    log: &Arc<Log>,
    summary: Summary,
    (request, script, journal): (Generate, Chunks, Journal),
) -> Result<(), Refusal> {
    let (shared, streams, id, log) = (Arc::clone(shared), Arc::clone(streams), id.to_owned(), Arc::clone(log));
    let (begun, has_begun) = oneshot::channel();
    tokio::spawn(async move {
        let answers = tokio::select! {
            () = log.stopped() => return,
            answers = Answers::begin(&shared, vec![request]) => answers,
        };
        match answers {
            Ok(answers) => {
                let _ = begun.send(Ok(()));
                produce(&streams, &id, &log, answers, script, Some(journal)).await;
            }
            Err(error) => {
                // Releases the file's lock before the client retries.
                drop(journal);
                let refusal = Refusal::from(error);
                streams.put_back(&id, &log, summary);
                log.stop(refusal.clone());
                let _ = begun.send(Err(refusal));
            }
        }
    });
    has_begun.await.unwrap_or_else(|_| Err(cancelled()))
}

/// A stream restored from its journal.
struct Replayed {
    /// The request for the rest of the answer.
    request: Generate,
    script: Chunks,
    journal: Journal,
    bytes: Vec<u8>,
    is_done: bool,
}

fn replay(found: Found) -> Result<Replayed, Refusal> {
    let Found { head, entries, is_done, journal } = found;
    let mut script = chat::script(&Fields::new(&head.body), head.identity)?;
    let (mut resume, mut bytes) = (Resume::default(), Vec::new());
    for entry in entries {
        bytes.extend_from_slice(entry.bytes.as_bytes());
        let Some(event) = entry.event else { continue };
        if let Event::Piece { text, tokens, .. } = &event {
            resume.text += text;
            resume.tokens.extend(tokens);
        }
        // The bytes exist already; the script only needs to know what it has sent.
        script.event(0, event, &mut Vec::new());
    }
    let request = chat::generate(&Fields::new(&head.body))?;
    let request = Generate { model: head.model, resume: Some(resume), priority: head.priority, ..request };
    Ok(Replayed { request, script, journal, bytes, is_done })
}

/// Events that are not yet visible to clients.
#[derive(Default)]
struct Batch {
    /// Bytes for readers.
    bytes: Vec<u8>,
    /// Lines for the journal.
    lines: String,
    is_last: bool,
}

impl Batch {
    fn take(&mut self, said: Option<(usize, Event)>, script: &mut Chunks) {
        let (mut out, mut event) = (Vec::new(), None);
        match said {
            Some((_, Event::Failed(error))) => {
                script.failed(&error.into(), &mut out);
                self.is_last = true;
            }
            Some((choice, said)) => {
                script.event(choice, said.clone(), &mut out);
                event = Some(said);
            }
            None => {
                script.end(&mut out);
                self.is_last = true;
            }
        }
        self.add(&out, event.as_ref());
    }

    fn add(&mut self, out: &[u8], event: Option<&Event>) {
        if !out.is_empty() || matches!(event, Some(Event::Piece { .. })) || self.is_last {
            let entry = journal::entry(&String::from_utf8_lossy(out), event, self.is_last);
            self.lines += &entry.expect("broken invariant: an event is encodable");
        }
        self.bytes.extend_from_slice(out);
    }
}

async fn produce(
    streams: &Arc<Streams>,
    id: &str,
    log: &Arc<Log>,
    mut answers: Answers,
    mut script: Chunks,
    mut journal: Option<Journal>,
) {
    loop {
        let mut batch = Batch::default();
        let ping_at = Instant::now() + PING_AFTER;
        tokio::select! {
            biased;
            () = log.stopped() => return,
            said = answers.next() => {
                batch.take(said, &mut script);
                // More events arrived while the disk was busy.
                for _ in 1..MAX_EVENTS {
                    match answers.ready() {
                        Some(said) if !batch.is_last => batch.take(Some(said), &mut script),
                        _ => break,
                    }
                }
            }
            () = sleep_until(ping_at) => batch.add(Chunks::PING.unwrap_or_default().as_bytes(), None),
        }
        if let Some(open) = journal.take() {
            tokio::select! {
                written = write(open, batch.lines) => match written {
                    Ok(open) => journal = Some(open),
                    Err(error) => streams.give_up(id, log, &error).await,
                },
                // Stopping must work even while the disk hangs.
                () = log.stopped() => return,
            }
        }
        log.append(&batch.bytes);
        if batch.is_last {
            return streams.end(log);
        }
    }
}

/// Writes lines off the sockets' thread. Only one call runs at a time, which keeps the order; new events meanwhile
/// wait in the answer's own bounded channel.
async fn write(mut journal: Journal, lines: String) -> std::io::Result<Journal> {
    if lines.is_empty() {
        return Ok(journal);
    }
    spawn_blocking(move || journal.write(&lines).map(|()| journal)).await?
}

#[cfg(test)]
#[path = "producer_tests.rs"]
mod tests;
