//! The last words of a background daemon: its stderr is a file beside the socket, where clients find why it died.
//! Never knows: messages, logs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::file;

/// How much of the file's end to read.
const MAX_LEN: u64 = 16 << 10;
/// Prefixes of lines that report a fatal error, and their replacements.
const FATAL: [(&str, &str); 7] = [
    ("beastd: cannot go on: ", ""),
    ("beastd: llama.cpp ended the process: ", "llama.cpp ended it: "),
    ("memory allocation of ", "memory allocation of "),
    ("libgomp: ", "libgomp: "),
    ("  what():  ", ""),
    ("terminate called ", "terminate called "),
    ("fatal runtime error: ", ""),
];
/// Fragments that mean memory ran out.
const OF_MEMORY: [&str; 6] = [
    "memory allocation of ",
    "bad_alloc",
    "out of memory",
    "mem_buffer != NULL",
    "failed to allocate",
    "Thread creation failed",
];

/// Why a daemon died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWords {
    /// The daemon's own message, on one line.
    pub reason: String,
    /// Whether memory ran out.
    pub is_memory: bool,
}

fn path(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".err");
    path.into()
}

/// Creates an empty file for the last words of the daemon on this socket.
///
/// # Errors
/// System errors.
pub fn begin(socket: &Path) -> io::Result<File> {
    file::open_with(OpenOptions::new().create(true).write(true).truncate(true).mode(0o600), &path(socket))
}

/// Removes the previous daemon's file, for a daemon whose stderr goes elsewhere.
pub fn forget(socket: &Path) {
    // Usually there is no such file.
    let _ = fs::remove_file(path(socket));
}

/// Why the daemon on this socket died, if it left a message.
pub fn last(socket: &Path) -> Option<LastWords> {
    let mut file = file::open(&path(socket)).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(MAX_LEN))).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_LEN).read_to_end(&mut bytes).ok()?;
    reason(&String::from_utf8_lossy(&bytes))
}

fn reason(text: &str) -> Option<LastWords> {
    let lines: Vec<&str> = text.lines().collect();
    let fatal = |line: &str| {
        FATAL.iter().find_map(|(start, stand_in)| Some(format!("{stand_in}{}", line.strip_prefix(start)?)))
    };
    let panicked = || {
        let at = lines.iter().rposition(|line| line.starts_with("thread '") && line.contains(" panicked at "))?;
        Some(format!("it panicked: {}", lines.get(at + 1)?))
    };
    let reason = lines.iter().rev().find_map(|line| fatal(line)).or_else(panicked)?;
    let is_memory = OF_MEMORY.iter().any(|part| reason.contains(part));
    Some(LastWords { reason: reason.trim_end_matches('.').to_owned(), is_memory })
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
