//! Whether a file is what it should be: its first bytes, its SHA-256.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::ModelError;

/// Every GGUF file begins so.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";

/// Refuses a file that is no GGUF.
///
/// # Errors
/// [`ModelError::NotGguf`], [`ModelError::File`].
pub fn gguf(path: &Path) -> Result<(), ModelError> {
    let read = |path: &Path| -> io::Result<[u8; 4]> {
        let mut magic = [0; 4];
        File::open(path)?.read_exact(&mut magic)?;
        Ok(magic)
    };
    match read(path) {
        Ok(magic) if &magic == MAGIC => Ok(()),
        Err(source) if source.kind() != io::ErrorKind::UnexpectedEof => Err(ModelError::file("read", path)(source)),
        _ => Err(ModelError::NotGguf(path.display().to_string())),
    }
}

/// The SHA-256 in small hexadecimal letters; `report` hears of every few megabytes and can end it.
///
/// # Errors
/// [`ModelError::File`], and those of `report`.
pub fn sha256(path: &Path, mut report: impl FnMut(u64) -> Result<(), ModelError>) -> Result<String, ModelError> {
    let failed = |source| ModelError::file("read", path)(source);
    let mut file = File::open(path).map_err(failed)?;
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
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// A SHA-256 as people and servers write it: quoted, weak or in capitals; `None` for anything else.
pub fn as_sha256(text: &str) -> Option<String> {
    let hex = text.trim().trim_start_matches("W/").trim_matches('"');
    (hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hex.to_ascii_lowercase())
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
