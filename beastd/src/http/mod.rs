//! The HTTP front end: the dialects of OpenAI, Anthropic and Ollama and llama-server's own routes, on the same life of
//! a request as the Unix socket ([`crate::answering`]). Knows nothing of tokens and llama.cpp.
//!
//! A request: [`serve`] accepts → `guard` checks it → `route` finds the handler → a dialect (`openai/`, `anthropic/`,
//! `ollama/`, `native/`) turns the body into [`beast_protocol::Generate`] → `answers` runs it → `stream` or the dialect
//! writes the answer.

mod answers;
mod anthropic;
mod asked;
mod body;
mod client;
mod cors;
mod endpoint;
mod fields;
mod guard;
mod ids;
mod live;
mod models;
mod native;
mod ollama;
mod openai;
mod prompts;
mod refusal;
mod resumable;
mod route;
mod routes;
mod stream;
mod vocabulary;
mod wire;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use beast_launchd::HttpListener;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::shared::{Phase, Shared};
use client::Client;
use endpoint::Listening;
pub use endpoint::bind;
use guard::Via;
use resumable::Streams;
use wire::Socket;

/// Time limit for the header of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Most headers per request.
const MAX_HEADERS: usize = 100;
/// Bytes of a request's header, and of read-ahead.
const MAX_BUFFER: usize = 64 * 1024;
/// Pause after a failed accept: the process has run out of file descriptors, so an immediate retry would fail again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long to drain the connection of a refused client that is still sending.
const LINGER: Duration = Duration::from_secs(1);
/// How long computed answers may take to be sent on shutdown.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves until the daemon ends, then lets running answers finish.
pub async fn serve(listeners: Vec<HttpListener>, shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(shared.config().http.max_connections));
    let folder = beast_launchd::paths::cache_dir().ok().map(|folder| folder.join("streams"));
    let streams = Streams::open(folder);
    let mut listening = JoinSet::new();
    let mut places = Vec::new();
    for listener in listeners {
        match Listening::new(listener) {
            Ok(endpoint) => {
                // Port 0 lets the system choose a port.
                places.push(endpoint.place());
                tracing::info!(address = endpoint.place(), "serving HTTP");
                let (shared, permits, streams) = (Arc::clone(&shared), Arc::clone(&permits), Arc::clone(&streams));
                listening.spawn(listen(endpoint, shared, permits, streams));
            }
            Err(error) => tracing::error!(%error, "cannot serve HTTP"),
        }
    }
    // Already set only if `serve` ran twice, which the daemon never does.
    let _ = shared.http.set(places);
    while listening.join_next().await.is_some() {}
}

async fn listen(endpoint: Listening, shared: Arc<Shared>, permits: Arc<Semaphore>, streams: Arc<Streams>) {
    let mut phase = shared.phase.subscribe();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = endpoint.accept() => match accepted {
                Ok((socket, via)) => {
                    // Above the limit, connections are closed unread: reading a request would use the very resources
                    // that are scarce.
                    let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
                    let (shared, streams) = (Arc::clone(&shared), Arc::clone(&streams));
                    connections.spawn(async move {
                        let _count = Count::new(&shared);
                        connection(socket, via, &shared, streams).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    if error.kind() != io::ErrorKind::PermissionDenied {
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            },
            // The borrowed value must not be held across another branch's await.
            _ = async { phase.wait_for(|phase| *phase == Phase::Ending).await.is_ok() } => break,
            Some(_) = connections.join_next() => {}
        }
    }
    drop(endpoint);
    let _ = timeout(LAST_WORDS, async { while connections.join_next().await.is_some() {} }).await;
}

/// Counts an open connection until dropped, so also after a panic.
struct Count<'a>(&'a Shared);

impl<'a> Count<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.n_connections.fetch_add(1, Relaxed);
        Self(shared)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.n_connections.fetch_sub(1, Relaxed);
    }
}

async fn connection(socket: Socket, via: Via, shared: &Arc<Shared>, streams: Arc<Streams>) {
    let (bytes, line) = wire::split(socket, shared.config().stall_timeout);
    let has_unread = Arc::new(AtomicBool::new(false));
    let client =
        Client { shared: Arc::clone(shared), via, line: line.clone(), streams, has_unread: Arc::clone(&has_unread) };
    let service = service_fn(move |request| {
        let client = client.clone();
        async move { Ok::<_, Infallible>(route::answer(&client, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .half_close(true)
        // Some clients expect header names in title case.
        .title_case_headers(true)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_BUFFER)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(bytes), service);
    tokio::pin!(serving);
    let mut phase = shared.phase.subscribe();
    let is_ending = async { phase.wait_for(|phase| *phase == Phase::Ending).await.is_ok() };
    let outcome = tokio::select! {
        outcome = &mut serving => outcome,
        _ = is_ending => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    let is_broken = outcome.as_ref().is_err_and(hyper::Error::is_parse);
    if let Err(error) = outcome {
        tracing::debug!(%error, "an HTTP connection closed early");
    }
    if is_broken || has_unread.load(Relaxed) {
        line.drain(LINGER).await;
    }
}
