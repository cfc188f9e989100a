//! The files of an installed service: which are ours, which a package's, and where they make the system listen.
//!
//! May know: the file system. Never knows: whether the service manager has loaded them.

use std::path::{Path, PathBuf};

use crate::{LABEL, MARK, file, paths, plist, systemd};

/// Whether `beastctl service install`, of this or another version, wrote this unit or property list.
pub fn is_ours(text: &str) -> bool {
    text.lines().any(|line| line.contains(MARK))
}

/// The installed file, ours or a package's, that makes the system listen on `socket`: the service then owns that
/// socket, even while it is stopped.
pub fn installed_at(socket: &Path) -> Option<PathBuf> {
    // An unreadable file counts as missing.
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

/// The enabled socket unit outside the user's own unit folder: a package's, which we must not write or remove. Its
/// service unit is in the same folder.
pub fn packaged_in(folder: &Path) -> Option<PathBuf> {
    // Units in the user's own folder override packages, wherever the link points.
    if folder.join(systemd::SOCKET_UNIT).symlink_metadata().is_ok() {
        return None;
    }
    // The link that `systemctl --user enable` creates and `disable` removes.
    let link = folder.join(systemd::ENABLED_IN).join(systemd::SOCKET_UNIT);
    let unit = link.parent()?.join(link.read_link().ok()?);
    // Removing a package leaves the link behind.
    unit.is_file().then_some(unit)
}

#[cfg(test)]
#[path = "installed_tests.rs"]
mod tests;
