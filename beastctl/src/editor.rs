//! The user's editor, opened on a file or a text. Never knows what is edited.

use std::{
    io::{self, Write as _},
    path::Path,
    process::Command,
};

use beast_launchd::file;

use crate::exit::{self, Failing};

/// The editor if neither VISUAL nor EDITOR is set.
const EDITOR: &str = "vi";
/// A shell's exit code for a command that it cannot find.
const NOT_FOUND: i32 = 127;
/// Longer than any request may be.
const MAX_LEN: u64 = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum EditorError {
    #[error("the editor `{editor}` {problem}; try: set EDITOR=nano, or another installed editor")]
    Failed { editor: String, problem: String },
    #[error("cannot keep the text for the editor: {0}; try: set TMPDIR to a writable folder")]
    NoFile(io::Error),
    #[error("cannot read the edited text: {0}; try: save it under the same name, as UTF-8")]
    Lost(io::Error),
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
    // Through the shell, like git: the setting may contain arguments, and quotes around a path with spaces.
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(path).status();
    let status = status.map_err(|error| failed(format!("cannot be started: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(NOT_FOUND) => Err(failed("was not found".into())),
        _ => Err(failed(format!("exited with {status}"))),
    }
}

/// Returns the text after the user has edited it.
///
/// # Errors
/// See [`EditorError`].
pub fn edit(text: &str) -> Result<String, EditorError> {
    // Readable by its owner only, and deleted when this function returns.
    let mut kept =
        tempfile::Builder::new().prefix("beastctl-").suffix(".md").tempfile().map_err(EditorError::NoFile)?;
    kept.write_all(text.as_bytes()).and_then(|()| kept.flush()).map_err(EditorError::NoFile)?;
    open(kept.path())?;
    // Opened again by name, because many editors replace the file.
    file::read_text(kept.path(), MAX_LEN).map_err(EditorError::Lost)
}
