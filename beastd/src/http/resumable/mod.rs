//! Streams that outlive their connection and the daemon: a client that names its stream (`X-Conversation-Id`) can
//! fetch the rest with `GET /v1/stream?conv_id=ID&from=BYTES`, even after the daemon was killed.
//!
//! Routes and header are llama-server's, so that its web page and clients work here. There, a stream lives as long as
//! the process; here, a journal on disk (`journal`) holds the request and the answer so far, and the next daemon
//! resumes after the last token. `streams` finds streams by name, `producer` writes them, `log` holds the bytes for
//! readers.

mod journal;
mod log;
mod producer;
pub(crate) mod streams;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use beast_protocol::{Generate, VERSION};
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::answers::Answers;
use super::asked::Asked;
use super::body::{Body, Reply, json_reply, reply};
use super::fields::Fields;
use super::openai::chat::Chunks;
use super::openai::{Identity, now_s};
use super::refusal::{Dialect, Refusal};
use super::stream::data;
use super::wire::Line;
use journal::Head;
use log::{Log, Read};
pub(crate) use streams::{Announced, Streams};

/// Longest name of a stream.
const MAX_ID: usize = 256;
/// Chunks buffered for a reader.
const MAX_CHUNKS: usize = 16;

/// Registers a request that will start a stream, so that it can be stopped by name from now on.
pub(crate) fn announce(streams: &Arc<Streams>, headers: &HeaderMap) -> Option<Announced> {
    // An invalid name is reported later.
    Some(streams.announce(id(headers).ok()??))
}

/// The client's name for its stream.
///
/// # Errors
/// 400 when it is invalid.
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

/// Answers a request with a named stream.
pub(crate) async fn begin(
    asked: &Asked,
    id: String,
    requests: Vec<Generate>,
    identity: Identity,
    script: Chunks,
) -> Result<Reply, Refusal> {
    if requests.len() != 1 {
        return Err(Refusal::invalid_field("n", "a stream with X-Conversation-Id has one answer; try: set n to 1"));
    }
    let (shared, streams) = (Arc::clone(&asked.client.shared), Arc::clone(&asked.client.streams));
    let (body, model, priority) = (asked.body.clone(), requests[0].model.clone(), requests[0].priority);
    // From here on the request no longer depends on its client, which may disconnect while the model loads.
    let detached = streams.detach(id.clone())?;
    let (tell, begun) = oneshot::channel();
    tokio::spawn(async move {
        let accepted = detached.unless_stopped(async {
            let answers = Answers::begin(&shared, requests).await?;
            let log = Arc::new(Log::new(now_s()));
            let evicted = streams.insert(&id, &log)?;
            Ok((answers, log, evicted))
        });
        let outcome = match accepted.await {
            Ok((answers, log, evicted)) => {
                let head = Head { protocol: VERSION, id, identity, body, model, priority, started_at: log.started_at };
                producer::spawn(&streams, &log, answers, script, head, evicted).await;
                Ok(log)
            }
            Err(refusal) => Err(refusal),
        };
        // Fails if the client has disconnected.
        let _ = tell.send(outcome);
    });
    let log = begun.await.unwrap_or_else(|_| Err(streams::cancelled()))?;
    Ok(forward(log, 0, asked.client.line.clone()))
}

/// `GET /v1/stream`: the stream from a given byte on, including what is still to come.
pub(crate) async fn attach(asked: &Asked) -> Result<Reply, Refusal> {
    let query = query(&asked.query);
    let id = query.get("conv_id").filter(|id| !id.is_empty()).ok_or_else(|| Refusal::invalid("conv_id is missing"))?;
    let from = match query.get("from").map(String::as_str) {
        None | Some("") => 0,
        Some(from) => from.parse().map_err(|_| Refusal::invalid("invalid from: expected a number of bytes"))?,
    };
    let log = match asked.client.streams.begun(id).await {
        Some(log) => log,
        None => producer::recover(&asked.client.shared, &asked.client.streams, id).await?,
    };
    // A client that claims more bytes than exist has them from another stream.
    let n_bytes = log.len();
    if from > n_bytes {
        return Err(Refusal::invalid_field("from", format!("invalid from: the stream has {n_bytes} bytes so far")));
    }
    Ok(forward(log, from, asked.client.line.clone()))
}

/// `DELETE /v1/stream`: stops and removes a stream, even one that has not started yet.
pub(crate) async fn stop(asked: &Asked) -> Result<Reply, Refusal> {
    let query = query(&asked.query);
    let id = query.get("conv_id").filter(|id| !id.is_empty()).ok_or_else(|| Refusal::invalid("conv_id is missing"))?;
    let deleted = asked.client.streams.delete(id).await;
    deleted.map_err(|error| Refusal::internal(format!("cannot remove the stream: {error}")))?;
    Ok(reply(StatusCode::NO_CONTENT, "application/json", ""))
}

/// `POST /v1/streams/lookup`: progress of the named streams.
pub(crate) async fn lookup(asked: &Asked) -> Result<Reply, Refusal> {
    let ids = wanted(&asked.body)?;
    let streams = &asked.client.streams;
    // Waits until the disk has been scanned.
    drop(streams.turn().await);
    let mut found = streams.find(|id| is_wanted(&ids, id));
    found.sort_by_key(|(_, summary)| summary.started_at);
    let found = found.into_iter().map(|(id, summary)| {
        json!({
            "conversation_id": id,
            "is_done": summary.is_done,
            "total_bytes": summary.n_bytes,
            "started_at": summary.started_at,
            "completed_at": if summary.is_done { summary.at } else { 0 },
        })
    });
    Ok(json_reply(StatusCode::OK, &Value::Array(found.collect())))
}

/// The names in a lookup.
fn wanted(body: &serde_json::Map<String, Value>) -> Result<HashSet<&str>, Refusal> {
    const NAME: &str = "conversation_ids";
    let fields = Fields::new(body);
    let wrong = || fields.wrong(NAME, "an array of strings");
    let ids = fields.list(NAME).map_err(|_| wrong())?.ok_or_else(wrong)?;
    ids.iter().map(|id| id.as_str().ok_or_else(wrong)).collect()
}

/// A conversation may have a stream for each model: `ID::MODEL`.
fn is_wanted(ids: &HashSet<&str>, id: &str) -> bool {
    ids.contains(id) || id.match_indices("::").any(|(at, _)| at > 0 && ids.contains(&id[..at]))
}

/// A response with a stream from a given byte on. It ends when the stream ends, or with the error that aborted it.
fn forward(log: Arc<Log>, from: usize, line: Line) -> Reply {
    let (chunks, body) = mpsc::channel(MAX_CHUNKS);
    tokio::spawn(async move {
        let mut at = from;
        loop {
            let read = tokio::select! {
                read = log.read(at) => read,
                () = chunks.closed() => return,
                () = line.gone_whole() => return,
            };
            let bytes = match read {
                Read::More(bytes) => bytes,
                Read::End => return,
                Read::Stopped(why) => {
                    let mut last = Vec::new();
                    data(&mut last, &why.json(Dialect::OpenAi));
                    let _ = chunks.send(last.into()).await;
                    return;
                }
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

#[cfg(test)]
#[path = "resumable_tests.rs"]
mod tests;
