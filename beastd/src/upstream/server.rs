//! The servers of one upstream model: which one to ask next, and what one says to one request.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use beast_protocol::Event;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::chunk::Said;
use super::failure::{Fault, words_of};
use super::sse::{BadStream, Events};
use crate::clock::now_us;

/// Time limit for a connection, and for a short answer about a server.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const SHORT_LIMIT: Duration = Duration::from_secs(5);
/// A dead connection is noticed by probes at this interval.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long an idle connection is kept.
const POOL_LIMIT: Duration = Duration::from_secs(30);
/// Most bytes of a document, such as 32 vectors in decimal digits, and of an error.
const MAX_DOCUMENT_LEN: usize = 16 << 20;
const MAX_ERROR_LEN: usize = 1 << 20;
/// How long a server that has failed is passed over: doubled with each failure, up to the longest.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// The key of an upstream. Formatting never reveals it.
#[derive(Clone)]
pub(super) struct Key {
    text: String,
    header: HeaderValue,
}

impl Key {
    /// `None` for a text that no header can carry.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).ok()?;
        header.set_sensitive(true);
        Some(Self { text: text.to_owned(), header })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// Follows no redirect, so that a key stays with its server.
pub(super) type Client = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A client; `has_tls` needs the system's certificates.
///
/// # Errors
/// When these cannot be used.
pub(super) fn client(has_tls: bool) -> Result<Client, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let tls = match has_tls {
        true => tls.with_platform_verifier()?,
        false => tls.with_root_certificates(RootCertStore::empty()),
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT_LIMIT));
    http.set_keepalive(Some(KEEPALIVE));
    http.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth());
    let connector = connector.https_or_http().enable_http1().wrap_connector(http);
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    Ok(builder.pool_timer(TokioTimer::new()).pool_idle_timeout(POOL_LIMIT).build(connector))
}

#[derive(Debug)]
pub(super) struct Server {
    /// Without a final slash.
    pub(super) url: String,
    n_running: AtomicUsize,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    n_failures: u32,
    /// When to ask it again.
    rests_until: Option<Instant>,
}

/// Counts a request of a server until dropped.
pub(super) struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The server to ask next: one not tried yet before the others, one that does not rest before one that does, then the
/// one with the fewest requests.
pub(super) fn next<'a>(servers: &'a [Server], tried: &[&str]) -> &'a Server {
    let now = Instant::now();
    let rank = |server: &&Server| {
        let n_tried = tried.iter().filter(|url| **url == server.url).count();
        (server.rest(now), n_tried, server.n_running.load(Ordering::Relaxed))
    };
    servers.iter().min_by_key(rank).expect("an upstream has a server")
}

impl Server {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), n_running: AtomicUsize::new(0), health: Mutex::default() }
    }

    /// Counts a request of this server until dropped.
    pub(super) fn running(&self) -> Running<'_> {
        self.n_running.fetch_add(1, Ordering::Relaxed);
        Running(&self.n_running)
    }

    /// Requests that it is answering.
    pub(super) fn n_running(&self) -> usize {
        self.n_running.load(Ordering::Relaxed)
    }

    /// How much longer it is passed over.
    fn rest(&self, now: Instant) -> Duration {
        let health = self.health.lock().unwrap_or_else(|error| error.into_inner());
        health.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Notes how a request has ended.
    pub(super) fn note(&self, fault: Option<&Fault>) {
        let mut health = self.health.lock().unwrap_or_else(|error| error.into_inner());
        if !fault.is_some_and(Fault::is_of_server) {
            *health = Health::default();
            return;
        }
        let rest = FIRST_REST.saturating_mul(1 << health.n_failures.min(10)).min(LONGEST_REST);
        health.n_failures = health.n_failures.saturating_add(1);
        health.rests_until = Some(Instant::now() + rest);
    }

    /// Sends a request and passes on the pieces of its answer. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`Fault`]; `said` has what came before it.
    pub(super) async fn stream<S: Sink>(
        &self,
        asking: &Asking<'_>,
        body: &str,
        said: &mut Said,
        sink: &mut S,
    ) -> Result<(), Fault> {
        let mut response = self.sent(asking, "/chat/completions", body).await?;
        if !kind(&response).starts_with("text/event-stream") {
            let words = words(&mut response).await;
            return Err(Fault::NotAStream(format!("{}: {words}", kind(&response))));
        }
        let mut events = Events::default();
        while !said.is_done {
            let chunk = timeout(asking.silence, chunk(&mut response)).await;
            let chunk = chunk.map_err(|_| Fault::Silent(asking.silence))??;
            let ended = match &chunk {
                Some(bytes) => events.push(bytes),
                None => Vec::from_iter(std::mem::take(&mut events).end().transpose()),
            };
            for data in ended {
                if let Some(piece) = said.take(&data?, now_us())?
                    && !sink.take(piece).await
                {
                    return Ok(());
                }
            }
            if chunk.is_none() {
                break;
            }
        }
        if said.reason.is_none() { Err(Fault::Cut) } else { Ok(()) }
    }

    /// Sends a request that is answered with one JSON document. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) async fn document(&self, asking: &Asking<'_>, path: &str, body: &str) -> Result<Value, Fault> {
        let mut response = self.sent(asking, path, body).await?;
        let body = timeout(asking.silence, body_of(&mut response, MAX_DOCUMENT_LEN)).await;
        let body = body.map_err(|_| Fault::Silent(asking.silence))??;
        serde_json::from_slice(&body).map_err(|error| Fault::NotJson(error.to_string()))
    }

    /// The successful response to a POST.
    async fn sent(&self, asking: &Asking<'_>, path: &str, body: &str) -> Result<Response<Incoming>, Fault> {
        let url = format!("{}{path}", self.url);
        let sent = asking.client.request(request(Method::POST, &url, asking.key, body.to_owned())?);
        let response = timeout(asking.silence, sent).await.map_err(|_| Fault::Silent(asking.silence))?;
        checked(response.map_err(not_sent)?).await
    }

    /// A JSON document about the server, by a GET, or by a POST if there is a body; `None` if it has none.
    ///
    /// # Errors
    /// [`Fault`], when there is no response.
    pub(super) async fn about(
        &self,
        client: &Client,
        key: Option<&Key>,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Option<Value>, Fault> {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = async {
            let mut response = client.request(request(method, url, key, body)?).await.map_err(not_sent)?;
            if !response.status().is_success() {
                return Ok(None);
            }
            Ok(serde_json::from_slice(&body_of(&mut response, MAX_DOCUMENT_LEN).await?).ok())
        };
        timeout(SHORT_LIMIT, answer).await.map_err(|_| Fault::Silent(SHORT_LIMIT))?
    }

    /// The address without `/v1`, below which servers have routes of their own.
    pub(super) fn root(&self) -> &str {
        self.url.strip_suffix("/v1").unwrap_or(&self.url)
    }
}

