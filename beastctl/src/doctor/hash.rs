//! The SHA-256 of a model against the note beside it, `NAME.gguf.sha256`, in the format of sha256sum: `HEX  NAME`.

use std::{
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::file;
use sha2::{Digest, Sha256};

use crate::wait::{Wait, WaitError};

/// Between two looks whether somebody has pressed Ctrl-C.
const BLOCK_LEN: usize = 1024 * 1024;

pub(super) fn note_of(model: &Path) -> PathBuf {
    let mut name = model.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

/// What the note says, in lower case; `None` where there is none.
///
/// # Errors
/// Those of the system, and [`ErrorKind::InvalidData`] for a note that holds no hash.
pub(super) fn noted(model: &Path) -> io::Result<Option<String>> {
    let text = match file::read_text(&note_of(model), 64 << 10) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let word = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
    let is_hash = word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { Ok(Some(word)) } else { Err(ErrorKind::InvalidData.into()) }
}

/// The hash of a file, in lower case.
///
/// # Errors
/// See [`WaitError`]; the inner error is the system's.
pub(super) fn of_file(path: &Path, wait: &Wait) -> Result<io::Result<String>, WaitError> {
    let mut file = match file::open(path) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK_LEN];
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(n) => hasher.update(&block[..n]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Ok(Err(error)),
        }
        wait.pause(Duration::ZERO)?;
    }
    Ok(Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
