//! Streams that outlive their connection, and the daemon: a client that names its stream (`X-Conversation-Id`) can come back for the rest
//! with `GET /v1/stream?conv_id=ID&from=BYTES`, also after the daemon was killed.
//!
//! Routes and header are llama-server's, so that its web page and its clients work here. There a stream lives as long as the process; here
//! a journal on disk (`journal`) has the request and what was said, and the next daemon goes on from the last token.

mod journal;
mod log;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use beast_protocol::{Event, Generate, Resume, VERSION};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::answers::Answers;
use super::body::{Body, Reply, json_reply, reply};
use super::fields::Fields;
use super::openai::Identity;
use super::openai::chat::{self, Chunks};
use super::refusal::Refusal;
use super::route::Asked;
use super::stream::{PING_AFTER, Script};
use super::wire::Line;
use crate::daemon::Daemon;
use journal::{Found, Head, Journal};
use log::Log;

/// How long a finished stream can be asked for.
const KEPT: Duration = Duration::from_secs(300);
/// Streams that are kept at once.
const MAX_STREAMS: usize = 64;
/// Longest name of a stream.
const MAX_ID: usize = 256;
/// Chunks that wait for a reader.
const MAX_CHUNKS: usize = 16;

/// All streams that can be asked for.
#[derive(Debug)]
pub(crate) struct Streams {
    /// Where journals are; none without a home.
    folder: Option<PathBuf>,
    open: Mutex<HashMap<String, Arc<Log>>>,
    /// Held while one is read back, which must happen once.
    recovering: tokio::sync::Mutex<()>,
}

impl Streams {
    /// Those of this folder.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        if let Some(folder) = &folder {
            journal::clean(folder);
        }
        Self { folder, open: Mutex::default(), recovering: tokio::sync::Mutex::default() }
    }

    fn get(&self, id: &str) -> Option<Arc<Log>> {
        self.open.lock().expect("nobody panics with it").get(id).map(Arc::clone)
    }

    /// Takes a stream in, in the place of another of this name, which is stopped.
    fn insert(&self, id: &str, log: &Arc<Log>) -> Result<(), Refusal> {
        let mut open = self.open.lock().expect("nobody panics with it");
        if !open.contains_key(id) && open.len() >= MAX_STREAMS {
            // The one that ended first.
            let ended = open.iter().filter_map(|(id, log)| Some((log.ended()?, id.clone()))).min();
            let Some((_, oldest)) = ended else {
                let text = format!("{MAX_STREAMS} resumable streams are running; try: again in a moment");
                return Err(Refusal {
                    retry_after: Some(1),
                    ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", text)
                });
            };
            // Its timer must not remove the journal of a stream that takes its name later.
            if let Some(evicted) = open.remove(&oldest) {
                evicted.stop();
            }
        }
        if let Some(replaced) = open.insert(id.to_owned(), Arc::clone(log)) {
            replaced.stop();
        }
        Ok(())
    }

    /// Lets go of a stream, unless another one has taken its name.
    fn remove(&self, id: &str, log: &Arc<Log>) {
        let mut open = self.open.lock().expect("nobody panics with it");
        if open.get(id).is_some_and(|there| Arc::ptr_eq(there, log)) {
            open.remove(id);
        }
    }
}

/// The name that a client gives its stream.
///
/// # Errors
/// 400 when it cannot be one.
pub(crate) fn id(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(id) = headers.get("x-conversation-id") else { return Ok(None) };
    let id = id.to_str().unwrap_or_default().trim();
    if id.is_empty() || id.len() > MAX_ID {
        return Err(Refusal::invalid(format!(
            "invalid header X-Conversation-Id: expected 1 to {MAX_ID} visible characters"
        )));
    }
    Ok(Some(id.to_owned()))
}

