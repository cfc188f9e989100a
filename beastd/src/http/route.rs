//! Which path is whose.

use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    HeaderMap, HeaderValue, VARY,
};
use hyper::{Method, Request, StatusCode};
use serde_json::{Map, Value};

use super::body::{self, Body, Reply, reply};
use super::openai::embeddings::Shape;
use super::refusal::{Dialect, Refusal};
use super::{Client, fields, guard, native, openai};

/// A request whose sender may ask.
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    /// Empty for a method without one.
    pub(crate) body: Map<String, Value>,
}

/// Answers a request, whatever comes of it.
pub(crate) async fn answer(client: &Client, request: Request<Incoming>) -> Reply {
    let dialect = dialect_of(request.uri().path());
    let is_head = request.method() == Method::HEAD;
    let http = client.daemon.config();
    let checked = guard::check(client.via, request.method(), request.uri(), request.headers(), &http.http);
    let (origin, outcome) = match checked {
        Err(refusal) => (None, Err(refusal)),
        Ok(origin) if request.method() == Method::OPTIONS => (origin, Ok(preflight())),
        Ok(origin) => (origin, dispatch(client, request).await),
    };
    let mut reply = outcome.unwrap_or_else(|refusal| {
        tracing::debug!(status = refusal.status.as_u16(), reason = refusal.message, "an HTTP request is refused");
        refusal.reply(dialect)
    });
    if let Some(origin) = origin {
        reply.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        reply.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    }
    if is_head {
        *reply.body_mut() = Body::Whole(None);
    }
    reply
}

fn dialect_of(path: &str) -> Dialect {
    if path.starts_with("/v1/messages") {
        Dialect::Anthropic
    } else if path.starts_with("/api/") {
        Dialect::Ollama
    } else {
        Dialect::OpenAi
    }
}

