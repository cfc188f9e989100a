//! Fetches one file: goes on where it stopped, tries again as long as it gets on, and keeps nothing that is wrong.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    ModelError, check,
    flow::{Ask, Failure, Flow, Head, Message},
    gguf,
    hub::Hub,
    part::{Known, Part},
    tries::Tries,
    url::shown,
};
use crate::wait::Wait;

/// A server that wants more than this is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Where it is.
    pub url: String,
    /// What it must have.
    pub sha256: Option<String>,
    /// Where its licence can be accepted.
    pub page: Option<String>,
}

/// How long a server is borne with.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries without a single new byte, after the first.
    pub n_tries: u32,
    /// The pause after the first of them; it doubles.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { n_tries: 8, pause: Duration::from_millis(250) }
    }
}

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// So much is there.
    Bytes {
        /// On disk.
        done: u64,
        /// Of the whole file.
        total: Option<u64>,
    },
    /// So much was checked.
    Checked {
        /// Of the file.
        done: u64,
        /// The file.
        total: u64,
    },
    /// It is tried again after this time.
    Pause(String, Duration),
    /// Bytes that were there are thrown away.
    Anew(String),
}

/// What is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its SHA-256, when one was known and fits.
    pub sha256: Option<String>,
    /// Its size.
    pub bytes: u64,
}

/// Everything that a download needs beside the file.
pub struct Means<'a> {
    /// Whose token and whose word counts.
    pub hub: &'a Hub,
    /// What every wait also listens to.
    pub wait: &'a Wait,
    /// How long a server is borne with.
    pub patience: Patience,
    /// Hears what is going on.
    pub report: &'a mut dyn FnMut(Report),
}

/// Why a try ended before the file did.
enum Stop {
    /// Worth another.
    Again { failure: Failure, after: Option<Duration> },
    /// Not.
    Final(ModelError),
}

impl<E: Into<ModelError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Final(error.into())
    }
}

fn again(reason: impl Into<String>) -> Stop {
    Stop::Again { failure: Failure { reason: reason.into(), is_early: false }, after: None }
}

/// Fetches `wanted` to `target`, whose lock is held and whose folder is there.
///
/// # Errors
/// See [`ModelError`]. What has come is kept for the next time, unless it is wrong.
pub fn download(wanted: &Wanted, target: &Path, means: &mut Means<'_>) -> Result<Fetched, ModelError> {
    let mut part = Part::open(target)?;
    match fill(wanted, &mut part, target, means) {
        Ok(()) => finish(part, target, means),
        Err(error) => {
            if part.len == 0 {
                // Nothing came. Why that is matters more than a file that stays.
                let _ = part.discard();
            }
            Err(error)
        }
    }
}

/// Tries until everything is there.
fn fill(wanted: &Wanted, part: &mut Part, target: &Path, means: &mut Means<'_>) -> Result<(), ModelError> {
    let mut tries = Tries::new(&wanted.url, means.patience);
    let mut most = part.len;
    loop {
        match attempt(wanted, part, target, means) {
            Ok(()) => return Ok(()),
            Err(Stop::Final(error)) => return Err(error),
            Err(Stop::Again { failure, after }) => {
                // A server that begins anew each time and gets no further is no progress.
                let has_progress = part.len > most;
                most = most.max(part.len);
                tries.failed(failure, after, has_progress, part.len, means)?;
            }
        }
    }
}

fn attempt(wanted: &Wanted, part: &mut Part, target: &Path, means: &mut Means<'_>) -> Result<(), Stop> {
    let is_same = |known: &Known| {
        known.url == wanted.url && (wanted.sha256.is_none() || wanted.sha256 == known.sha256)
            // Without either nobody could say whether the rest belongs to what is there.
            && (known.sha256.is_some() || known.validator.is_some())
    };
    if !part.known.as_ref().is_some_and(is_same) || part.known.as_ref().and_then(|known| known.size) < Some(part.len) {
        part.restart()?;
    }
    if part.known.as_ref().is_some_and(|known| known.size == Some(part.len)) {
        return Ok(());
    }
    let flow = Flow::open(ask(wanted, part, means.hub)).map_err(ModelError::file("start a thread for", target));
    let mut flow = flow?;
    let head = match flow.next(means.wait)? {
        Message::Head(head) => head,
        Message::Failed(failure) => return Err(Stop::Again { failure, after: None }),
        Message::Chunk(_) | Message::End => return Err(again("an answer without a beginning")),
    };
    accept(&head, wanted, part, means)?;
    let total = part.known.as_ref().and_then(|known| known.size);
    has_room(target, total, part.len)?;
    copy(&mut flow, part, total, means)
}

fn ask(wanted: &Wanted, part: &Part, hub: &Hub) -> Ask {
    let mut headers = Vec::new();
    if part.len > 0 {
        headers.push(("range", format!("bytes={}-", part.len)));
        // With a hash the outcome is checked anyway, and the hub's several hosts need not agree about ETags.
        let known = part.known.as_ref().filter(|known| known.sha256.is_none());
        headers.extend(known.and_then(|known| Some(("if-range", known.validator.clone()?))));
    }
    hub.ask(wanted.url.clone(), headers)
}

