//! Request bodies, bounded and decompressed, and response bodies.

use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::refusal::Refusal;

/// Time limit for a body to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Longest pause between two pieces of a body.
const SILENCE: Duration = Duration::from_secs(10);

pub type Reply = Response<Body>;

#[derive(Debug)]
pub enum Body {
    Whole(Option<Bytes>),
    /// Streamed. Sending waits while the client does not read; the channel closes when the client disconnects.
    Stream(mpsc::Receiver<Bytes>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Body::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Body::Stream(chunks) => chunks.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Body::Stream(_) => SizeHint::default(),
        }
    }
}

pub fn reply(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Body::Whole(Some(bytes.into())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

pub fn json_reply(status: StatusCode, value: &Value) -> Reply {
    reply(status, "application/json; charset=utf-8", value.to_string())
}

/// Reads a body of at most `max` bytes, before and after decompression.
///
/// # Errors
/// 413 when it is too long, 408 when it does not arrive, 415 for an unknown encoding.
pub async fn read<B>(body: B, headers: &HeaderMap, max: usize) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
{
    // Before reading any of it: a client that sends `Expect: 100-continue` then need not send the body.
    if body.size_hint().lower() > max as u64 {
        return Err(too_large(max));
    }
    let bytes = timeout(ARRIVAL, collect(body, max)).await.unwrap_or_else(|_| Err(too_late(ARRIVAL)))?;
    let encoding = headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    match encoding.as_deref() {
        None | Some("" | "identity") => Ok(bytes),
        Some(encoding) => {
            let encoding = encoding.to_owned();
            let decoding = spawn_blocking(move || decode(&bytes, &encoding, max));
            decoding.await.unwrap_or_else(|_| Err(Refusal::invalid("the request body cannot be decompressed")))
        }
    }
}

async fn collect<B>(mut body: B, max: usize) -> Result<Bytes, Refusal>
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
{
    let mut bytes = BytesMut::new();
    loop {
        let frame = match timeout(SILENCE, body.frame()).await {
            Err(_) => return Err(too_late(SILENCE)),
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(frame)) => frame,
        };
        let frame = frame.map_err(|error| Refusal::invalid(format!("cannot read the request body: {error}")))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > max {
                return Err(too_large(max));
            }
            bytes.extend_from_slice(data);
        }
    }
}

fn decode(bytes: &[u8], encoding: &str, max: usize) -> Result<Bytes, Refusal> {
    let decoder: Box<dyn Read + '_> = match encoding {
        "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        "deflate" => Box::new(flate2::read::ZlibDecoder::new(bytes)),
        "zstd" => Box::new(ruzstd::decoding::StreamingDecoder::new(bytes).map_err(broken)?),
        other => {
            let text = format!("unknown content encoding '{other}'; try: use gzip, deflate, zstd or none");
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", text));
        }
    };
    let mut decoded = Vec::new();
    decoder.take(max as u64 + 1).read_to_end(&mut decoded).map_err(broken)?;
    if decoded.len() > max { Err(too_large(max)) } else { Ok(decoded.into()) }
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    Refusal::invalid(format!("the request body cannot be decompressed: {error}"))
}

fn too_late(limit: Duration) -> Refusal {
    let text = format!("the request body did not arrive within {limit:?}; try: send it faster");
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", text)
}

fn too_large(max: usize) -> Refusal {
    let text =
        format!("the request body is larger than {} MiB; try: send less text, or raise http.max_body_mib", max >> 20);
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", text)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
