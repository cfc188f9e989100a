//! The setting `model` in `config.toml`: reads it, and changes it without touching the rest of the file.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use beast_launchd::{
    file,
    model::{self, AUTO},
    paths,
    whole::WholeFile,
};
use toml_edit::{DocumentMut, Item, Value};

use super::{error::ModelError, lock::Lock};
use crate::exit::{FileError, READ};

/// Longer than any configuration.
const MAX_BYTES: u64 = 1 << 20;
/// The UTF-8 byte order mark, which some editors write.
const MARK: &str = "\u{feff}";

pub fn path() -> Result<PathBuf, paths::PathError> {
    Ok(paths::config_dir()?.join("config.toml"))
}

/// The effective setting: from the environment, else from the file, else `auto`.
pub fn read(path: &Path) -> Result<String, ModelError> {
    if let Ok(model) = env::var("BEAST_MODEL") {
        return Ok(model);
    }
    let document = document(path)?;
    Ok(document.get("model").and_then(Item::as_str).unwrap_or(AUTO).to_owned())
}

/// A setting that was just written. Locks the file as long as this value lives.
#[derive(Debug)]
pub struct Change {
    path: PathBuf,
    before: Option<Vec<u8>>,
    _lock: Lock,
}

impl Change {
    pub fn undo(self) -> Result<(), FileError> {
        match &self.before {
            Some(bytes) => replace(&self.path, bytes),
            None => fs::remove_file(&self.path).map_err(FileError::of("remove", &self.path)),
        }
    }
}

/// Writes the setting; the file is replaced completely or not at all.
pub fn write(path: &Path, model: &str) -> Result<Change, ModelError> {
    let path = behind_links(path);
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(FileError::of("make", parent))?;
    let lock = Lock::take(&path)?;
    if fs::metadata(&path).is_ok_and(|meta| meta.permissions().readonly()) {
        // Renaming a new file into place would ignore the old one's permissions.
        return Err(FileError::of("write", &path)(io::ErrorKind::PermissionDenied.into()).into());
    }
    let before = file::read(&path, MAX_BYTES).ok();
    let mut document = document(&path)?;
    match document.get_mut("model").and_then(Item::as_value_mut) {
        Some(value) => {
            // Keeps the comment after the value.
            let decor = value.decor().clone();
            *value = Value::from(model);
            *value.decor_mut() = decor;
        }
        None => document["model"] = toml_edit::value(model),
    }
    replace(&path, like(&document.to_string(), before.as_deref().unwrap_or_default()).as_bytes())?;
    Ok(Change { path, before, _lock: lock })
}

/// The target of a link, which stays a link; the target need not exist.
fn behind_links(path: &Path) -> PathBuf {
    let behind = |path: &PathBuf| Some(path.parent()?.join(fs::read_link(path).ok()?));
    // The system follows at most 40 links.
    let last = std::iter::successors(Some(path.to_owned()), behind).take(40).last();
    path.canonicalize().ok().or(last).unwrap_or_else(|| path.to_owned())
}

/// Restores the byte order mark, and the line ends that editors on another system have written.
fn like(text: &str, before: &[u8]) -> String {
    let (n_lines, n_returns) =
        (before.split(|byte| *byte == b'\n').count() - 1, before.windows(2).filter(|two| two == b"\r\n").count());
    let is_with_returns = n_lines > 0 && n_lines == n_returns;
    let text = text.replace("\r\n", "\n");
    let text = if is_with_returns { text.replace('\n', "\r\n") } else { text };
    let mark = if before.starts_with(MARK.as_bytes()) { MARK } else { "" };
    format!("{mark}{}", text.trim_start_matches(MARK))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let replaced = WholeFile::like(path).and_then(|file| file.with(bytes)?.finish_synced());
    replaced.map_err(FileError::of("write", path))
}

pub(super) fn document(path: &Path) -> Result<DocumentMut, ModelError> {
    let text = match file::read_text(path, MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.map_err(FileError::of(READ, path))?,
    };
    text.parse().map_err(|error: toml_edit::TomlError| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        ModelError::Config { path: path.into(), message: format!("line {line}: {}", error.message()) }
    })
}

/// Whether a setting stands for this file, also through links.
pub fn is_chosen(file: &Path, setting: &str) -> Result<bool, paths::PathError> {
    Ok(model::file_of(setting)?.is_some_and(|chosen| is_same(&chosen, file)))
}

pub fn is_same(one: &Path, other: &Path) -> bool {
    one == other || one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}

#[cfg(test)]
#[path = "setting_tests.rs"]
mod tests;
