//! Anthropic's dialect: what its routes share. Knows no other dialect's answers.

mod content;
pub(crate) mod count;
pub(crate) mod messages;
pub(crate) mod models;
mod request;
mod script;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::body::Reply;
use super::openai::random_id;

/// Whether a request to a route that OpenAI has as well speaks this dialect.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

/// By which a request is named in its answer and its errors.
pub(crate) fn request_id() -> String {
    format!("req_{}", random_id(24))
}

/// Adds the header that carries it.
pub(crate) fn name_request(reply: &mut Reply, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        reply.headers_mut().entry(HeaderName::from_static("request-id")).or_insert(id);
    }
}