fn preflight() -> Reply {
    let mut reply = reply(StatusCode::NO_CONTENT, "text/plain", "");
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE, OPTIONS"));
    let allowed = "Authorization, Content-Type, X-Api-Key, Anthropic-Version, Anthropic-Beta, X-Beast-Priority";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    reply
}

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handler {
    Chat,
    Completions,
    Responses,
    Embeddings(Shape),
    Models,
    Model,
    Health,
    Props,
    Slots,
    Metrics,
    Completion,
    Tokenize,
    Detokenize,
    ApplyTemplate,
    CountChat,
    CountResponses,
    /// A route of llama-server that is not there, and why.
    Unsupported(&'static str),
}

const RERANK: &str = "reranking is not supported; try: POST /v1/embeddings";
const LORA: &str = "LoRA adapters are not supported; try: a model with the adapter merged in";

/// Method, path, handler. A path that ends with a slash is a prefix, for a name that has slashes itself.
const ROUTES: &[(Method, &str, Handler)] = &[
    (Method::POST, "/v1/chat/completions", Handler::Chat),
    (Method::POST, "/chat/completions", Handler::Chat),
    (Method::POST, "/v1/completions", Handler::Completions),
    (Method::POST, "/v1/responses", Handler::Responses),
    (Method::POST, "/responses", Handler::Responses),
    (Method::POST, "/v1/embeddings", Handler::Embeddings(Shape::OpenAi)),
    (Method::POST, "/embeddings", Handler::Embeddings(Shape::Llama)),
    (Method::POST, "/embedding", Handler::Embeddings(Shape::Llama)),
    (Method::GET, "/v1/models", Handler::Models),
    (Method::GET, "/models", Handler::Models),
    (Method::GET, "/v1/models/", Handler::Model),
    (Method::GET, "/models/", Handler::Model),
    (Method::GET, "/health", Handler::Health),
    (Method::GET, "/v1/health", Handler::Health),
    (Method::GET, "/props", Handler::Props),
    (Method::GET, "/slots", Handler::Slots),
    (Method::GET, "/metrics", Handler::Metrics),
    (Method::POST, "/completion", Handler::Completion),
    (Method::POST, "/completions", Handler::Completion),
    (Method::POST, "/tokenize", Handler::Tokenize),
    (Method::POST, "/detokenize", Handler::Detokenize),
    (Method::POST, "/apply-template", Handler::ApplyTemplate),
    (Method::POST, "/chat/completions/input_tokens", Handler::CountChat),
    (Method::POST, "/v1/chat/completions/input_tokens", Handler::CountChat),
    (Method::POST, "/responses/input_tokens", Handler::CountResponses),
    (Method::POST, "/v1/responses/input_tokens", Handler::CountResponses),
    (Method::POST, "/props", Handler::Unsupported("settings are not changed over HTTP; try: config.toml")),
    (
        Method::POST,
        "/slots/",
        Handler::Unsupported("slots are not saved or restored over HTTP: prefixes are kept by themselves"),
    ),
    (
        Method::POST,
        "/infill",
        Handler::Unsupported("infill is not supported; try: POST /completion with the model's own markers"),
    ),
    (Method::POST, "/rerank", Handler::Unsupported(RERANK)),
    (Method::POST, "/reranking", Handler::Unsupported(RERANK)),
    (Method::POST, "/v1/rerank", Handler::Unsupported(RERANK)),
    (Method::POST, "/v1/reranking", Handler::Unsupported(RERANK)),
    (Method::GET, "/lora-adapters", Handler::Unsupported(LORA)),
    (Method::POST, "/lora-adapters", Handler::Unsupported(LORA)),
];

async fn dispatch(client: &Client, request: Request<Incoming>) -> Result<Reply, Refusal> {
    let (head, incoming) = request.into_parts();
    let path = match head.uri.path() {
        "/" => "/",
        path => path.trim_end_matches('/'),
    };
    let method = if head.method == Method::HEAD { Method::GET } else { head.method };
    let handler = find(&method, path)?;
    let max = client.daemon.config().http.max_body;
    let body = match (method, handler) {
        (Method::GET, _) | (_, Handler::Unsupported(_)) => Map::new(),
        _ => fields::parse(&body::read(incoming, &head.headers, max).await?)?,
    };
    let asked = Asked {
        client: client.clone(),
        path: path.to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    };
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
        Handler::Tokenize => native::tokens::tokenize(asked).await,
        Handler::Detokenize => native::tokens::detokenize(asked).await,
        Handler::ApplyTemplate => native::tokens::apply_template(asked).await,
        Handler::CountChat => native::tokens::count_chat(asked).await,
        Handler::CountResponses => native::tokens::count_responses(asked).await,
        Handler::Unsupported(reason) => Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "not_supported_error", reason)),
        Handler::Models => Ok(openai::models::list(&asked)),
        Handler::Model => openai::models::one(&asked),
    }
}

fn find(method: &Method, path: &str) -> Result<Handler, Refusal> {
    let is_at = |known: &str| known == path || (known.len() > 1 && known.ends_with('/') && path.starts_with(known));
    let mut there = ROUTES.iter().filter(|(_, known, _)| is_at(known)).peekable();
    if there.peek().is_none() {
        return Err(Refusal::not_found(format!("{method} {} not found", excerpt(path))));
    }
    // Under a prefix, another method means another thing, which is not there.
    let is_exact = |known: &str| !known.ends_with('/') || known == "/";
    if !there.clone().any(|(known_method, known, _)| known_method == method || is_exact(known)) {
        return Err(Refusal::not_found(format!("{method} {} not found", excerpt(path))));
    }
    let methods: Vec<&str> = there.clone().map(|(method, ..)| method.as_str()).collect();
    there.find(|(known, ..)| known == method).map(|(.., handler)| *handler).ok_or_else(|| Refusal {
        allowed: Some(methods.join(", ")),
        ..Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request_error",
            format!("{method} is not allowed for {}; try: {}", excerpt(path), methods.join(", ")),
        )
    })
}

fn excerpt(path: &str) -> String {
    path.chars().filter(|c| !c.is_control()).take(80).collect()
}
