//! The files of a service: all of them are written or none, and never over another program's.

use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use beast_launchd::{
    file,
    whole::{self, PUBLIC},
};

use crate::exit::{FileError, READ, remove_file};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Ours(String),
    Foreign,
}

/// Looks at the file at `path`. A link never counts as ours, because the user made it to provide the file.
pub(super) fn look(path: &Path) -> Result<Found, FileError> {
    match path.symlink_metadata() {
        // `NotADirectory`: a file is in place of a folder, which writing will report.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Found::Nothing);
        }
        Err(error) => return Err(FileError::of(READ, path)(error)),
        Ok(metadata) if !metadata.is_file() => return Ok(Found::Foreign),
        Ok(_) => {}
    }
    let text = read(path)?;
    Ok(if beast_launchd::is_ours(&text) { Found::Ours(text) } else { Found::Foreign })
}

/// Reads a file, whether or not it is ours.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    let bytes = file::read(path, 1 << 20).map_err(FileError::of(READ, path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

#[derive(Debug, Default)]
pub(super) struct Written {
    before: Vec<(PathBuf, Before)>,
}

#[derive(Debug)]
enum Before {
    Nothing,
    Ours(String),
    /// A file that is not ours, and its new path.
    Foreign(PathBuf),
}

impl Written {
    /// Writes all files, or leaves everything unchanged.
    pub(super) fn all(texts: &[Text]) -> Result<Self, FileError> {
        let mut written = Self::default();
        for text in texts {
            if let Err(error) = written.one(text) {
                written.undo();
                return Err(error);
            }
        }
        Ok(written)
    }

    fn one(&mut self, Text { path, text }: &Text) -> Result<(), FileError> {
        let folder = path.parent().expect("a file of a service lies in a folder");
        fs::create_dir_all(folder).map_err(FileError::of("create the folder", folder))?;
        let before = match look(path)? {
            Found::Nothing => Before::Nothing,
            Found::Ours(text) => Before::Ours(text),
            Found::Foreign => {
                let copy = free_name(path);
                fs::rename(path, &copy).map_err(FileError::of("rename", path))?;
                Before::Foreign(copy)
            }
        };
        self.before.push((path.clone(), before));
        write(path, text)
    }

    /// Removes a file of ours, which `undo` restores.
    pub(super) fn without(&mut self, path: &Path) -> Result<(), FileError> {
        if let Found::Ours(text) = look(path)? {
            self.before.push((path.to_owned(), Before::Ours(text)));
            remove_file(path)?;
        }
        Ok(())
    }

    /// The new paths of files that were not ours.
    pub(super) fn copies(&self) -> Vec<PathBuf> {
        let copy =
            |(_, before): &(_, Before)| if let Before::Foreign(copy) = before { Some(copy.clone()) } else { None };
        self.before.iter().filter_map(copy).collect()
    }

    /// Restores the previous state as far as possible. Errors are ignored, because the reason for undoing is reported
    /// already.
    pub(super) fn undo(self) {
        for (path, before) in self.before {
            let _ = match before {
                Before::Nothing => fs::remove_file(&path),
                Before::Ours(text) => write(&path, &text).map_err(io::Error::other),
                Before::Foreign(copy) => fs::rename(copy, &path),
            };
        }
    }
}

/// Creates the folder of a file or socket, private to its owner, unless it exists.
pub(super) fn private_folder_of(path: &Path) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(FileError::of("create the folder", folder))
}

/// Writes atomically: readers find the old file or the new one.
fn write(path: &Path, text: &str) -> Result<(), FileError> {
    whole::write(path, text.as_bytes(), PUBLIC).map_err(FileError::of("write", path))
}

fn free_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // systemd and launchd ignore files with this suffix.
    let names = (1..).map(|n| if n == 1 { format!("{name}.before-beast") } else { format!("{name}.before-beast.{n}") });
    let mut copies = names.map(|name| path.with_file_name(name));
    copies.find(|copy| copy.symlink_metadata().is_err()).expect("there are more numbers than files")
}