/// Answers a request that names its stream.
pub(crate) async fn begin(
    asked: &Asked,
    id: String,
    requests: Vec<Generate>,
    identity: Identity,
    script: Chunks,
) -> Result<Reply, Refusal> {
    if requests.len() != 1 {
        return Err(Refusal::invalid_field("n", "a stream with X-Conversation-Id has one answer; try: n = 1"));
    }
    let streams = &asked.client.streams;
    let answers = Answers::begin(&asked.client.daemon, requests).await?;
    let log = Arc::new(Log::new());
    streams.insert(&id, &log)?;
    let head = Head { protocol: VERSION, id: id.clone(), identity, body: asked.body.clone() };
    let journal = streams.folder.as_deref().and_then(|folder| {
        Journal::begin(folder, &head)
            .inspect_err(|error| tracing::warn!(%error, "a stream has no journal: it ends with this process"))
            .ok()
    });
    tokio::spawn(produce(Arc::clone(streams), id, Arc::clone(&log), answers, script, journal));
    Ok(forward(log, 0, asked.client.line.clone()))
}

/// `GET /v1/stream`: what was said from a byte on, and what follows.
pub(crate) async fn attach(asked: &Asked) -> Result<Reply, Refusal> {
    let query = query(&asked.query);
    let id = query.get("conv_id").filter(|id| !id.is_empty()).ok_or_else(|| Refusal::invalid("conv_id is missing"))?;
    let from = match query.get("from").map(String::as_str) {
        None | Some("") => 0,
        Some(from) => from.parse().map_err(|_| Refusal::invalid("invalid from: expected a number of bytes"))?,
    };
    let log = match asked.client.streams.get(id) {
        Some(log) => log,
        None => recover(&asked.client.daemon, &asked.client.streams, id).await?,
    };
    if from > log.len() && log.ended().is_some() {
        return Err(Refusal::invalid(format!("invalid from: the stream has {} bytes", log.len())));
    }
    Ok(forward(log, from, asked.client.line.clone()))
}

/// `DELETE /v1/stream`: ends it and forgets it.
pub(crate) async fn stop(asked: &Asked) -> Result<Reply, Refusal> {
    let query = query(&asked.query);
    let id = query.get("conv_id").filter(|id| !id.is_empty()).ok_or_else(|| Refusal::invalid("conv_id is missing"))?;
    let streams = &asked.client.streams;
    let _alone = streams.recovering.lock().await;
    if let Some(log) = streams.get(id) {
        log.stop();
        streams.remove(id, &log);
    }
    if let Some(folder) = &streams.folder {
        journal::forget(folder, id).map_err(|error| Refusal::internal(format!("cannot remove the stream: {error}")))?;
    }
    Ok(reply(StatusCode::NO_CONTENT, "application/json", ""))
}

/// `POST /v1/streams/lookup`: how far streams are whose names the client knows.
pub(crate) fn lookup(asked: &Asked) -> Result<Reply, Refusal> {
    let ids = Fields::new(&asked.body).texts("conversation_ids", MAX_STREAMS)?;
    let open = asked.client.streams.open.lock().expect("nobody panics with it");
    let is_asked_for = |id: &str| ids.iter().any(|asked| id == asked || id.starts_with(&format!("{asked}::")));
    let found = open.iter().filter(|(id, _)| is_asked_for(id)).map(|(id, log)| {
        json!({
            "conversation_id": id,
            "is_done": log.ended().is_some(),
            "total_bytes": log.len(),
            "started_at": log.started_at,
            "completed_at": log.completed_at(),
        })
    });
    Ok(json_reply(StatusCode::OK, &Value::Array(found.collect())))
}

