//! Streams answers in a dialect, and keeps proxies and clients from giving up.

use std::time::Duration;

use beast_protocol::Event;
use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::answers::Answers;
use super::body::{Body, Reply};
use super::refusal::Refusal;
use super::wire::{Gone, Line};

/// Chunks buffered for the client; when they are full, the writer waits.
const MAX_CHUNKS: usize = 16;
/// Silence after which a keep-alive comment is sent: proxies give up after a minute.
pub const PING_AFTER: Duration = Duration::from_secs(10);
/// The same for a peer that may have disconnected: only a write can find out.
const PROBE_AFTER: Duration = Duration::from_millis(250);

/// How a dialect writes streamed answers. Appends whole messages to `out`.
pub trait Script: Send + 'static {
    const CONTENT_TYPE: &'static str = "text/event-stream";
    /// A keep-alive; `None` where clients would take it for a part of the answer.
    const PING: Option<&'static str> = Some(": ping\n\n");
    /// A keep-alive that every client accepts: whitespace before JSON.
    const PROBE: &'static str = match Self::PING {
        Some(ping) => ping,
        None => " ",
    };

    /// An event of an answer: `Started`, `Progress`, `Piece` or `Done`; others are ignored.
    fn event(&mut self, choice: usize, event: Event, out: &mut Vec<u8>);

    /// An answer has failed, and with it the request: nothing follows.
    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>);

    /// All answers have ended.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// Appends an SSE event without a name.
pub fn data(out: &mut Vec<u8>, value: &Value) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(value.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Appends an SSE event with a name.
pub fn named(out: &mut Vec<u8>, name: &str, value: &Value) {
    out.extend_from_slice(format!("event: {name}\n").as_bytes());
    data(out, value);
}

/// A response whose body the script writes. Cancels the answers when the client disconnects.
pub fn reply<S: Script>(answers: Answers, script: S, line: Line) -> Reply {
    let (chunks, body) = mpsc::channel(MAX_CHUNKS);
    tokio::spawn(tell(answers, script, chunks, line));
    let mut reply = Response::new(Body::Stream(body));
    *reply.status_mut() = StatusCode::OK;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(S::CONTENT_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Otherwise nginx buffers the whole answer.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    reply
}

async fn tell<S: Script>(mut answers: Answers, mut script: S, chunks: mpsc::Sender<Bytes>, line: Line) {
    let mut out = Vec::new();
    let (mut silence, mut ping) = (PING_AFTER, S::PING);
    let mut is_half_gone = false;
    let mut spoke = Instant::now();
    loop {
        tokio::select! {
            // Polls buffered events first.
            biased;
            said = answers.next() => match said {
                Some((_, Event::Failed(error))) => {
                    script.failed(&error.into(), &mut out);
                    send(&chunks, &mut out).await;
                    return;
                }
                Some((choice, event)) => script.event(choice, event, &mut out),
                None => {
                    script.end(&mut out);
                    send(&chunks, &mut out).await;
                    return;
                }
            },
            () = chunks.closed() => return,
            gone = line.gone(), if !is_half_gone => match gone {
                Gone::Whole => return,
                Gone::Half => {
                    is_half_gone = true;
                    if line.is_ambiguous() {
                        (silence, ping) = (PROBE_AFTER, Some(S::PROBE));
                        out.extend_from_slice(S::PROBE.as_bytes());
                    }
                }
            },
            () = line.gone_whole(), if is_half_gone => return,
            // Counts from the last write, since many engine events are not sent.
            () = sleep_until(spoke + silence), if ping.is_some() => {
                out.extend_from_slice(ping.unwrap_or_default().as_bytes());
            }
        }
        if !out.is_empty() {
            if !send(&chunks, &mut out).await {
                return;
            }
            spoke = Instant::now();
        }
    }
}

/// Sends buffered bytes, waiting for room; false when the client has disconnected.
async fn send(chunks: &mpsc::Sender<Bytes>, out: &mut Vec<u8>) -> bool {
    out.is_empty() || chunks.send(std::mem::take(out).into()).await.is_ok()
}

/// Waits for a single JSON document while watching the peer. A peer that has only shut down its writing half still
/// gets it: whitespace sent before the document finds out whether it reads.
pub async fn whole<F>(line: &Line, document: F) -> Reply
where
    F: Future<Output = Reply> + Send + 'static,
{
    let mut document = Box::pin(document);
    tokio::select! {
        biased;
        reply = &mut document => return reply,
        gone = line.gone() => if gone == Gone::Whole {
            // The client has disconnected.
            return Response::new(Body::Whole(None));
        },
    }
    // Delays the first byte as long as possible, because until then the status code can report the outcome.
    tokio::select! {
        biased;
        reply = &mut document => return reply,
        () = line.gone_whole() => return Response::new(Body::Whole(None)),
        () = sleep(PROBE_AFTER), if line.is_ambiguous() => {}
    }
    let (chunks, body) = mpsc::channel(MAX_CHUNKS);
    let line = line.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                reply = &mut document => {
                    if let Body::Whole(Some(bytes)) = reply.into_body() {
                        let _ = chunks.send(bytes).await;
                    }
                    return;
                }
                () = line.gone_whole() => return,
                () = chunks.closed() => return,
                () = sleep(PROBE_AFTER) => if chunks.send(Bytes::from_static(b" ")).await.is_err() { return },
            }
        }
    });
    let mut reply = Response::new(Body::Stream(body));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    reply
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
