//! The socket and its folder: accessible only to the user.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use super::finding::Finding;
use crate::exit::advice;

const CHECK: &str = "socket";
const OTHER: &str = "use a --socket in a folder you own";

/// Any user who can enter the folder and write to the socket could send requests.
pub(super) fn check(path: &Path) -> Finding {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    of_folder(folder)
        .or_else(|| of_socket(path))
        .unwrap_or_else(|| Finding::ok(CHECK, format!("{}, accessible only to you", path.display())))
}

fn of_folder(folder: &Path) -> Option<Finding> {
    let place = folder.display();
    let metadata = match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(Finding::ok(CHECK, format!("{place} does not exist yet; beastd creates it")));
        }
        Err(error) => return Some(Finding::unreadable(CHECK, folder, error)),
        Ok(metadata) => metadata,
    };
    let us = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        return Some(Finding::problem(CHECK, format!("{place} is not a folder"), advice::in_the_way(folder)));
    }
    if metadata.uid() != us {
        let text = format!("the folder {place} belongs to user {} and you are user {us}", metadata.uid());
        return Some(Finding::problem(CHECK, text, OTHER));
    }
    Finding::too_open(CHECK, "the folder", folder, metadata.mode(), "700")
}

fn of_socket(path: &Path) -> Option<Finding> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(Finding::unreadable(CHECK, path, error)),
        Ok(metadata) => metadata,
    };
    if !metadata.file_type().is_socket() {
        let text = format!("{} is not a socket", path.display());
        return Some(Finding::problem(CHECK, text, advice::in_the_way(path)));
    }
    Finding::too_open(CHECK, "the socket", path, metadata.mode(), "600")
}
