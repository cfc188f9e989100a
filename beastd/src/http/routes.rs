//! The table of routes.

use hyper::{Method, StatusCode};

use super::openai::embeddings::Shape;
use super::refusal::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handler {
    Chat,
    Completions,
    Responses,
    Embeddings(Shape),
    Models,
    Model,
    LoadModel,
    UnloadModel,
    Stream,
    StopStream,
    Streams,
    Health,
    Props,
    Slots,
    Metrics,
    Completion,
    SystemOne,
    Tokenize,
    Detokenize,
    ApplyTemplate,
    CountChat,
    CountResponses,
    /// A route of llama-server that beastd lacks, and why.
    Unsupported(&'static str),
    Messages,
    CountTokens,
    Root,
    Version,
    Tags,
    Show,
    Ps,
    OllamaChat,
    OllamaGenerate,
    OllamaEmbed,
    OllamaEmbeddings,
    Pull,
}

const RERANK: &str = "reranking is not supported; try: POST /v1/embeddings";
const LORA: &str = "LoRA adapters are not supported; try: a model with the adapter merged in";

/// Method, path, handler. A path that ends with a slash is a prefix, for names that contain slashes.
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
    (Method::POST, "/models/load", Handler::LoadModel),
    (Method::POST, "/models/unload", Handler::UnloadModel),
    (Method::GET, "/v1/stream", Handler::Stream),
    (Method::DELETE, "/v1/stream", Handler::StopStream),
    (Method::POST, "/v1/streams/lookup", Handler::Streams),
    (Method::GET, "/health", Handler::Health),
    (Method::GET, "/v1/health", Handler::Health),
    (Method::GET, "/props", Handler::Props),
    (Method::GET, "/slots", Handler::Slots),
    (Method::GET, "/metrics", Handler::Metrics),
    (Method::POST, "/completion", Handler::Completion),
    (Method::POST, "/completions", Handler::Completion),
    (Method::POST, "/v1/systemone", Handler::SystemOne),
    (Method::POST, "/tokenize", Handler::Tokenize),
    (Method::POST, "/detokenize", Handler::Detokenize),
    (Method::POST, "/apply-template", Handler::ApplyTemplate),
    (Method::POST, "/chat/completions/input_tokens", Handler::CountChat),
    (Method::POST, "/v1/chat/completions/input_tokens", Handler::CountChat),
    (Method::POST, "/responses/input_tokens", Handler::CountResponses),
    (Method::POST, "/v1/responses/input_tokens", Handler::CountResponses),
    (Method::POST, "/props", Handler::Unsupported("settings cannot be changed over HTTP; try: edit config.toml")),
    (
        Method::POST,
        "/slots/",
        Handler::Unsupported("slots cannot be saved or restored over HTTP: prefixes are cached automatically"),
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
    (Method::POST, "/v1/messages", Handler::Messages),
    (Method::POST, "/v1/messages/count_tokens", Handler::CountTokens),
    (Method::GET, "/", Handler::Root),
    (Method::GET, "/api/version", Handler::Version),
    (Method::GET, "/api/tags", Handler::Tags),
    (Method::POST, "/api/show", Handler::Show),
    (Method::GET, "/api/ps", Handler::Ps),
    (Method::POST, "/api/chat", Handler::OllamaChat),
    (Method::POST, "/api/generate", Handler::OllamaGenerate),
    (Method::POST, "/api/embed", Handler::OllamaEmbed),
    (Method::POST, "/api/embeddings", Handler::OllamaEmbeddings),
    (Method::POST, "/api/pull", Handler::Pull),
];

/// The handler of a request.
///
/// # Errors
/// 404 for an unknown path, 405 for another method.
pub(super) fn find(method: &Method, path: &str) -> Result<Handler, Refusal> {
    let is_at = |known: &str| known == path || (known.len() > 1 && known.ends_with('/') && path.starts_with(known));
    let mut there = ROUTES.iter().filter(|(_, known, _)| is_at(known)).peekable();
    if there.peek().is_none() {
        return Err(Refusal::not_found(format!("{method} {} not found", excerpt(path))));
    }
    // A prefix matches unknown names too, for which another method is no known action: 404, not 405.
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
