//! Downloads one file: resumes, retries while there is progress, and discards invalid data.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    check,
    error::ModelError,
    flow::{Ask, Flow, FlowError, Head, Message, Whose},
    folder::{self, Record},
    head::{content_range, expected_hash, is_other_file, retry_after, validator},
    hub::Hub,
    part::{Known, Part, has_room},
    tries::Tries,
    url::shown,
};
use crate::{exit::FileError, wait::Wait};

/// If a server demands a longer pause, the download fails.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);
const SHORT: &str = "the server sent less than it announced";

#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub url: String,
    /// The expected SHA-256.
    pub sha256: Option<String>,
    /// The page on which its licence can be accepted.
    pub page: Option<String>,
    /// The licence according to its page.
    pub licence: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Retries without a single new byte.
    pub n_tries: u32,
    /// The pause before the first retry; it doubles each time.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { n_tries: 8, pause: Duration::from_millis(250) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Bytes downloaded so far.
    Bytes { done: u64, total: Option<u64> },
    /// Bytes hashed so far.
    Checked { done: u64, total: u64 },
    /// A failure, and the pause before the next try.
    Pause(String, Duration),
    /// The downloaded bytes are discarded, for this reason.
    Anew(String),
}

/// Everything that a download needs besides the file.
pub struct Means<'a> {
    /// The hub, which gets the token, and whose size and hash count.
    pub hub: &'a Hub,
    /// Every wait also watches this.
    pub wait: &'a Wait,
    pub patience: Patience,
    pub report: &'a mut dyn FnMut(Report),
}

enum Stop {
    Again { failure: FlowError, after: Option<Duration> },
    Final(ModelError),
}

impl<E: Into<ModelError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Final(error.into())
    }
}

fn again(reason: impl Into<String>) -> Stop {
    Stop::Again { failure: FlowError { reason: reason.into(), whose: Whose::Connection }, after: None }
}

/// Downloads `wanted` to `target`; the caller has locked it and created its folder. Returns the verified SHA-256, if
/// one was known.
///
/// # Errors
/// See [`ModelError`]. The bytes so far are kept for the next run, unless they are invalid.
pub fn download(wanted: &Wanted, target: &Path, means: &mut Means<'_>) -> Result<Option<String>, ModelError> {
    let mut part = Part::open(target)?;
    match fill(wanted, &mut part, target, means) {
        Ok(()) => finish(part, wanted, target, means),
        Err(error) => {
            // Errors of cleaning up are ignored: the reason for the failure matters more.
            let _ = if part.len == 0 { part.discard() } else { part.settle() };
            Err(error)
        }
    }
}

fn fill(wanted: &Wanted, part: &mut Part, target: &Path, means: &mut Means<'_>) -> Result<(), ModelError> {
    let mut tries = Tries::new(&wanted.url, means.patience);
    let mut most = part.len;
    loop {
        match attempt(wanted, part, target, means) {
            Ok(()) => return Ok(()),
            Err(Stop::Final(error)) => return Err(error),
            Err(Stop::Again { failure, after }) => {
                // A server that starts over each time and gets no further makes no progress.
                let has_progress = part.len > most;
                most = most.max(part.len);
                tries.failed(failure, after, has_progress, part.len, means)?;
            }
        }
    }
}

