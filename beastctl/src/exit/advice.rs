//! Hints for system errors: one per reason, for files of all rooms.
//!
//! Knows paths and system errors, nothing of what the files are for.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use beast_launchd::file::{self, Refusal};
use rustix::io::Errno;

use crate::text::quoted;

/// Hint for a file or folder that cannot be read.
pub fn reading(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => match folder(path) {
            Some(folder) => format!("ls {folder}, to see what is there"),
            None => "ls, to see what is there".into(),
        },
        ErrorKind::IsADirectory => file_in(path),
        ErrorKind::PermissionDenied => format!("ls -ld {}, to see who may read it", typed(path)),
        ErrorKind::NotADirectory => "use another path: a part of this one is a file, not a folder".into(),
        ErrorKind::InvalidFilename => "use a shorter path".into(),
        _ => match file::refusal(error) {
            Some(Refusal::NotRegular(_)) => format!("ls -l {}, to see what is there", typed(path)),
            Some(Refusal::TooLong(_)) => {
                format!("ls -l {}, to check that this is the right file", typed(path))
            }
            None => system(error),
        },
    }
}

/// Hint for a file or folder that cannot be created, written or removed.
pub fn writing(path: &Path, error: &io::Error) -> String {
    let folder = folder(path).unwrap_or_else(|| ".".into());
    match error.kind() {
        ErrorKind::NotFound => format!("mkdir -p {folder}"),
        ErrorKind::IsADirectory => file_in(path),
        ErrorKind::PermissionDenied => format!("ls -ld {folder}, to see who may write there"),
        ErrorKind::ReadOnlyFilesystem => "use another folder, or run mount to see why this one is read-only".into(),
        ErrorKind::AlreadyExists => in_the_way(path),
        ErrorKind::NotADirectory => match path.ancestors().skip(1).find(|path| path.symlink_metadata().is_ok()) {
            Some(other) if !is_movable(other) => another_path(other),
            _ => "move away the file that is in the place of one of these folders".into(),
        },
        ErrorKind::InvalidFilename => "use a shorter path".into(),
        _ if matches!(file::refusal(error), Some(Refusal::NotRegular(_))) => another_path(path),
        _ => system(error),
    }
}

/// Hint for something that is where something else belongs.
pub fn in_the_way(path: &Path) -> String {
    if is_movable(path) { format!("mv {0} {0}.old, which is in the way", typed(path)) } else { another_path(path) }
}

/// A device, pipe or socket belongs to the system or another program, and moving it would break that.
fn is_movable(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file() || metadata.is_dir())
}

fn another_path(path: &Path) -> String {
    format!("use another path: {} is neither a file nor a folder", typed(path))
}

/// Hint for a folder given instead of files.
pub fn files_in(path: &Path) -> String {
    format!("name its files, like {}/*", typed(path).trim_end_matches('/'))
}

/// Hint for a system error that does not concern the user's files.
pub fn system(error: &io::Error) -> String {
    let is_full = matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
    match error.kind() {
        _ if is_full => "ulimit -n 1024, or close a program that holds many files open".into(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space there, or write somewhere else".into(),
        ErrorKind::OutOfMemory => "close other programs, then repeat the command".into(),
        _ => "repeat the command, and see dmesg for the cause".into(),
    }
}

fn file_in(path: &Path) -> String {
    format!("name a file in it, like {}/NAME", typed(path).trim_end_matches('/'))
}

fn folder(path: &Path) -> Option<String> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(typed)
}

/// Quoted for a shell; a leading `-` would be an option.
fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    quoted(&if text.starts_with('-') { format!("./{text}") } else { text })
}
