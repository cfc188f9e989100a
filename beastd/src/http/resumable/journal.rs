//! Journals on disk: each request with its answer so far, so that the next daemon can resume after a crash.
//!
//! One file per stream, as JSON lines: a header, an entry per event, then an end marker. Every line is written before
//! the client gets it, so a client never has more than the file; an incomplete last line is ignored. The files hold
//! users' text, so they are private. A writer holds a lock on its file, which keeps other daemons away. Everything
//! here blocks on the disk and runs off the sockets' thread. Knows streams only by id.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use beast_launchd::lock;
use beast_protocol::{Event, Priority, decode, encode};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::streams::{Summary, is_expired};
use crate::fingerprint::hex;
use crate::http::openai::{Identity, now_s};

/// Longest journal that is read back.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    /// Version of the protocol that the entries use.
    pub(super) protocol: u32,
    pub(super) id: String,
    pub(super) identity: Identity,
    /// The request as received.
    pub(super) body: Map<String, Value>,
    /// The model that was asked for; `None` for the default one.
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) priority: Priority,
    /// Seconds since 1970.
    #[serde(default)]
    pub(super) started_at: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    /// Bytes sent to the client.
    bytes: String,
    /// The worker's event as JSON; `None` for a keep-alive.
    event: Option<String>,
    is_last: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: String,
    pub(super) event: Option<Event>,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) entries: Vec<Entry>,
    pub(super) is_done: bool,
    /// The journal, open for appending.
    pub(super) journal: Journal,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Creates a journal, replacing an older one with the same id.
    pub(super) fn begin(folder: &Path, head: &Head) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = path(folder, &head.id);
        remove(&path)?;
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        let begun = lock::take(&file).map_err(io::Error::from).and_then(|()| file.write_all(line(head)?.as_bytes()));
        // A journal with a partial header is useless.
        begun.inspect_err(|_| remove(&path).unwrap_or_default())?;
        Ok(Self { file })
    }

    /// Reads the complete lines of the journal with this id.
    pub(super) fn find(folder: &Path, id: &str) -> io::Result<Option<Found>> {
        let Some((file, _)) = open(&path(folder, id))? else { return Ok(None) };
        let Some((head, mut lines)) = begun(&file)?.filter(|(head, _)| head.id == id) else { return Ok(None) };
        let (mut entries, mut is_done) = (Vec::new(), false);
        while let Some(line) = lines.next::<Line>()? {
            is_done = is_done || line.is_last;
            let event = line.event.map(|event| event_of(&event)).transpose()?;
            entries.push(Entry { bytes: line.bytes, event });
        }
        // Drops an incomplete last line, so that new entries start on a line of their own. Restores the modification
        // time.
        if file.metadata()?.len() > lines.n_bytes {
            file.set_len(lines.n_bytes)?;
        }
        Ok(Some(Found { head, entries, is_done, journal: Self { file } }))
    }

    /// Appends complete lines.
    pub(super) fn write(&mut self, lines: &str) -> io::Result<()> {
        self.file.write_all(lines.as_bytes())
    }
}

/// The line for an entry.
pub(super) fn entry(bytes: &str, event: Option<&Event>, is_last: bool) -> io::Result<String> {
    let event = event.map(|event| encode(event).map(|bytes| STANDARD_NO_PAD.encode(bytes)));
    let event = event.transpose().map_err(io::Error::other)?;
    line(&Line { bytes: bytes.to_owned(), event, is_last })
}

/// Removes the journal with this id, if there is one.
pub(super) fn forget(folder: &Path, id: &str) -> io::Result<()> {
    remove(&path(folder, id))
}

/// Ids of earlier processes' journals, latest first, at most `n_max`. Removes the others, and those that are expired
/// or unreadable.
pub(super) fn scan(folder: &Path, n_max: usize) -> Vec<(String, Summary)> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        match summary(folder, &path) {
            Ok(Some((id, summary))) => found.push((id, summary)),
            // Another daemon is writing this file, or it cannot be opened.
            Err(error) if error.kind() != io::ErrorKind::InvalidData => {}
            Ok(None) | Err(_) => remove(&path).unwrap_or_default(),
        }
    }
    found.sort_by_key(|(_, summary)| std::cmp::Reverse(summary.at));
    for (id, _) in found.drain(n_max.min(found.len())..) {
        forget(folder, &id).unwrap_or_default();
    }
    found
}

/// The summary of a journal; `None` if it is useless.
fn summary(folder: &Path, place: &Path) -> io::Result<Option<(String, Summary)>> {
    let Some((file, metadata)) = open(place)? else { return Ok(None) };
    let at = written_at(&metadata)?;
    if is_expired(at, now_s()) {
        return Ok(None);
    }
    let Some((head, mut lines)) = begun(&file)?.filter(|(head, _)| path(folder, &head.id) == *place) else {
        return Ok(None);
    };
    let mut summary = Summary { started_at: head.started_at, n_bytes: 0, is_done: false, at };
    while let Some(line) = lines.next::<Line>()? {
        summary.n_bytes += line.bytes.len();
        summary.is_done = summary.is_done || line.is_last;
    }
    Ok(Some((head.id, summary)))
}

/// Opens and locks a journal, which fails while another process writes it; `None` if there is none.
fn open(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    // Refuses links, and does not block on pipes.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match OpenOptions::new().read(true).append(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(None);
    }
    lock::take(&file)?;
    Ok(Some((file, metadata)))
}

/// Reads the header; `None` when this version cannot continue it.
fn begun(file: &File) -> io::Result<Option<(Head, Lines)>> {
    let mut lines = Lines { reader: BufReader::new(file.try_clone()?.take(MAX_BYTES)), n_bytes: 0 };
    let head = lines.next::<Head>()?.filter(|head| head.protocol == beast_protocol::VERSION);
    Ok(head.map(|head| (head, lines)))
}

/// Modification time in seconds since 1970: when the stream ended or was interrupted.
fn written_at(metadata: &Metadata) -> io::Result<u64> {
    Ok(metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

const EXTENSION: &str = "stream";

/// Path of a journal. An id may contain any character, so the name is its hash.
fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(hex(&Sha256::digest(id.as_bytes()))).with_extension(EXTENSION)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

fn event_of(text: &str) -> io::Result<Event> {
    let bytes = STANDARD_NO_PAD.decode(text).map_err(io::Error::other)?;
    decode(&bytes).map_err(io::Error::other)
}

struct Lines {
    reader: BufReader<io::Take<File>>,
    /// Length of the complete lines, in bytes.
    n_bytes: u64,
}

impl Lines {
    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> io::Result<Option<T>> {
        let mut line = String::new();
        let n = self.reader.read_line(&mut line)?;
        if n == 0 || !line.ends_with('\n') {
            return Ok(None);
        }
        self.n_bytes += n as u64;
        Ok(Some(serde_json::from_str(&line)?))
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
pub(super) mod tests;
