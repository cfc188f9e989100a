//! What was asked and answered, on disk while it is answered, so that the next daemon can go on after this one was killed.
//!
//! A file for each stream, lines of JSON: a head, then an entry for each thing that was said, then one that says that it is over. Every line
//! is written before the client has it, so a client never knows more than the file; a last line that was cut off counts as not
//! there. The files hold what users wrote: nobody else may read them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use beast_protocol::{Event, decode, encode};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::fingerprint::hex;
use crate::http::openai::Identity;

/// A journal that nobody has asked for is removed at the next start after this time.
const MAX_AGE: Duration = Duration::from_hours(1);
/// Longest journal that is read back.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Head {
    /// Of the messages in the entries.
    pub(super) protocol: u32,
    /// By which clients name the stream.
    pub(super) id: String,
    pub(super) identity: Identity,
    /// The request, as it came.
    pub(super) body: Map<String, Value>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    /// What the client gets, as it is on the wire.
    bytes: String,
    /// What the worker said; none for a sign of life.
    event: Option<String>,
    is_last: bool,
}

/// Something that was said.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: String,
    pub(super) event: Option<Event>,
}

/// What a journal holds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) entries: Vec<Entry>,
    pub(super) is_done: bool,
    /// To write on.
    pub(super) journal: Journal,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins one, in the place of an older one of the same id.
    pub(super) fn begin(folder: &Path, head: &Head) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let path = path(folder, &head.id);
        remove(&path)?;
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(line(head)?.as_bytes())?;
        Ok(Self { file, path })
    }

    /// Reads the one of this id, as far as it goes.
    pub(super) fn find(folder: &Path, id: &str) -> io::Result<Option<Found>> {
        let path = path(folder, id);
        // Neither a link nor a pipe that somebody has put there.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let opened = OpenOptions::new().read(true).append(true).custom_flags(flags.bits().cast_signed()).open(&path);
        let file = match opened {
            Ok(file) if file.metadata()?.is_file() => file,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = Lines { reader: BufReader::new(file.try_clone()?.take(MAX_BYTES)), n_bytes: 0 };
        let Some(head) = lines.next::<Head>()? else { return Ok(None) };
        if head.protocol != beast_protocol::VERSION || head.id != id {
            return Ok(None);
        }
        let (mut entries, mut is_done) = (Vec::new(), false);
        while let Some(line) = lines.next::<Line>()? {
            let Some(event) = line.event.map(|event| event_of(&event)).transpose()? else {
                is_done = is_done || line.is_last;
                entries.push(Entry { bytes: line.bytes, event: None });
                continue;
            };
            entries.push(Entry { bytes: line.bytes, event: Some(event) });
        }
        // What was cut off goes, so that what is written next is a line of its own.
        file.set_len(lines.n_bytes)?;
        Ok(Some(Found { head, entries, is_done, journal: Self { file, path } }))
    }

    /// Writes what is said next.
    pub(super) fn write(&mut self, bytes: &str, event: Option<&Event>, is_last: bool) -> io::Result<()> {
        let event = event.map(|event| encode(event).map(|bytes| STANDARD_NO_PAD.encode(bytes)));
        let event = event.transpose().map_err(io::Error::other)?;
        self.file.write_all(line(&Line { bytes: bytes.to_owned(), event, is_last })?.as_bytes())
    }

    /// It is no longer needed.
    pub(super) fn remove(&self) {
        let _ = remove(&self.path);
    }
}

/// Removes what a client names; whether it was there does not matter.
pub(super) fn forget(folder: &Path, id: &str) -> io::Result<()> {
    remove(&path(folder, id))
}

/// Removes journals that nobody came for.
pub(super) fn clean(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        let is_ours = entry.path().extension().is_some_and(|extension| extension == EXTENSION);
        if is_ours && age.is_some_and(|age| age > MAX_AGE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

const EXTENSION: &str = "stream";

/// An id may hold anything; its hash is a name.
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
    /// Of whole lines.
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
