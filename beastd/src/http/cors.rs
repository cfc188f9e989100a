//! CORS headers for pages of a listed origin, which let the browser read answers and send headers. Never knows the
//! list.

use hyper::StatusCode;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, HeaderMap,
    HeaderName, HeaderValue, VARY,
};

use super::body::{Reply, reply};

/// Most header names in a preflight; the OpenAI and Anthropic libraries send a dozen.
const MAX_NAMES: usize = 64;
/// Longest header name in a preflight, in bytes.
const MAX_NAME: usize = 64;

/// Lets the page read the response, whatever its status.
pub(super) fn allow(reply: &mut Reply, origin: HeaderValue) {
    let headers = reply.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    // Libraries read these headers: when to retry, and the request id for error reports.
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After, Request-Id"));
    headers.append(VARY, HeaderValue::from_static("Origin"));
}

/// Answers a browser's preflight request. `is_listed` says whether the page may send its request.
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

/// The requested header names. All of them are allowed, since no header grants more than the origin does. `None` when
/// one is invalid, or there are too many.
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
