//! Downloads one file: resumes, retries while there is progress, and discards what is wrong.

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

/// A server that wants more than this is not waited for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);
const SHORT: &str = "the server sent less than it announced";

#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub url: String,
    /// What it must have.
    pub sha256: Option<String>,
    /// Where its licence can be accepted.
    pub page: Option<String>,
    /// As its page says it.
    pub licence: Option<String>,
}

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

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// So much is there.
    Bytes { done: u64, total: Option<u64> },
    /// So much was checked.
    Checked { done: u64, total: u64 },
    /// It is tried again after this time.
    Pause(String, Duration),
    /// Bytes that were there are thrown away.
    Anew(String),
}

/// Everything that a download needs beside the file.
pub struct Means<'a> {
    /// Whose token and whose word counts.
    pub hub: &'a Hub,
    /// What every wait also listens to.
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

/// Fetches `wanted` to `target`, whose lock is held and whose folder is there. Its SHA-256, when one was known and
/// fits.
///
/// # Errors
/// See [`ModelError`]. What has come is kept for the next time, unless it is wrong.
pub fn download(wanted: &Wanted, target: &Path, means: &mut Means<'_>) -> Result<Option<String>, ModelError> {
    let mut part = Part::open(target)?;
    match fill(wanted, &mut part, target, means) {
        Ok(()) => finish(part, wanted, target, means),
        Err(error) => {
            // Why it ended matters more than a file that stays, or one that does not.
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
                // A server that begins anew each time and gets no further is no progress.
                let has_progress = part.len > most;
                most = most.max(part.len);
                tries.failed(failure, after, has_progress, part.len, means)?;
            }
        }
    }
}

enum Answer {
    /// What belongs behind what is there.
    Rest,
    /// The file from its beginning; why what is there does not count.
    Whole(Known, &'static str),
    /// The file from its beginning, of which some is there already, from another address.
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

/// Whether what is there is the beginning of what is wanted, as far as can be said before anybody is asked.
fn is_part(wanted: &Wanted, part: &Part) -> bool {
    let Some(known) = &part.known else { return false };
    let is_short_enough = known.size.is_none_or(|size| part.len <= size);
    let is_it = match (&known.sha256, &wanted.sha256) {
        (Some(known_hash), Some(wanted)) => known_hash == wanted,
        (Some(_), None) => known.url == wanted.url,
        // Without any of them nobody could say whether the rest belongs to what is there.
        (None, wanted_hash) => known.url == wanted.url && (known.validator.is_some() || wanted_hash.is_some()),
    };
    is_short_enough && is_it
}

fn ask(wanted: &Wanted, part: &Part, is_part: bool, hub: &Hub) -> Ask {
    let mut headers = Vec::new();
    if part.len > 0 && is_part {
        headers.push(("range", format!("bytes={}-", part.len)));
        // With a hash the outcome is checked anyway, and the hub's several hosts need not agree about ETags.
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

/// Takes the first bytes of a file. What is there stays until they are those of a model: a network that wants a login
/// first answers with a page.
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
            // Without a length, what ends and what is cut look the same.
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
    // One that was given only after the first bytes came is as good.
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
    // A server can announce the length of half a file.
    if let Err(error) = check::gguf_as(&path, target) {
        part.discard()?;
        return Err(error);
    }
    // Before the file has its name: one without a record would be of nobody knows where.
    folder::keep(target, &Record::new(&wanted.url, hash.clone(), wanted.licence.clone()))?;
    part.finish(target)?;
    Ok(hash)
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
