//! What a page of a listed origin is told, so that its browser lets it read answers and send headers. Never knows who
//! is listed.

use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, HeaderMap,
    HeaderName, HeaderValue, VARY,
};

use super::body::{Reply, reply};

/// Most header names that a preflight may ask for; the libraries of OpenAI and Anthropic send a dozen.
const MAX_NAMES: usize = 64;
/// Bytes of the longest of them.
const MAX_NAME: usize = 64;

/// Lets the page read the answer, whatever its status is.
pub(super) fn allow(reply: &mut Reply, origin: HeaderValue) {
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    // Libraries read these where they may: when to try again, and by which name to report a failure.
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After, Request-Id"));
    headers.append(VARY, HeaderValue::from_static("Origin"));
}

/// Answers what a browser asks before it sends a page's request. `is_listed` says that the page may.
pub(super) fn preflight(is_listed: bool, asked: &HeaderMap) -> Reply {
    const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE, OPTIONS");
    let mut reply = reply(StatusCode::OK, "text/plain", "");
    let headers = reply.headers_mut();
    headers.insert(ALLOW, METHODS);
    if is_listed {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if let Some(names) = requested(asked) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
    }
    reply
}

/// The names that are asked for, as they are allowed: all of them, since no header opens what the origin does not.
/// `None` when one of them is no name, or there are too many.
fn requested(asked: &HeaderMap) -> Option<HeaderValue> {
    let mut names = Vec::new();
    for value in asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in value.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let is_name = name.len() <= MAX_NAME && HeaderName::from_bytes(name.as_bytes()).is_ok();
            if !is_name || names.len() == MAX_NAMES {
                return None;
            }
            names.push(name);
        }
    }
    if names.is_empty() { None } else { HeaderValue::from_str(&names.join(", ")).ok() }
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