/// What is sent to a server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) client: &'a Client,
    pub(super) key: Option<&'a Key>,
    /// Longest silence.
    pub(super) silence: Duration,
}

/// Who hears the pieces of an answer.
pub(super) trait Sink: Send {
    /// Takes a piece; returns whether more is wanted.
    fn take(&mut self, piece: Event) -> impl Future<Output = bool> + Send;
}

impl From<BadStream> for Fault {
    fn from(bad: BadStream) -> Self {
        match bad {
            BadStream::NotUtf8 => Fault::NotUtf8,
            BadStream::TooLong => Fault::TooLong,
        }
    }
}

fn request(method: Method, url: &str, key: Option<&Key>, body: String) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::builder()
        .method(method)
        .uri(url)
        .header(USER_AGENT, concat!("beastd/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "text/event-stream, application/json")
        .header(CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, key.header.clone());
    }
    // The address was checked with the configuration.
    request.body(Full::from(body)).map_err(|error| Fault::Unreachable(error.to_string()))
}

/// More of a body; `None` at its end.
async fn chunk(response: &mut Response<Incoming>) -> Result<Option<Bytes>, Fault> {
    while let Some(frame) = response.frame().await {
        let frame = frame.map_err(|error| Fault::Died(root(&error)))?;
        // The rest are trailers.
        if let Ok(bytes) = frame.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// A response that is a success.
async fn checked(mut response: Response<Incoming>) -> Result<Response<Incoming>, Fault> {
    let header = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let location = header(LOCATION).map(str::to_owned);
    let retry_after = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let status = response.status();
    if status.is_redirection() {
        return Err(Fault::Redirect(location.unwrap_or_else(|| "another address".into())));
    }
    if status.is_success() {
        return Ok(response);
    }
    Err(Fault::Refused { status: status.as_u16(), words: words(&mut response).await, retry_after })
}

fn kind(response: &Response<Incoming>) -> &str {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What a response says instead of an answer; what comes within the limit is enough.
async fn words(response: &mut Response<Incoming>) -> String {
    let body = timeout(SHORT_LIMIT, body_of(response, MAX_ERROR_LEN)).await.ok().and_then(Result::ok);
    let body = body.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let words = serde_json::from_str(&text).ok().and_then(|error: Value| words_of(&error));
    words.unwrap_or_else(|| text.trim().to_owned())
}

/// The body, up to a length.
async fn body_of(response: &mut Response<Incoming>, max_len: usize) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(bytes) = chunk(response).await? {
        body.extend_from_slice(&bytes);
        if body.len() > max_len {
            break;
        }
    }
    Ok(body)
}

fn not_sent(error: legacy::Error) -> Fault {
    if error.is_connect() { Fault::Unreachable(root(&error)) } else { Fault::Died(root(&error)) }
}

/// The first cause, which says more than "client error".
fn root(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
