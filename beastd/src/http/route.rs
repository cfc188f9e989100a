//! Finds the handler of a path and runs it.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue, SERVER};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use super::asked::Asked;
use super::body::{self, Body, Reply};
use super::client::Client;
use super::refusal::{Dialect, Refusal};
use super::routes::{Handler, find};
use super::{anthropic, cors, fields, guard, native, ollama, openai, resumable};
use crate::budget::FREE;
use crate::shared::Phase;

/// The `Server` header, by which programs tell beastd from anything else that may listen on its address.
const NAME: &str = "beastd";

pub(crate) async fn answer(client: &Client, request: Request<Incoming>) -> Reply {
    client.shared.has_visitors.send_if_modified(|has| !std::mem::replace(has, true));
    let dialect = dialect_of(request.uri().path(), request.headers());
    let is_head = request.method() == Method::HEAD;
    // The next request on this connection would begin with the rest of an unread body.
    let mut is_read = request.body().is_end_stream();
    let http = client.shared.config();
    let origin = guard::listed_origin(request.headers(), &http.http);
    let checked = guard::check(client.via, request.method(), request.uri(), request.headers(), &http.http);
    let outcome = match checked {
        Err(refusal) => Err(refusal),
        Ok(()) if request.method() == Method::OPTIONS => Ok(cors::preflight(origin.is_some(), request.headers())),
        Ok(()) => attended(client, dispatch(client, request, &mut is_read)).await,
    };
    let mut reply = outcome.unwrap_or_else(|refusal| {
        tracing::debug!(status = refusal.status.as_u16(), reason = refusal.message, "refused an HTTP request");
        refusal.reply(dialect)
    });
    client.has_unread.fetch_or(!is_read, Relaxed);
    reply.headers_mut().insert(SERVER, HeaderValue::from_static(NAME));
    if let Some(origin) = origin {
        cors::allow(&mut reply, origin);
    }
    if client.shared.phase() != Phase::Serving || !is_read {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if is_head {
        if let Some(n) = reply.body().size_hint().exact() {
            reply.headers_mut().insert(CONTENT_LENGTH, n.into());
        }
        *reply.body_mut() = Body::Whole(None);
    }
    reply
}

/// Stops when the client disconnects: while a request waits for its model nothing is written, so no write would fail.
async fn attended(client: &Client, answer: impl Future<Output = Result<Reply, Refusal>>) -> Result<Reply, Refusal> {
    tokio::select! {
        biased;
        outcome = answer => outcome,
        () = client.line.gone_whole() => Err(Refusal::invalid("the client disconnected")),
    }
}

fn dialect_of(path: &str, headers: &HeaderMap) -> Dialect {
    let is_list = ["/v1/models", "/models"].iter().any(|known| path.starts_with(known));
    if path.starts_with("/v1/messages") || (is_list && anthropic::is_asked(headers)) {
        Dialect::Anthropic
    } else if path.starts_with("/api/") {
        Dialect::Ollama
    } else {
        Dialect::OpenAi
    }
}

/// Parses a body; a large one off the sockets' thread.
async fn parse(bytes: Bytes) -> Result<Map<String, Value>, Refusal> {
    const SMALL: usize = 64 * 1024;
    if bytes.len() <= SMALL {
        return fields::parse(&bytes);
    }
    let parsing = spawn_blocking(move || fields::parse(&bytes));
    parsing.await.unwrap_or_else(|_| Err(Refusal::invalid("the request body cannot be parsed")))
}

async fn dispatch(client: &Client, request: Request<Incoming>, is_read: &mut bool) -> Result<Reply, Refusal> {
    let (head, incoming) = request.into_parts();
    let path = match head.uri.path() {
        "/" => "/",
        path => path.trim_end_matches('/'),
    };
    let method = if head.method == Method::HEAD { Method::GET } else { head.method.clone() };
    let handler = find(&method, path)?;
    // Announced before the body is read, since a DELETE may overtake it.
    let announced = (handler == Handler::Chat).then(|| resumable::announce(&client.streams, &head.headers)).flatten();
    let path = path.to_owned();
    let answer = handled(client, handler, (method, path), head, incoming, is_read);
    match announced {
        Some(announced) => announced.unless_stopped(answer).await,
        None => answer.await,
    }
}

async fn handled(
    client: &Client,
    handler: Handler,
    (method, path): (Method, String),
    head: Parts,
    incoming: Incoming,
    is_read: &mut bool,
) -> Result<Reply, Refusal> {
    let body = match (method, handler) {
        (Method::GET | Method::DELETE, _) | (_, Handler::Unsupported(_)) => Map::new(),
        _ => read(client, incoming, &head.headers, is_read).await?,
    };
    let asked = Asked {
        client: client.clone(),
        path,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
    call(handler, asked).await
}

/// Reads a body within the memory budget that all clients share.
async fn read(
    client: &Client,
    incoming: Incoming,
    headers: &HeaderMap,
    is_read: &mut bool,
) -> Result<Map<String, Value>, Refusal> {
    let max = client.shared.config().http.max_body;
    // A body of unknown length may grow to the limit.
    let n_bytes = incoming.size_hint().upper().and_then(|n| usize::try_from(n).ok()).unwrap_or(max).min(max);
    let _room = if n_bytes > FREE { Some(client.shared.budget.take(n_bytes).await) } else { None };
    let bytes = body::read(incoming, headers, max).await?;
    *is_read = true;
    parse(bytes).await
}

/// Calls the handler.
async fn call(handler: Handler, asked: Asked) -> Result<Reply, Refusal> {
    match handler {
        Handler::Chat => openai::chat::answer(asked).await,
        Handler::Completions => openai::completions::answer(asked).await,
        Handler::Responses => openai::responses::answer(asked).await,
        Handler::Embeddings(shape) => openai::embeddings::answer(asked, shape).await,
        Handler::Health => native::state::health(&asked),
        Handler::Props => native::state::props(&asked),
        Handler::Slots => native::state::slots(&asked),
        Handler::Metrics => native::metrics::answer(&asked),
        Handler::Completion => native::completion::answer(asked).await,
        Handler::SystemOne => native::systemone::answer(asked).await,
        Handler::Tokenize => native::tokens::tokenize(asked).await,
        Handler::Detokenize => native::tokens::detokenize(asked).await,
        Handler::ApplyTemplate => native::tokens::apply_template(asked).await,
        Handler::CountChat => native::tokens::count_chat(asked).await,
        Handler::CountResponses => native::tokens::count_responses(asked).await,
        Handler::Unsupported(reason) => Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "not_supported_error", reason)),
        Handler::Models if anthropic::is_asked(&asked.headers) => Ok(anthropic::models::list(&asked)),
        Handler::Models => Ok(openai::models::list(&asked)),
        Handler::Model if anthropic::is_asked(&asked.headers) => anthropic::models::one(&asked),
        Handler::Model => openai::models::one(&asked),
        Handler::LoadModel => native::router::load(asked).await,
        Handler::UnloadModel => native::router::unload(asked).await,
        Handler::Stream => resumable::attach(&asked).await,
        Handler::StopStream => resumable::stop(&asked).await,
        Handler::Streams => resumable::lookup(&asked).await,
        Handler::Messages => anthropic::messages::answer(asked).await,
        Handler::CountTokens => anthropic::count::answer(asked).await,
        Handler::Root => Ok(ollama::root()),
        Handler::Version => Ok(ollama::version()),
        Handler::Tags => Ok(ollama::models::tags(asked).await),
        Handler::Show => ollama::models::show(asked).await,
        Handler::Ps => Ok(ollama::models::ps(&asked)),
        Handler::OllamaChat => ollama::chat::answer(asked).await,
        Handler::OllamaGenerate => ollama::generate::answer(asked).await,
        Handler::OllamaEmbed => ollama::embed::many(asked).await,
        Handler::OllamaEmbeddings => ollama::embed::one(asked).await,
        Handler::Pull => ollama::models::pull(&asked),
    }
}
