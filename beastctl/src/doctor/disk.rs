//! The folders to write to: existing or creatable, writable, with enough space.

use std::{
    io,
    path::{Path, PathBuf},
};

use beast_launchd::paths;
use rustix::fs::{Access, access, statvfs};

use super::{finding::Finding, log_dir};
use crate::{
    exit::advice,
    output::{Verdict, units::bytes},
    settings::Settings,
    text::quoted,
};

const CHECK: &str = "disk";
/// With less space, writing will soon fail.
const LITTLE: u64 = 64 * 1024 * 1024;
/// The most that stored prefixes may use, and some logs.
const ENOUGH: u64 = 1024 * 1024 * 1024;

/// One finding per folder with a problem, and one for all others.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let places =
        [("models", paths::models_dir()), ("conversations", paths::data_dir()), ("caches", paths::cache_dir())];
    let mut findings = Vec::new();
    let mut free = Vec::new();
    let log = log_dir(settings).map(|folder| ("logs", Ok(folder)));
    for (name, folder) in places.into_iter().chain(log) {
        match folder {
            // A missing variable affects several folders, so it is reported once.
            Err(error) if findings.is_empty() => {
                findings.push(Finding::said(Verdict::Problem, CHECK, &error.to_string(), "export HOME"));
            }
            Err(_) => {}
            Ok(folder) => match look(&folder) {
                Ok(Some(n)) => match judge(name, &folder, n) {
                    Some(finding) => findings.push(finding),
                    None => free.push(format!("{name} {}", bytes(n))),
                },
                Ok(None) if folder.is_dir() => free.push(format!("{name} (unknown)")),
                Ok(None) => {
                    let place = folder.display().to_string();
                    let text =
                        format!("the folder for {name}, {place}, does not exist, and its file system has no space");
                    let fix = format!("mkdir -p {}, to see whether it can be created", quoted(&place));
                    findings.push(Finding::warning(CHECK, text, fix));
                }
                Err((path, error)) => findings.push(unusable(name, &path, &error)),
            },
        }
    }
    if !free.is_empty() {
        findings.push(Finding::ok(CHECK, format!("free for {}", free.join(", "))));
    }
    findings
}

/// Free bytes in a folder, or in its nearest existing parent; `None` for a file system that has no blocks to count.
/// The error says what prevents writing there.
fn look(folder: &Path) -> Result<Option<u64>, (PathBuf, io::Error)> {
    let fail = |path: &Path, error: io::Error| (path.to_owned(), error);
    for path in folder.ancestors() {
        match path.metadata() {
            // `NotADirectory`: a file is in place of a folder, which the next parent reveals.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(fail(path, error)),
            Ok(metadata) if !metadata.is_dir() => return Err(fail(path, io::ErrorKind::NotADirectory.into())),
            Ok(_) => {}
        }
        access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| fail(path, error.into()))?;
        let room = statvfs(path).map_err(|error| fail(path, error.into()))?;
        return Ok((room.f_blocks > 0).then(|| room.f_bavail.saturating_mul(room.f_frsize)));
    }
    Err(fail(folder, io::ErrorKind::NotFound.into()))
}

fn judge(name: &str, folder: &Path, n_free: u64) -> Option<Finding> {
    let text = format!("{} free for {name} in {}", bytes(n_free), folder.display());
    let fix = format!("free some space there: du -sh {}/*", quoted(&folder.display().to_string()));
    match n_free {
        ENOUGH.. => None,
        LITTLE.. => Some(Finding::warning(CHECK, text, fix)),
        _ => Some(Finding::problem(CHECK, text, fix)),
    }
}

fn unusable(name: &str, path: &Path, error: &io::Error) -> Finding {
    if error.kind() == io::ErrorKind::NotADirectory {
        let text = format!("{} is a file where the folder for {name} belongs", path.display());
        return Finding::problem(CHECK, text, advice::in_the_way(path));
    }
    let text = format!("cannot write {name} to {}: {error}", path.display());
    let fix = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("ls -ld {}, to see who may write there", quoted(&path.display().to_string()))
        }
        _ => advice::writing(path, error),
    };
    Finding::problem(CHECK, text, fix)
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
