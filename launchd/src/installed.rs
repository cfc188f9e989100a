//! The files of an installed service: which are ours, which a package's, and where they make the system listen.
//!
//! May know: the file system. Never knows: whether the system has read them.

use std::path::{Path, PathBuf};

use crate::{LABEL, MARK, file, paths, plist, systemd};

/// Whether a unit or property list is one that we have written, also another version of us.
pub fn is_ours(text: &str) -> bool {
    text.lines().any(|line| line.contains(MARK))
}

/// The file that makes the system listen at `socket`, ours or that of a package, when there is one: the service owns
/// that socket then, also while it is stopped.
pub fn installed_at(socket: &Path) -> Option<PathBuf> {
    // A file that cannot be read says nothing.
    let read = |file: &Path| file::read_text(file, 1 << 20).ok();
    let (file, found) = if cfg!(target_os = "macos") {
        let file = paths::agents_dir().ok()?.join(format!("{LABEL}.plist"));
        let found = plist::socket_of(&read(&file)?)?;
        (file, found)
    } else {
        let folder = paths::units_dir().ok()?;
        if let Some(file) = packaged_in(&folder) {
            let found = systemd::listens_at(&read(&file)?, &paths::runtime_dir())?;
            (file, found)
        } else {
            let file = folder.join(systemd::SOCKET_UNIT);
            let found = systemd::socket_of(&read(&file)?)?;
            (file, found)
        }
    };
    (found == socket).then_some(file)
}

/// The socket unit outside of the user's own `folder` of units that is enabled there: a package's, which is not ours to
/// write or to remove. Its service unit lies beside it.
pub fn packaged_in(folder: &Path) -> Option<PathBuf> {
    // What lies in the user's own folder goes before every package, wherever the link leads.
    if folder.join(systemd::SOCKET_UNIT).symlink_metadata().is_ok() {
        return None;
    }
    // What `systemctl --user enable` makes, and `disable` removes.
    let link = folder.join(systemd::ENABLED_IN).join(systemd::SOCKET_UNIT);
    let unit = link.parent()?.join(link.read_link().ok()?);
    // A package that was removed leaves the link behind.
    unit.is_file().then_some(unit)
}

#[cfg(test)]
#[path = "installed_tests.rs"]
mod tests;
