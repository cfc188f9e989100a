//! What the headers of a response say about a file: identity, version, range, when to retry.

use std::time::{Duration, SystemTime};

use super::{check, download::Wanted, error::ModelError, flow::Head, part::Known, url::shown};

/// Whether the file has changed since the last response, by its hash or validator. Needed because some servers ignore
/// `If-Range`.
pub(super) fn is_other_file(head: &Head, had: &Known) -> bool {
    let hash = head.linked_etag.as_deref().and_then(check::as_sha256);
    if hash.is_some() && had.sha256.is_some() {
        return hash != had.sha256;
    }
    let is_date = had.validator.as_ref().is_some_and(|validator| !validator.starts_with('"'));
    let said = head.get(if is_date { "last-modified" } else { "etag" });
    let is_other_state = said.is_some() && had.validator.is_some() && said != had.validator.as_deref();
    // A changed ETag means nothing if a hash is known, unless it is a hash itself: hosts may use different ETags for
    // the same bytes.
    let is_telling = |hash: &String| said.and_then(check::as_sha256).is_some_and(|said| said != *hash);
    is_other_state && had.sha256.as_ref().is_none_or(is_telling)
}

/// The hash that the file must have: from the user, else from the hub, else from the server's ETag if that is a
/// SHA-256.
pub(super) fn expected_hash(head: &Head, wanted: &Wanted) -> Result<Option<String>, ModelError> {
    let said = [head.linked_etag.as_deref(), head.get("etag")].into_iter().flatten().find_map(check::as_sha256);
    match (&wanted.sha256, head.linked_etag.as_deref().and_then(check::as_sha256)) {
        (Some(wanted_hash), Some(said)) if *wanted_hash != said => {
            Err(ModelError::WrongHash { name: shown(&wanted.url), found: said, wanted: wanted_hash.clone() })
        }
        (Some(hash), _) => Ok(Some(hash.clone())),
        (None, _) => Ok(said),
    }
}

/// A strong ETag or a date, which identify the exact bytes.
pub(super) fn validator(head: &Head) -> Option<String> {
    let strong = head.get("etag").filter(|etag| !etag.starts_with("W/"));
    strong.or_else(|| head.get("last-modified")).map(str::to_owned)
}

/// Parses `bytes 5-9/10` as `(5, Some(10))`.
pub(super) fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// Parses seconds or an HTTP date.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
