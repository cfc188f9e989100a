//! Anthropic's dialect: what its routes share. Knows no other dialect's answers.

mod content;
pub(crate) mod count;
pub(crate) mod messages;
mod request;
mod script;

use hyper::header::{HeaderName, HeaderValue};

use super::body::Reply;
use super::openai::random_id;

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