enum Answer {
    /// The bytes after those that we have.
    Rest,
    /// The file from its beginning, and why our bytes are useless.
    Whole(Known, &'static str),
    /// The file from its beginning; we have part of the same file, from another URL.
    Same(Known),
}

fn attempt(wanted: &Wanted, part: &mut Part, target: &Path, means: &mut Means<'_>) -> Result<(), Stop> {
    let is_part = is_part(wanted, part);
    if is_part && part.known.as_ref().is_some_and(|known| known.size == Some(part.len)) {
        return Ok(());
    }
    let flow = Flow::open(ask(wanted, part, is_part, means.hub));
    let mut flow = flow.map_err(FileError::of("start a thread for", target))?;
    let head = match flow.next(means.wait)? {
        Message::Head(head) => head,
        Message::Failed(failure) => return Err(Stop::Again { failure, after: None }),
        Message::Chunk(_) | Message::End => return Err(again("a response without a header")),
    };
    match accept(&head, wanted, part, means)? {
        Answer::Rest => {}
        Answer::Whole(known, why) => {
            has_room(target, known.size, part.len)?;
            begin(&mut flow, known, why, part, means)?;
        }
        Answer::Same(known) => {
            part.learn(known)?;
            drop(flow);
            return attempt(wanted, part, target, means);
        }
    }
    let total = part.known.as_ref().and_then(|known| known.size);
    has_room(target, total, part.len)?;
    copy(&mut flow, part, total, means)
}

/// Whether our bytes are the beginning of the wanted file, as far as that is known without a request.
fn is_part(wanted: &Wanted, part: &Part) -> bool {
    let Some(known) = &part.known else { return false };
    let is_short_enough = known.size.is_none_or(|size| part.len <= size);
    let is_it = match (&known.sha256, &wanted.sha256) {
        (Some(known_hash), Some(wanted)) => known_hash == wanted,
        (Some(_), None) => known.url == wanted.url,
        // Without a validator or hash, the rest might belong to a different file.
        (None, wanted_hash) => known.url == wanted.url && (known.validator.is_some() || wanted_hash.is_some()),
    };
    is_short_enough && is_it
}

fn ask(wanted: &Wanted, part: &Part, is_part: bool, hub: &Hub) -> Ask {
    let mut headers = Vec::new();
    if part.len > 0 && is_part {
        headers.push(("range", format!("bytes={}-", part.len)));
        // With a hash the result is verified anyway, and the hub's hosts may use different ETags for the same file.
        let known = part.known.as_ref().filter(|known| known.sha256.is_none());
        headers.extend(known.and_then(|known| Some(("if-range", known.validator.clone()?))));
    }
    hub.ask(wanted.url.clone(), headers)
}

fn accept(head: &Head, wanted: &Wanted, part: &mut Part, means: &mut Means<'_>) -> Result<Answer, Stop> {
    match head.status {
        200 => {}
        206 => return accept_rest(head, part, means).map(|()| Answer::Rest),
        416 => {
            anew(part, "the server has no more bytes than this file", means)?;
            return Err(again("the server cannot resume it"));
        }
        _ => return Err(refusal(head, wanted, means.hub)),
    }
    let length = head.get("content-length").and_then(|length| length.parse().ok());
    if let (Some(length), Some(size)) = (length, head.linked_size)
        && length != size
    {
        return Err(again(format!("the server announces {length} bytes, but the hub says {size}")));
    }
    let known = Known {
        url: wanted.url.clone(),
        sha256: expected_hash(head, wanted)?,
        validator: validator(head),
        size: head.linked_size.or(length),
        n_synced: None,
    };
    if known.size.is_none() && known.sha256.is_none() {
        return Err(ModelError::NoLength(shown(&wanted.url)).into());
    }
    let had = part.known.clone().unwrap_or_default();
    let is_same = had.sha256 == known.sha256 && had.size == known.size;
    Ok(match had.url == known.url {
        false if part.len > 0 && is_same && known.sha256.is_some() => Answer::Same(known),
        false => Answer::Whole(known, "the partial download is from a different source"),
        true if is_same => Answer::Whole(known, "the server does not resume downloads"),
        true => Answer::Whole(known, "it has changed on the server"),
    })
}

/// Reads the first bytes of a file. Our bytes are discarded only if these are a model's: a network that requires a
/// login answers with a web page first.
fn begin(flow: &mut Flow, known: Known, why: &str, part: &mut Part, means: &mut Means<'_>) -> Result<(), Stop> {
    let mut first = Vec::new();
    while first.len() < beast_launchd::gguf::MAGIC.len() {
        match flow.next(means.wait)? {
            Message::Chunk(bytes) => first.extend(bytes),
            Message::Failed(failure) => return Err(Stop::Again { failure, after: None }),
            Message::End if known.size.is_some_and(|size| size > first.len() as u64) => return Err(again(SHORT)),
            Message::End | Message::Head(_) => break,
        }
    }
    if !first.starts_with(beast_launchd::gguf::MAGIC) {
        return Err(ModelError::NotGguf(format!("the response from {}", shown(&known.url))).into());
    }
    if part.len > 0 {
        anew(part, why, means)?;
    }
    let total = known.size;
    part.learn(known)?;
    append(part, &first, total)
}

fn append(part: &mut Part, bytes: &[u8], total: Option<u64>) -> Result<(), Stop> {
    if total.is_some_and(|total| part.len + bytes.len() as u64 > total) {
        return Err(again("the server sent more than it announced"));
    }
    Ok(part.append(bytes)?)
}

fn accept_rest(head: &Head, part: &mut Part, means: &mut Means<'_>) -> Result<(), Stop> {
    let range = head.get("content-range").and_then(content_range);
    let Some((start, total)) = range.filter(|_| part.len > 0) else {
        return Err(again("the server sent a part that was not requested"));
    };
    let had = part.known.clone().unwrap_or_default();
    let size = head.linked_size.or(total);
    if is_other_file(head, &had) || (size.is_some() && had.size.is_some() && size != had.size) {
        anew(part, "it has changed on the server", means)?;
        return Err(again("it has changed on the server"));
    }
    if start != part.len {
        return Err(again("the server sent a different part than requested"));
    }
    let length: Option<u64> = head.get("content-length").and_then(|length| length.parse().ok());
    match (length, had.size) {
        (Some(length), Some(size)) if length > size - part.len => {
            Err(again("the server announces an impossible length"))
        }
        _ => Ok(()),
    }
}

fn anew(part: &mut Part, why: &str, means: &mut Means<'_>) -> Result<(), FileError> {
    (means.report)(Report::Anew(why.into()));
    part.restart()
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
            let reason = format!("the server returned {}", head.status);
            return Stop::Again { failure: FlowError { reason, whose: Whose::Connection }, after };
        }
        status => ModelError::Status { status, url },
    })
}

