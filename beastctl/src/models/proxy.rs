//! Finds the proxy for a URL: `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, and the exceptions in `NO_PROXY`.
//!
//! The client library reads these too. This adds what it lacks: an unusable proxy must not mean none, and `NO_PROXY`
//! can contain networks and ports.

use std::net::IpAddr;

use ipnet::IpNet;
use ureq::{Proxy, http::Uri};

/// In the order of the client library.
const NAMES: [&str; 6] = ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy for `url`, by the variables that `var` knows; the error names the variable, whose value may hold a
/// password.
pub(super) fn of(url: &str, var: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>, String> {
    let set = |name: &&str| var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let Some((name, value)) = NAMES.iter().find_map(|name| Some((name, set(name)?))) else { return Ok(None) };
    if Proxy::new(&value).is_err() {
        return Err(format!("invalid proxy in {name}; expected http://HOST:PORT"));
    }
    let exceptions = EXCEPTIONS.iter().find_map(set).unwrap_or_default();
    let is_exception = exceptions.split(',').any(|exception| is_in(url, exception.trim()));
    // The library's own reading of NO_PROXY, names and their endings, comes with its own reading of the proxy.
    Ok(if is_exception { None } else { Proxy::try_from_env() })
}

/// Whether the host of `url` is in a network, or is a host with a port, that `exception` names.
fn is_in(url: &str, exception: &str) -> bool {
    let Some((host, port)) = host_and_port(url) else { return false };
    if let Ok(network) = exception.parse::<IpNet>() {
        return host.parse().is_ok_and(|host: IpAddr| network.contains(&host));
    }
    let Some((other, other_port)) = exception.rsplit_once(':') else { return false };
    let other = other.trim_matches(['[', ']']);
    // What is no port is a part of an address of version 6.
    let is_same_port = other_port.parse().is_ok_and(|other: u16| other == port);
    is_same_port && (other.eq_ignore_ascii_case(&host) || is_below(&host, other))
}

/// `.example.org` names all hosts of that domain.
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
