//! Checks each request before its body is read: Host, Origin, API key, content type.
//!
//! A web page in the user's browser can reach every port of this machine. Two checks protect against that: `Host`
//! must be one of ours (a page whose name was rebound to 127.0.0.1 sends its own name), and `Origin` must be allowed.

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, StatusCode, Uri};

use super::refusal::Refusal;
use crate::config::http::Http;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// TCP, which web pages can reach as well.
    Tcp(std::net::SocketAddr),
    /// A Unix socket in a private folder.
    Unix,
}

/// Paths that need no key, as in llama-server: health, and the model's name.
const PUBLIC: [&str; 6] = ["/", "/health", "/v1/health", "/models", "/v1/models", "/api/version"];

/// The origin of the requesting page, if it is listed. The response then carries CORS headers even if another check
/// fails, so that the page can read the error.
pub fn listed_origin(headers: &HeaderMap, http: &Http) -> Option<HeaderValue> {
    check_origin(headers, http).ok().flatten()
}

/// Checks a request.
///
/// # Errors
/// 400, 401, 403 or 415 with the reason.
pub fn check(via: Via, method: &Method, uri: &Uri, headers: &HeaderMap, http: &Http) -> Result<(), Refusal> {
    if let Via::Tcp(address) = via {
        check_host(address, uri, headers, http)?;
    }
    // A preflight carries neither key nor body, and without CORS headers its response allows nothing.
    if method == Method::OPTIONS {
        return Ok(());
    }
    let origin = check_origin(headers, http)?;
    check_site(method, headers, origin.is_some())?;
    if method == Method::POST {
        check_content_type(headers, origin.is_some())?;
    }
    if PUBLIC.contains(&uri.path()) { Ok(()) } else { check_key(headers, http) }
}

fn check_host(address: std::net::SocketAddr, uri: &Uri, headers: &HeaderMap, http: &Http) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::invalid("the request must have exactly one Host header"));
    };
    let host = host_name(host.to_str().unwrap_or_default());
    // An absolute URI in the request line names the host again.
    for named in uri.host().into_iter().chain([host]) {
        if !is_ours(named, address, http) {
            let text = format!("host '{}' is not allowed; try: add it to http.hosts", excerpt(named));
            return Err(Refusal::new(StatusCode::FORBIDDEN, "permission_error", text));
        }
    }
    Ok(())
}

fn is_ours(named: &str, address: std::net::SocketAddr, http: &Http) -> bool {
    let name = named.strip_suffix('.').unwrap_or(named);
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let is_ip = |ip: std::net::IpAddr| ip.is_loopback() || ip.to_canonical() == address.ip().to_canonical();
    name.eq_ignore_ascii_case("localhost")
        || bare.parse().is_ok_and(is_ip)
        || http.hosts.iter().any(|host| host.eq_ignore_ascii_case(bare))
}

/// The host without its port; an IPv6 address keeps its brackets.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn check_origin(headers: &HeaderMap, http: &Http) -> Result<Option<HeaderValue>, Refusal> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(None) };
    let is_allowed = |allowed: &String| match allowed.as_str() {
        "localhost" => origin.to_str().is_ok_and(is_of_this_machine),
        allowed => allowed.as_bytes() == origin.as_bytes(),
    };
    if http.origins.iter().any(is_allowed) {
        return Ok(Some(origin.clone()));
    }
    let text = format!(
        "origin '{}' is not allowed; try: add it to http.origins",
        excerpt(&String::from_utf8_lossy(origin.as_bytes()))
    );
    Err(Refusal::new(StatusCode::FORBIDDEN, "permission_error", text))
}

/// Browsers send `Origin` with unsafe methods and `Sec-Fetch-Site` with all; some old ones omit `Origin`.
fn check_site(method: &Method, headers: &HeaderMap, is_allowed_page: bool) -> Result<(), Refusal> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign = site.is_some_and(|site| site != b"none" && site != b"same-origin");
    if !is_foreign || is_allowed_page || *method == Method::GET || *method == Method::HEAD {
        return Ok(());
    }
    let text = "cross-site request refused; try: add its origin to http.origins";
    Err(Refusal::new(StatusCode::FORBIDDEN, "permission_error", text))
}

/// Whether a page was served by this machine, on any port.
fn is_of_this_machine(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    ["http", "https"].contains(&scheme) && ["localhost", "127.0.0.1", "[::1]"].contains(&host_name(host))
}

/// Rejects content types that pages may send without a preflight. curl sends one of them (a form) by default, but no
/// `Sec-Fetch` header.
fn check_content_type(headers: &HeaderMap, is_allowed_page: bool) -> Result<(), Refusal> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_page = is_allowed_page || headers.contains_key("sec-fetch-site") || headers.contains_key("sec-fetch-mode");
    let is_json = kind == "application/json" || kind.ends_with("+json") || kind.is_empty();
    if is_json || (kind == "application/x-www-form-urlencoded" && !is_page) {
        return Ok(());
    }
    let text = format!("content type '{}' is not supported; try: send application/json", excerpt(&kind));
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", text))
}

fn check_key(headers: &HeaderMap, http: &Http) -> Result<(), Refusal> {
    if http.api_keys.is_empty() {
        return Ok(());
    }
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    let given = [bearer, headers.get("x-api-key").and_then(|value| value.to_str().ok())];
    // Compares all keys, so that timing does not reveal which one matched.
    let is_known = given
        .iter()
        .flatten()
        .fold(false, |any, given| http.api_keys.iter().fold(any, |any, key| any | key.matches(given.as_bytes())));
    if is_known {
        return Ok(());
    }
    let text = match given.iter().any(Option::is_some) {
        true => "invalid API key; try: use a key from http.api_key or http.api_key_file",
        false => "missing API key; try: send the header 'Authorization: Bearer KEY'",
    };
    Err(Refusal {
        code: Some("invalid_api_key"),
        ..Refusal::new(StatusCode::UNAUTHORIZED, "authentication_error", text)
    })
}

/// An excerpt of client text for errors: short and without control characters.
fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
