//! The API key file: one key per line, private, small.
//!
//! May know: files and their modes. Never knows: the settings, or what a key gives access to.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use beast_launchd::file;

use super::http::ApiKey;

/// More than any real key file.
const MAX_BYTES: u64 = 64 << 10;

/// Reads the keys; blank lines and lines that begin with `#` are skipped. Errors never quote a key.
pub(super) fn read(path: &Path) -> Result<Vec<ApiKey>, String> {
    let failed = |error: io::Error| match file::refusal(&error) {
        Some(refusal) => refusal.to_string(),
        None => format!("cannot read it: {error}"),
    };
    let file = file::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("other users can open it (mode {mode:04o}); try: chmod 600 {}", path.display()));
    }
    let us = rustix::process::geteuid().as_raw();
    if ![us, 0].contains(&metadata.uid()) {
        return Err(format!("it belongs to user {}, not to you; try: use a file you own", metadata.uid()));
    }
    let bytes = file::read_all(&file, MAX_BYTES).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let keys = keys_in(&text)?;
    if keys.is_empty() { Err("it contains no key; write one per line".into()) } else { Ok(keys) }
}

fn keys_in(text: &str) -> Result<Vec<ApiKey>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| ApiKey::new(line).map_err(|reason| format!("line {}: {reason}", at + 1))).collect()
}
