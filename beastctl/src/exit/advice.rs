//! What to do when the system refuses: one advice for each reason, whichever room the file belongs to.
//!
//! It knows paths and errors of the system, nothing of what the files are for.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use beast_launchd::file::{self, Refusal};
use rustix::io::Errno;

use crate::text::quoted;

/// What to do about a file or folder that cannot be read.
pub fn reading(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => match folder(path) {
            Some(folder) => format!("ls {folder}, to see what is there"),
            None => "ls, to see what is there".into(),
        },
        ErrorKind::IsADirectory => file_in(path),
        ErrorKind::PermissionDenied => format!("ls -ld {}, to see who may read it", typed(path)),
        ErrorKind::NotADirectory => "another path: a part of this one is a file and no folder".into(),
        ErrorKind::InvalidFilename => "a shorter path".into(),
        _ => match file::refusal(error) {
            Some(Refusal::NotRegular(_)) => format!("ls -l {}, to see what is in the place of the file", typed(path)),
            Some(Refusal::TooLong(_)) => {
                format!("ls -l {}, to see whether this is the file that was meant", typed(path))
            }
            None => system(error),
        },
    }
}

/// What to do about a file or folder that cannot be made, written or removed.
pub fn writing(path: &Path, error: &io::Error) -> String {
    let folder = folder(path).unwrap_or_else(|| ".".into());
    match error.kind() {
        ErrorKind::NotFound => format!("mkdir -p {folder}"),
        ErrorKind::IsADirectory => file_in(path),
        ErrorKind::PermissionDenied => format!("ls -ld {folder}, to see who may write there"),
        ErrorKind::ReadOnlyFilesystem => "a folder elsewhere, or mount, to see why this disk is read-only".into(),
        ErrorKind::AlreadyExists => in_the_way(path),
        ErrorKind::NotADirectory => match path.ancestors().skip(1).find(|path| path.symlink_metadata().is_ok()) {
            Some(other) if !is_movable(other) => another_path(other),
            _ => "to move the file away that is in the place of one of these folders".into(),
        },
        ErrorKind::InvalidFilename => "a shorter path".into(),
        _ => system(error),
    }
}

/// What to do about something that stands where something else belongs.
pub fn in_the_way(path: &Path) -> String {
    if is_movable(path) { format!("mv {0} {0}.old, which is in the way", typed(path)) } else { another_path(path) }
}

/// A device, a pipe or a socket belongs to the system or to another program: without it more than ours breaks.
fn is_movable(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file() || metadata.is_dir())
}

fn another_path(path: &Path) -> String {
    format!("another path: {} is neither a file nor a folder", typed(path))
}

/// What to do about a folder in the place of several files.
pub fn files_in(path: &Path) -> String {
    format!("its files, like {}/*", typed(path).trim_end_matches('/'))
}

/// What to do when the system refuses something that is no file of the user's.
pub fn system(error: &io::Error) -> String {
    let is_full = matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE));
    match error.kind() {
        _ if is_full => "ulimit -n 1024, or end a program that holds many files open".into(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there, or write somewhere else".into(),
        ErrorKind::OutOfMemory => "end another program, then the same command again".into(),
        _ => "the same command again, and dmesg for what the system says of it".into(),
    }
}

fn file_in(path: &Path) -> String {
    format!("a file in it, like {}/NAME", typed(path).trim_end_matches('/'))
}

fn folder(path: &Path) -> Option<String> {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(typed)
}

/// As a shell wants it; what begins with `-` would be an option.
fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    quoted(&if text.starts_with('-') { format!("./{text}") } else { text })
}