/// Goes on with a stream that another process has begun.
async fn recover(daemon: &Arc<Daemon>, streams: &Arc<Streams>, id: &str) -> Result<Arc<Log>, Refusal> {
    let _alone = streams.recovering.lock().await;
    if let Some(log) = streams.get(id) {
        return Ok(log);
    }
    let unknown = || Refusal::not_found("stream not found or expired");
    let folder = streams.folder.as_deref().ok_or_else(unknown)?;
    let found = Journal::find(folder, id).map_err(|error| {
        tracing::warn!(%error, "a stream cannot be read back");
        unknown()
    })?;
    let Found { head, entries, is_done, journal } = found.ok_or_else(unknown)?;
    let log = Arc::new(Log::new());
    let mut script = chat::script(&Fields::new(&head.body), head.identity)?;
    let mut resume = Resume::default();
    for entry in entries {
        log.append(entry.bytes.as_bytes());
        let Some(event) = entry.event else { continue };
        if let Event::Piece { text, tokens, .. } = &event {
            resume.text += text;
            resume.tokens.extend(tokens);
        }
        // Its bytes are there; the script must know what it has said.
        script.event(0, event, &mut Vec::new());
    }
    if is_done {
        log.end();
        streams.insert(id, &log)?;
        tokio::spawn(expire(Arc::clone(streams), id.to_owned(), Arc::clone(&log), Some(journal)));
        return Ok(log);
    }
    tracing::info!(n_tokens = resume.tokens.len(), "a stream goes on that another process began");
    let request = Generate { resume: Some(resume), ..chat::generate(&Fields::new(&head.body))? };
    let answers = Answers::begin(daemon, vec![request]).await?;
    streams.insert(id, &log)?;
    tokio::spawn(produce(Arc::clone(streams), id.to_owned(), Arc::clone(&log), answers, script, Some(journal)));
    Ok(log)
}

/// Writes a stream to its end, whoever reads it.
async fn produce(
    streams: Arc<Streams>,
    id: String,
    log: Arc<Log>,
    mut answers: Answers,
    mut script: Chunks,
    mut journal: Option<Journal>,
) {
    let mut out = Vec::new();
    loop {
        let ping_at = Instant::now() + PING_AFTER;
        let (mut event, mut is_last) = (None, false);
        tokio::select! {
            biased;
            () = log.stopped() => return,
            said = answers.next() => match said {
                Some((_, Event::Failed(error))) => {
                    script.failed(&error.into(), &mut out);
                    is_last = true;
                }
                Some((choice, said)) => {
                    script.event(choice, said.clone(), &mut out);
                    event = Some(said);
                }
                None => {
                    script.end(&mut out);
                    is_last = true;
                }
            },
            () = sleep_until(ping_at) => out.extend_from_slice(Chunks::PING.unwrap_or_default().as_bytes()),
        }
        let is_worth_it = !out.is_empty() || matches!(event, Some(Event::Piece { .. })) || is_last;
        if let Some(open) = journal.as_mut().filter(|_| is_worth_it) {
            let bytes = String::from_utf8_lossy(&out);
            if let Err(error) = open.write(&bytes, event.as_ref(), is_last) {
                tracing::warn!(%error, "a stream has no journal any more: it ends with this process");
                open.remove();
                journal = None;
            }
        }
        log.append(&std::mem::take(&mut out));
        if is_last {
            log.end();
            return expire(streams, id, log, journal).await;
        }
    }
}

/// Forgets a finished stream after a while.
async fn expire(streams: Arc<Streams>, id: String, log: Arc<Log>, journal: Option<Journal>) {
    tokio::select! {
        () = sleep(KEPT) => {}
        // Its journal is gone, or another's.
        () = log.stopped() => return,
    }
    streams.remove(&id, &log);
    if let Some(journal) = journal {
        journal.remove();
    }
}

/// The reply that reads a stream from a byte on.
fn forward(log: Arc<Log>, from: usize, line: Line) -> Reply {
    let (chunks, body) = mpsc::channel(MAX_CHUNKS);
    tokio::spawn(async move {
        let mut at = from;
        loop {
            let bytes: Bytes = tokio::select! {
                bytes = log.read(at) => match bytes {
                    Some(bytes) => bytes.into(),
                    None => return,
                },
                () = chunks.closed() => return,
                () = line.gone_whole() => return,
            };
            at += bytes.len();
            if chunks.send(bytes).await.is_err() {
                return;
            }
        }
    });
    let mut reply = reply(StatusCode::OK, "text/event-stream", "");
    *reply.body_mut() = Body::Stream(body);
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    reply
}

fn query(text: &str) -> HashMap<String, String> {
    let decoded = |text: &str| super::openai::models::percent_decoded(&text.replace('+', " "));
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}
