//! Finds the proxy for a URL: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, and the exceptions in `NO_PROXY`.
//!
//! The client library reads these too. This adds what it lacks: an unusable proxy is an error instead of no proxy,
//! and `NO_PROXY` may contain networks and ports.

use std::net::IpAddr;

use ipnet::IpNet;
use ureq::{Proxy, http::Uri};

use super::url::has_valid_port;

/// In the client library's order.
const NAMES: [&str; 6] = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy for `url`; `var` reads variables. The error only names the variable, because its value may contain a
/// password.
pub(super) fn of(url: &str, var: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, String> {
    let set = |name: &&str| var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let Some((name, value)) = NAMES.iter().find_map(|name| Some((name, set(name)?))) else { return Ok(None) };
    if Proxy::new(&value).is_err() || !has_valid_port(&value) {
        return Err(format!("invalid proxy in {name}; expected http://HOST:PORT"));
    }
    let exceptions = EXCEPTIONS.iter().find_map(set).unwrap_or_default();
    let is_exception = exceptions.split(',').any(|exception| is_in(url, exception.trim()));
    // The library evaluates the rest of NO_PROXY, host names and suffixes, when it reads the proxy itself.
    Ok(if is_exception { None } else { Proxy::try_from_env() })
}

/// Whether an exception matches the host of `url`: as a network that contains it, or as a host with a port.
fn is_in(url: &str, exception: &str) -> bool {
    let Some((host, port)) = host_and_port(url) else { return false };
    if let Ok(network) = exception.parse::<IpNet>() {
        return host.parse().is_ok_and(|host: IpAddr| network.contains(&host));
    }
    let Some((other, other_port)) = exception.rsplit_once(':') else { return false };
    let other = other.trim_matches(['[', ']']);
    // If this is no port, the colon belongs to an IPv6 address.
    let is_same_port = other_port.parse().is_ok_and(|other: u16| other == port);
    is_same_port && (other.eq_ignore_ascii_case(&host) || is_below(&host, other))
}

/// `.example.org` matches all hosts of that domain.
fn is_below(host: &str, domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    domain.starts_with('.') && host.ends_with(&domain)
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let host = uri.host()?.trim_matches(['[', ']']).to_ascii_lowercase();
    Some((host, uri.port_u16().unwrap_or(usual)))
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
