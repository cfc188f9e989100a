//! The file of API keys: one a line, private, small.
//!
//! May know: files and their modes. Never knows: the settings, or what a key is for.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::http::ApiKey;

/// Far more than anybody writes.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the keys; blank lines and lines that begin with `#` hold none. A text that says why not holds no key either.
pub(super) fn read(path: &Path) -> Result<Vec<ApiKey>, String> {
    // Not waiting at a pipe.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open are an int");
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| format!("cannot read it: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("cannot read it: {error}"))?;
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("other users can open it (mode {mode:04o}); try: chmod 600 {}", path.display()));
    }
    let us = rustix::process::geteuid().as_raw();
    if ![us, 0].contains(&metadata.uid()) {
        return Err(format!("it belongs to user {}, not to you; try: a file of your own", metadata.uid()));
    }
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot read it: {error}"))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {} KiB", MAX_BYTES >> 10));
    }
    let keys = keys_in(&text)?;
    if keys.is_empty() { Err("it contains no key; write one a line".into()) } else { Ok(keys) }
}

fn keys_in(text: &str) -> Result<Vec<ApiKey>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| ApiKey::new(line).map_err(|reason| format!("line {}: {reason}", at + 1))).collect()
}
