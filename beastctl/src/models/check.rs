//! Checks a file: its magic number, its SHA-256.

use std::{
    io::{self, Read},
    path::Path,
};

use beast_launchd::{
    file,
    gguf::{self, Damage},
};
use sha2::{Digest, Sha256};

use super::error::ModelError;
use crate::exit::{FileError, READ};

/// Rejects a file that is not GGUF, or is shorter than its own header says.
pub fn gguf(path: &Path) -> Result<(), ModelError> {
    gguf_as(path, path)
}

/// The same for a partial download; errors name the file that it was to become.
pub(super) fn gguf_as(path: &Path, target: &Path) -> Result<(), ModelError> {
    let failed = FileError::of(READ, path);
    let file = file::open(path).map_err(&failed)?;
    let n_bytes = file.metadata().map_err(&failed)?.len();
    gguf::check(file, n_bytes).map_err(|damage| match damage {
        Damage::Magic => ModelError::NotGguf(target.display().to_string()),
        Damage::Cut(needed) => ModelError::Cut { path: target.into(), n_bytes, needed: Some(needed) },
        Damage::Headless => ModelError::Cut { path: target.into(), n_bytes, needed: None },
        Damage::Garbled => ModelError::Garbled(target.into()),
        Damage::Io(source) => failed(source).into(),
    })
}

/// The SHA-256 in lower-case hexadecimal; `report` is called every few megabytes and can stop it.
///
/// # Errors
/// [`ModelError::File`], and those of `report`.
pub fn sha256(path: &Path, mut report: impl FnMut(u64) -> Result<(), ModelError>) -> Result<String, ModelError> {
    let failed = FileError::of(READ, path);
    let mut file = file::open(path).map_err(&failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 4 * 1024 * 1024];
    let mut n_read = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                n_read += n as u64;
                report(n_read)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error).into()),
        }
    }
    Ok(format!("{:x}", hasher.finalize()))
}

pub(super) fn sha256_of(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Normalizes a SHA-256 that may be quoted, a weak ETag, or in capitals; `None` for anything else.
pub fn as_sha256(text: &str) -> Option<String> {
    let hex = text.trim().trim_start_matches("W/").trim_matches('"');
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hex.to_ascii_lowercase())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
