//! The files of a service: written all or none, and never over another program's.

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

use super::error::ServiceError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Ours(String),
    Foreign,
}

/// A link is somebody's own way to provide the file, so it is theirs wherever it leads.
pub(super) fn look(path: &Path) -> Result<Found, ServiceError> {
    let failed = |source| ServiceError::Read { path: path.to_owned(), source };
    match path.symlink_metadata() {
        // Also where a file is in the place of a folder: that is told by whoever wants to write.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Found::Nothing);
        }
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.is_file() => return Ok(Found::Foreign),
        Ok(_) => {}
    }
    let text = read(path)?;
    Ok(if beast_launchd::is_ours(&text) { Found::Ours(text) } else { Found::Foreign })
}

/// Whosever it is.
pub(super) fn read(path: &Path) -> Result<String, ServiceError> {
    let bytes = file::read(path, 1 << 20).map_err(|source| ServiceError::Read { path: path.to_owned(), source })?;
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
    /// Somebody else's, which lies there now.
    Foreign(PathBuf),
}

impl Written {
    /// Writes all of them, or leaves everything as it was.
    pub(super) fn all(texts: &[Text]) -> Result<Self, ServiceError> {
        let mut written = Self::default();
        for text in texts {
            if let Err(error) = written.one(text) {
                written.undo();
                return Err(error);
            }
        }
        Ok(written)
    }

    fn one(&mut self, Text { path, text }: &Text) -> Result<(), ServiceError> {
        let folder = path.parent().expect("a file of a service lies in a folder");
        fs::create_dir_all(folder).map_err(|source| failed("create the folder", folder, source))?;
        let before = match look(path)? {
            Found::Nothing => Before::Nothing,
            Found::Ours(text) => Before::Ours(text),
            Found::Foreign => {
                let copy = free_name(path);
                fs::rename(path, &copy).map_err(|source| failed("rename", path, source))?;
                Before::Foreign(copy)
            }
        };
        self.before.push((path.clone(), before));
        write(path, text)
    }

    /// Removes one of ours; the way back writes it again.
    pub(super) fn without(&mut self, path: &Path) -> Result<(), ServiceError> {
        if let Found::Ours(text) = look(path)? {
            self.before.push((path.to_owned(), Before::Ours(text)));
            remove(path)?;
        }
        Ok(())
    }

    /// Somebody else's files, under the names that they have now.
    pub(super) fn copies(&self) -> Vec<&Path> {
        let copies = self.before.iter().filter_map(|(_, before)| match before {
            Before::Foreign(copy) => Some(copy.as_path()),
            Before::Nothing | Before::Ours(_) => None,
        });
        copies.collect()
    }

    /// As it was before, as far as the system lets us; why it has to be undone is told already.
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

pub(super) fn remove(path: &Path) -> Result<(), ServiceError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

/// A folder for nobody but its owner, as far as it is not there yet.
pub(super) fn private_folder(folder: &Path) -> Result<(), ServiceError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| failed("create the folder", folder, source))
}

/// Whoever reads it meanwhile finds the old file or the new one.
fn write(path: &Path, text: &str) -> Result<(), ServiceError> {
    whole::write(path, text.as_bytes(), PUBLIC).map_err(|source| failed("write", path, source))
}

fn free_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Neither systemd nor launchd looks at such an ending.
    let names = (1..).map(|n| if n == 1 { format!("{name}.before-beast") } else { format!("{name}.before-beast.{n}") });
    let mut copies = names.map(|name| path.with_file_name(name));
    copies.find(|copy| copy.symlink_metadata().is_err()).expect("there are more numbers than files")
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> ServiceError {
    ServiceError::Write { what, path: path.to_owned(), source }
}
