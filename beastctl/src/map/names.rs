//! The names of the files, from arguments and a list. Names are bytes: nothing here needs them to be UTF-8.

use std::{
    collections::HashSet,
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use super::error::MapError;
use crate::{cli::MapOptions, exit::Result, input, wait::Wait};

/// Longest list of names, in bytes: a million long paths.
pub(super) const MAX_LIST_LEN: u64 = 128 << 20;

/// The files, each name once, in the order of arguments and list.
pub(super) fn files(options: &MapOptions, wait: &Wait) -> Result<Vec<PathBuf>> {
    let mut files = options.files.clone();
    if let Some(list) = &options.files_from {
        files.extend(listed(list, options.null, wait)?);
        if files.is_empty() {
            return Err(MapError::EmptyList(list.clone()).into());
        }
    }
    if files.iter().any(|file| input::is_stdin(file)) {
        return Err(MapError::Stdin.into());
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    Ok(files)
}

fn listed(list: &Path, has_nul: bool, wait: &Wait) -> Result<Vec<PathBuf>> {
    let bytes = input::read_bytes(list, MAX_LIST_LEN + 1, wait)?;
    if bytes.len() as u64 > MAX_LIST_LEN {
        return Err(MapError::LongList(list.to_owned()).into());
    }
    if !has_nul && bytes.contains(&0) {
        return Err(MapError::HasNul(list.to_owned()).into());
    }
    Ok(split(&bytes, if has_nul { 0 } else { b'\n' }))
}

fn split(bytes: &[u8], end: u8) -> Vec<PathBuf> {
    let names = bytes.split(|byte| *byte == end).filter(|name| !name.is_empty());
    names.map(|name| OsString::from_vec(name.to_owned()).into()).collect()
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
