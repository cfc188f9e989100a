//! Anthropic's dialect: what its routes share. Knows no other dialect.

mod content;
pub(crate) mod count;
pub(crate) mod messages;
pub(crate) mod models;
mod request;
mod script;

use hyper::header::HeaderMap;

/// Whether a request to a route that OpenAI shares uses this dialect.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}
