//! The files of an installed service: which are ours, and where they make the system listen.
//!
//! May know: the file system. Never knows: whether the system has read them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{LABEL, MARK, paths, plist, systemd};

/// Whether a unit or property list is one that we have written, also another version of us.
pub fn is_ours(text: &str) -> bool {
    text.lines().any(|line| line.contains(MARK))
}

/// The file of ours that makes the system listen at `socket`, when there is one: the service owns that socket then, also
/// while it is stopped.
pub fn installed_at(socket: &Path) -> Option<PathBuf> {
    let (file, socket_of): (_, fn(&str) -> Option<PathBuf>) = match cfg!(target_os = "macos") {
        true => (paths::agents_dir().ok()?.join(format!("{LABEL}.plist")), plist::socket_of),
        false => (paths::units_dir().ok()?.join(systemd::SOCKET_UNIT), systemd::socket_of),
    };
    // A file that cannot be read says nothing.
    let found = socket_of(&fs::read_to_string(&file).ok()?)?;
    (found == socket).then_some(file)
}
