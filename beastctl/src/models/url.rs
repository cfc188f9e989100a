//! URLs, as far as redirects and file names need them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Scheme, host and port, in lower case. Decides who may receive a secret.
pub(super) fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?.to_ascii_lowercase();
    let scheme = scheme.to_ascii_lowercase();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    Some(format!("{scheme}://{}", host.strip_suffix(usual).unwrap_or(&host)))
}

/// Resolves `location` relative to `base`.
pub(super) fn joined(base: &str, location: &str) -> Option<String> {
    if is_web(location) {
        return Some(location.into());
    }
    let (scheme, _) = base.split_once("://")?;
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    let start = scheme.len() + 3;
    let path = base[start..].find('/').map_or(base.len(), |at| start + at);
    if location.starts_with('/') {
        return Some(format!("{}{location}", &base[..path]));
    }
    let end = base.find(['?', '#']).unwrap_or(base.len());
    if location.starts_with('?') {
        return Some(format!("{}{location}", &base[..end]));
    }
    let folder = base[..end].rfind('/').filter(|at| *at >= path).unwrap_or(end);
    Some(format!("{}/{location}", &base[..folder]))
}

pub(super) fn is_encrypted(url: &str) -> bool {
    origin(url).is_some_and(|origin| origin.starts_with("https://"))
}

pub fn is_web(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins("https://") || begins("http://")
}

/// Whether the port, if there is one, is a number from 1 to 65535. The client library ignores any other and connects
/// to the default one.
pub(super) fn has_valid_port(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after_address.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The last segment of the path, decoded.
pub(super) fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?.split_once("://")?.1;
    let (_, name) = path.rsplit_once('/')?;
    percent_decode_str(name).decode_utf8().ok().map(String::from)
}

/// The URL without its query, which may contain a signature or a password; for display.
pub fn shown(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or(url);
    match plain.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or(authority))
        }
        None => plain.into(),
    }
}

/// Percent-encodes a path.
pub(super) fn encoded(path: &str) -> String {
    const UNUSUAL: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
    utf8_percent_encode(path, &UNUSUAL).to_string()
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
