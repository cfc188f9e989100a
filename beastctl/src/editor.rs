//! The user's editor: on a file, or on a text. Never knows what is edited.

use std::{
    io::{self, Write as _},
    path::Path,
    process::Command,
};

use beast_launchd::file;

use crate::exit::{self, Failing};

/// When nobody has said which.
const EDITOR: &str = "vi";
/// What a shell says about a command that it does not find.
const NOT_FOUND: i32 = 127;
/// More than a request holds.
const MAX_LEN: u64 = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum EditorError {
    #[error("the editor `{editor}` {problem}; try: set EDITOR=nano, or another installed editor")]
    Failed { editor: String, problem: String },
    #[error("cannot keep the text for the editor: {0}; try: set TMPDIR to a writable folder")]
    NoFile(io::Error),
}

impl Failing for EditorError {
    fn exit_code(&self) -> u8 {
        exit::FAILED
    }
}

/// Opens a file and waits until the editor is closed.
///
/// # Errors
/// [`EditorError::Failed`].
pub fn open(path: &Path) -> Result<(), EditorError> {
    let of = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = of("VISUAL").or_else(|| of("EDITOR")).unwrap_or_else(|| EDITOR.into());
    let failed = |problem: String| EditorError::Failed { editor: editor.clone(), problem };
    // Through the shell, as git does it: the setting may hold arguments, and quotes around a path with spaces.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(path).status();
    let status = status.map_err(|error| failed(format!("cannot be started: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(NOT_FOUND) => Err(failed("was not found".into())),
        _ => Err(failed(format!("exited with {status}"))),
    }
}

/// What becomes of a text in the editor.
///
/// # Errors
/// See [`EditorError`].
pub fn edit(text: &str) -> Result<String, EditorError> {
    // Only its owner can read it, and it goes with this function.
    let mut kept =
        tempfile::Builder::new().prefix("beastctl-").suffix(".md").tempfile().map_err(EditorError::NoFile)?;
    kept.write_all(text.as_bytes()).and_then(|()| kept.flush()).map_err(EditorError::NoFile)?;
    open(kept.path())?;
    // By its name: many editors write another file in its place.
    let bytes = file::read(kept.path(), MAX_LEN).map_err(EditorError::NoFile)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
