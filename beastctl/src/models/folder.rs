//! The models folder: its files and their sources.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use beast_launchd::{
    file, paths,
    whole::{self, PUBLIC},
};
use serde::{Deserialize, Serialize};

use super::{catalogue, check, error::ModelError, lock::Lock, part::Known, url};
use crate::exit::{FileError, entries, remove_file};

/// A record is a few lines of JSON.
pub(super) const MAX_RECORD: u64 = 1 << 20;

/// The source of a file, saved beside it as `NAME.gguf.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The URL without secrets.
    pub url: String,
    /// SHA-256 of the full URL, if it was shortened: the missing part may identify the file, and may be a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_sha256: Option<String>,
    /// The verified hash; `None` if none was known.
    pub sha256: Option<String>,
    /// The licence according to its page.
    pub licence: Option<String>,
}

impl Record {
    /// The record of a file from `url`.
    pub fn new(url: &str, sha256: Option<String>, licence: Option<String>) -> Self {
        let shown = url::shown(url);
        let url_sha256 = (shown != url).then(|| check::sha256_of(url.as_bytes()));
        Self { url: shown, url_sha256, sha256, licence }
    }

    pub fn is_of(&self, url: &str) -> bool {
        let other = Self::new(url, None, None);
        (&self.url, &self.url_sha256) == (&other.url, &other.url_sha256)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// Its name, which ends in `.gguf`.
    pub file: String,
    pub path: PathBuf,
    pub bytes: u64,
    /// Target of a link to another program's file.
    pub link: Option<PathBuf>,
}

pub fn dir() -> Result<PathBuf, paths::PathError> {
    paths::models_dir()
}

pub(super) fn beside(target: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(suffix);
    name.into()
}

/// The file name for a URL.
///
/// # Errors
/// [`ModelError::Usage`] if the URL has none.
pub fn name_of(url: &str) -> Result<String, ModelError> {
    let name = url::file_name(url).unwrap_or_default();
    check_name(&name).map(|()| name)
}

/// Rejects names that are no model's, or lead to another folder.
pub fn check_name(name: &str) -> Result<(), ModelError> {
    let is_hidden = name.starts_with(['.', '-']);
    let is_plain = !name.chars().any(|c| c == '/' || c.is_control()) && name.len() <= 200;
    if name.ends_with(".gguf") && is_plain && !is_hidden {
        return Ok(());
    }
    let what = match name {
        "" => "the URL does not end in a file name".into(),
        name => format!("invalid model file name {}", crate::output::one_line(name)),
    };
    Err(ModelError::Usage { what, hint: "pass --name MODEL.gguf".into() })
}

/// The models, sorted.
pub fn list(folder: &Path) -> Result<Vec<Local>, FileError> {
    let mut found: Vec<Local> = entries(folder)?.filter_map(|entry| local(entry.path())).collect();
    found.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(found)
}

fn local(path: PathBuf) -> Option<Local> {
    let file = path.file_name()?.to_str()?.to_owned();
    let meta = fs::metadata(&path).ok().filter(|meta| meta.is_file())?;
    let is_model = file.ends_with(".gguf") && !file.starts_with('.');
    let link = fs::read_link(&path).ok();
    is_model.then_some(Local { file, path, bytes: meta.len(), link })
}

/// Names of files that are missing but have left something: a partial download or a dangling link.
pub fn leftovers(folder: &Path) -> Result<Vec<String>, FileError> {
    let name_of = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let file = name.strip_suffix(".part").unwrap_or(&name).to_owned();
        let is_left = !folder.join(&file).exists() && (file != name || entry.path().is_symlink());
        (is_left && check_name(&file).is_ok()).then_some(file)
    };
    let mut names: Vec<String> = entries(folder)?.filter_map(name_of).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The model of this name: a name in the catalogue, or a file name with or without `.gguf`.
pub fn find(folder: &Path, name: &str) -> Result<Option<Local>, FileError> {
    let file = catalogue::find(name).map_or_else(|| name.to_owned(), |entry| entry.file);
    let is_it = |local: &Local| local.file == file || local.file.strip_suffix(".gguf") == Some(&file);
    Ok(list(folder)?.into_iter().find(is_it))
}

/// Bytes of a partial download.
pub fn partial(target: &Path) -> Option<u64> {
    fs::metadata(beside(target, ".part")).ok().map(|meta| meta.len())
}

/// The URL of a partial download; `None` if it contains a secret and would be incomplete without it.
pub fn partial_source(target: &Path) -> Option<String> {
    let known: Known = serde_json::from_slice(&file::read(&beside(target, ".part.json"), MAX_RECORD).ok()?).ok()?;
    Some(known.url).filter(|url| url::shown(url) == *url)
}

pub fn record(target: &Path) -> Option<Record> {
    serde_json::from_slice(&file::read(&beside(target, ".json"), MAX_RECORD).ok()?).ok()
}

pub fn keep(target: &Path, record: &Record) -> Result<(), FileError> {
    let path = beside(target, ".json");
    let text = serde_json::to_string(record).expect("texts become JSON") + "\n";
    whole::write(&path, text.as_bytes(), PUBLIC).map_err(FileError::of("write", &path))
}

/// Links to another program's file instead of copying it.
pub fn link(path: &Path, target: &Path) -> Result<(), FileError> {
    // A dangling link is in the way.
    if fs::symlink_metadata(target).is_ok_and(|meta| meta.is_symlink()) {
        fs::remove_file(target).map_err(FileError::of("remove", target))?;
    }
    std::os::unix::fs::symlink(path, target).map_err(FileError::of("write", target))
}

/// Removes a model with its record, also a partial download; returns whether anything was there.
///
/// # Errors
/// [`ModelError::Locked`] while it is being downloaded; [`ModelError::File`].
pub fn remove(target: &Path) -> Result<bool, ModelError> {
    if !target.parent().is_some_and(Path::is_dir) {
        return Ok(false);
    }
    let _lock = Lock::take(target)?;
    let mut is_there = false;
    for (suffix, is_model) in [("", true), (".part", true), (".part.json", false), (".json", false)] {
        is_there |= remove_file(&beside(target, suffix))? && is_model;
    }
    Ok(is_there)
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