/// Decides what the answer is worth. Afterwards what comes belongs behind what is there.
fn accept(head: &Head, wanted: &Wanted, part: &mut Part, means: &mut Means<'_>) -> Result<(), Stop> {
    match head.status {
        200 => {}
        206 => return accept_rest(head, part, means),
        416 => {
            anew(part, "the server has no more of it than is here", means)?;
            return Err(again("the server has no such part of it"));
        }
        _ => return Err(refusal(head, wanted, means.hub)),
    }
    let length = head.get("content-length").and_then(|length| length.parse().ok());
    if let (Some(length), Some(size)) = (length, head.linked_size)
        && length != size
    {
        return Err(again(format!("the server announces {length} bytes, and the hub says {size}")));
    }
    let known = Known {
        url: wanted.url.clone(),
        sha256: expected_hash(head, wanted)?,
        validator: validator(head),
        size: head.linked_size.or(length),
    };
    if known.size.is_none() && known.sha256.is_none() {
        return Err(ModelError::NoLength(shown(&wanted.url)).into());
    }
    if part.len > 0 {
        let is_same = part.known.as_ref().is_some_and(|had| had.sha256 == known.sha256 && had.size == known.size);
        let why = if is_same { "the server sends it from its beginning" } else { "it has changed on the server" };
        anew(part, why, means)?;
    }
    Ok(part.learn(known)?)
}

/// The rest of what is here, if it is that.
fn accept_rest(head: &Head, part: &mut Part, means: &mut Means<'_>) -> Result<(), Stop> {
    let range = head.get("content-range").and_then(content_range);
    let Some((start, total)) = range.filter(|_| part.len > 0) else {
        return Err(again("the server sends a part that nobody asked for"));
    };
    let had = part.known.clone().unwrap_or_default();
    let size = head.linked_size.or(total);
    if is_other_file(head, &had) || (size.is_some() && had.size.is_some() && size != had.size) {
        anew(part, "it has changed on the server", means)?;
        return Err(again("it has changed on the server"));
    }
    if start != part.len {
        return Err(again("the server sends another part than was asked for"));
    }
    let length: Option<u64> = head.get("content-length").and_then(|length| length.parse().ok());
    match (length, had.size) {
        (Some(length), Some(size)) if length > size - part.len => Err(again("the server announces too much")),
        _ => Ok(()),
    }
}

/// Whether what the server or the hub calls the file has changed; not every server looks at `If-Range`.
fn is_other_file(head: &Head, had: &Known) -> bool {
    let hash = head.linked_etag.as_deref().and_then(check::as_sha256);
    if hash.is_some() && had.sha256.is_some() {
        return hash != had.sha256;
    }
    let is_date = had.validator.as_ref().is_some_and(|validator| !validator.starts_with('"'));
    let said = head.get(if is_date { "last-modified" } else { "etag" });
    let is_other_state = said.is_some() && had.validator.is_some() && said != had.validator.as_deref();
    // The name of a state says nothing against a hash, unless it is one itself: hosts of the same bytes need not agree.
    let is_telling = |hash: &String| said.and_then(check::as_sha256).is_some_and(|said| said != *hash);
    is_other_state && had.sha256.as_ref().is_none_or(is_telling)
}

fn anew(part: &mut Part, why: &str, means: &mut Means<'_>) -> Result<(), ModelError> {
    (means.report)(Report::Anew(why.into()));
    part.restart()
}

/// What the file must have: what the user says, what the hub says, what the server calls it if that is a SHA-256.
fn expected_hash(head: &Head, wanted: &Wanted) -> Result<Option<String>, ModelError> {
    let said = [head.linked_etag.as_deref(), head.get("etag")].into_iter().flatten().find_map(check::as_sha256);
    match (&wanted.sha256, head.linked_etag.as_deref().and_then(check::as_sha256)) {
        (Some(wanted_hash), Some(said)) if *wanted_hash != said => {
            Err(ModelError::WrongHash { name: shown(&wanted.url), found: said, wanted: wanted_hash.clone() })
        }
        (Some(hash), _) => Ok(Some(hash.clone())),
        (None, _) => Ok(said),
    }
}

/// Only what stands for the very same bytes.
fn validator(head: &Head) -> Option<String> {
    let strong = head.get("etag").filter(|etag| !etag.starts_with("W/"));
    strong.or_else(|| head.get("last-modified")).map(str::to_owned)
}

/// `bytes 5-9/10` as `(5, Some(10))`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