fn copy(flow: &mut Flow, part: &mut Part, total: Option<u64>, means: &mut Means<'_>) -> Result<(), Stop> {
    loop {
        (means.report)(Report::Bytes { done: part.len, total });
        match flow.next(means.wait)? {
            Message::Chunk(bytes) => append(part, &bytes, total)?,
            // Without a length, the end of the response does not show whether the file is complete; its header does.
            Message::End if total.is_none() && matches!(check::gguf(part.path()), Err(ModelError::Cut { .. })) => {
                return Err(again("it ends before the model does"));
            }
            Message::End if total.is_none_or(|total| total == part.len) => return Ok(()),
            Message::End => return Err(again(SHORT)),
            Message::Failed(failure) => return Err(Stop::Again { failure, after: None }),
            Message::Head(_) => return Err(again("the response starts twice")),
        }
    }
}

fn finish(part: Part, wanted: &Wanted, target: &Path, means: &mut Means<'_>) -> Result<Option<String>, ModelError> {
    let (total, path) = (part.len, part.path().to_owned());
    // A hash that the user gave only for a later run is as good.
    let hash = part.known.as_ref().and_then(|known| known.sha256.clone()).or_else(|| wanted.sha256.clone());
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(hash) = &hash {
        let found = check::sha256(&path, |done| {
            (means.report)(Report::Checked { done, total });
            Ok(means.wait.pause(Duration::ZERO)?)
        })?;
        if found != *hash {
            part.discard()?;
            return Err(ModelError::WrongHash { name, found, wanted: hash.clone() });
        }
    }
    // Some servers announce the length of half a file.
    if let Err(error) = check::gguf_as(&path, target) {
        part.discard()?;
        return Err(error);
    }
    // Written before the file gets its name, so that no model exists without a record of its source.
    folder::keep(target, &Record::new(&wanted.url, hash.clone(), wanted.licence.clone()))?;
    part.finish(target)?;
    Ok(hash)
}

/// Reads a small response into memory, for lists.
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
    let mut flow = flow.map_err(FileError::of("start a thread for", Path::new(&wanted.url)))?;
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
