//! Refused requests: status and reason, in the form of each dialect.

use beast_protocol::{ErrorCode, Sizes, WireError};
use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use super::body::{Reply, json_reply};
use super::ids;

/// OpenAI's `type` for a prompt that is too long, as in llama-server.
const TOO_LONG: &str = "exceed_context_size_error";

/// The dialect, which determines the form of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error": {message, type, param, code}}`; also for routes of llama-server.
    OpenAi,
    /// `{"type": "error", "error": {type, message}}`.
    Anthropic,
    /// `{"error": "…"}`.
    Ollama,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub status: StatusCode,
    /// OpenAI's `type`.
    pub kind: &'static str,
    /// OpenAI's `code`.
    pub code: Option<&'static str>,
    pub param: Option<String>,
    /// What went wrong, and what to try.
    pub message: String,
    /// Sizes of a prompt that is too long.
    pub sizes: Option<Sizes>,
    /// Seconds until the same request may succeed.
    pub retry_after: Option<u32>,
    /// Methods allowed for the path.
    pub allowed: Option<String>,
}

impl Refusal {
    /// An invalid request: 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// An invalid field: 400.
    pub fn invalid_field(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::invalid(message) }
    }

    /// A refusal with this status and OpenAI `type`.
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            param: None,
            message: message.into(),
            sizes: None,
            retry_after: None,
            allowed: None,
        }
    }

    /// An internal error: 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// An unknown name: 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found_error", message)
    }

    /// The error in this dialect's form, for a response or within a stream.
    pub fn json(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Ollama => json!({ "error": self.message }),
            Dialect::Anthropic => {
                let message = match self.sizes {
                    // Claude Code compacts its conversation when it reads these words.
                    Some(sizes) => format!("prompt is too long: {} tokens > {} maximum", sizes.n_prompt, sizes.n_ctx),
                    None if self.kind == TOO_LONG => format!("prompt is too long: {}", self.message),
                    None => self.message.clone(),
                };
                json!({ "type": "error", "error": { "type": self.anthropic_kind(), "message": message } })
            }
            Dialect::OpenAi => {
                let mut error = json!({
                    "message": self.message,
                    "type": self.kind,
                    "param": self.param,
                    "code": self.code,
                });
                if let Some(sizes) = self.sizes {
                    error["n_prompt_tokens"] = sizes.n_prompt.into();
                    error["n_ctx"] = sizes.n_ctx.into();
                }
                json!({ "error": error })
            }
        }
    }

    pub fn reply(&self, dialect: Dialect) -> Reply {
        let mut body = self.json(dialect);
        let id = (dialect == Dialect::Anthropic).then(ids::request_id);
        if let Some(id) = &id {
            body["request_id"] = id.as_str().into();
        }
        let mut reply = json_reply(self.status, &body);
        if let Some(id) = id {
            ids::name_request(&mut reply, &id);
        }
        if let Some(seconds) = self.retry_after {
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allowed) = self.allowed.as_deref().and_then(|allowed| HeaderValue::from_str(allowed).ok()) {
            reply.headers_mut().insert(ALLOW, allowed);
        }
        reply
    }

    fn anthropic_kind(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            503 | 529 => "overloaded_error",
            400..=499 => "invalid_request_error",
            _ => "api_error",
        }
    }
}

/// Clients of llama-server look for these words.
fn too_long(Sizes { n_prompt, n_ctx }: Sizes) -> String {
    format!(
        "the request ({n_prompt} tokens) exceeds the available context size ({n_ctx} tokens); try: shorten the \
         prompt, or raise n_ctx"
    )
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        let WireError { code, message, sizes } = error;
        let unavailable = |message| Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable_error", message)
        };
        match code {
            ErrorCode::Invalid | ErrorCode::Protocol => Self::invalid(message),
            ErrorCode::TooLong => Self {
                kind: TOO_LONG,
                code: Some("context_length_exceeded"),
                sizes,
                ..Self::invalid(sizes.map_or(message, too_long))
            },
            ErrorCode::Overloaded => {
                Self { retry_after: Some(1), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message) }
            }
            ErrorCode::ModelUnavailable | ErrorCode::ShuttingDown => unavailable(message),
            ErrorCode::Engine | ErrorCode::Internal => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
            }
        }
    }
}