fn refusal(head: &Head, wanted: &Wanted, hub: &Hub) -> Stop {
    let url = shown(&wanted.url);
    Stop::Final(match head.status {
        401 | 403 => ModelError::Denied {
            status: head.status,
            page: wanted.page.clone().filter(|_| hub.owns(&wanted.url)),
            had_token: hub.has_token(),
            url,
        },
        404 | 410 => ModelError::Missing(url),
        408 | 429 | 500..=599 => {
            let after = head.get("retry-after").and_then(|text| retry_after(text, SystemTime::now()));
            if let Some(pause) = after.filter(|pause| *pause > LONGEST_RETRY_AFTER) {
                return ModelError::TooManyRequests { url, pause }.into();
            }
            let reason = format!("the server answers {}", head.status);
            return Stop::Again { failure: Failure { reason, is_early: false }, after };
        }
        status => ModelError::Status { status, url },
    })
}

/// Seconds, or a date as HTTP writes it.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    // `Sun, 06 Nov 1994 08:49:37 GMT`
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? + 1;
    let at = humantime::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

fn has_room(target: &Path, total: Option<u64>, len: u64) -> Result<(), ModelError> {
    let folder = target.parent().unwrap_or(Path::new("."));
    // A file system that does not say it is no reason to stop: a full disk is noticed when it is full.
    let (Some(total), Ok(disk)) = (total, rustix::fs::statvfs(folder)) else { return Ok(()) };
    let (needed, free) = (total.saturating_sub(len), disk.f_bavail.saturating_mul(disk.f_frsize));
    if needed <= free {
        return Ok(());
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(ModelError::NoRoom { name, needed, free, folder: folder.into() })
}

fn copy(flow: &mut Flow, part: &mut Part, total: Option<u64>, means: &mut Means<'_>) -> Result<(), Stop> {
    loop {
        (means.report)(Report::Bytes { done: part.len, total });
        match flow.next(means.wait)? {
            Message::Chunk(bytes) => {
                let is_first = part.len == 0 && bytes.len() >= gguf::MAGIC.len();
                if is_first && !bytes.starts_with(gguf::MAGIC) {
                    let url = part.known.as_ref().map(|known| shown(&known.url)).unwrap_or_default();
                    return Err(ModelError::NotGguf(format!("what comes from {url}")).into());
                }
                if total.is_some_and(|total| part.len + bytes.len() as u64 > total) {
                    return Err(again("the server sends more than it announced"));
                }
                part.append(&bytes)?;
            }
            Message::End if total.is_none_or(|total| total == part.len) => return Ok(()),
            Message::End => return Err(again("the server sent less than it announced")),
            Message::Failed(failure) => return Err(Stop::Again { failure, after: None }),
            Message::Head(_) => return Err(again("the answer begins twice")),
        }
    }
}

fn finish(part: Part, target: &Path, means: &mut Means<'_>) -> Result<Fetched, ModelError> {
    let (total, path) = (part.len, part.path().to_owned());
    let wanted = part.known.as_ref().and_then(|known| known.sha256.clone());
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(wanted) = &wanted {
        let found = check::sha256(&path, |done| {
            (means.report)(Report::Checked { done, total });
            Ok(means.wait.pause(Duration::ZERO)?)
        })?;
        if found != *wanted {
            part.discard()?;
            return Err(ModelError::WrongHash { name, found, wanted: wanted.clone() });
        }
    }
    // A server can announce the length of half a file.
    if let Err(error) = check::gguf(&path) {
        part.discard()?;
        return Err(match error {
            ModelError::NotGguf(_) => ModelError::NotGguf(name),
            ModelError::Cut { n_bytes, needed, .. } => ModelError::Cut { path: target.into(), n_bytes, needed },
            ModelError::Garbled(_) => ModelError::Garbled(target.into()),
            error => error,
        });
    }
    part.finish(target)?;
    let bytes = fs::metadata(target).map_err(ModelError::file("read", target))?.len();
    Ok(Fetched { sha256: wanted, bytes })
}

/// A small answer as a whole, for lists.
pub(super) fn get(wanted: &Wanted, most: usize, means: &mut Means<'_>) -> Result<Vec<u8>, ModelError> {
    let mut tries = Tries::new(&wanted.url, means.patience);
    loop {
        match get_once(wanted, most, means) {
            Ok(bytes) => return Ok(bytes),
            Err(Stop::Final(error)) => return Err(error),
            Err(Stop::Again { failure, after }) => tries.failed(failure, after, false, 0, means)?,
        }
    }
}

fn get_once(wanted: &Wanted, most: usize, means: &mut Means<'_>) -> Result<Vec<u8>, Stop> {
    let flow = Flow::open(means.hub.ask(wanted.url.clone(), Vec::new()));
    let mut flow = flow.map_err(ModelError::file("start a thread for", Path::new(&wanted.url)))?;
    let mut bytes = Vec::new();
    loop {
        match flow.next(means.wait)? {
            Message::Head(head) if head.status == 200 => {}
            Message::Head(head) => return Err(refusal(&head, wanted, means.hub)),
            Message::Chunk(chunk) if bytes.len() + chunk.len() <= most => bytes.extend(chunk),
            Message::Chunk(_) => return Err(ModelError::Listing(shown(&wanted.url)).into()),
            Message::End => return Ok(bytes),
            Message::Failed(failure) => return Err(Stop::Again { failure, after: None }),
        }
    }
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
