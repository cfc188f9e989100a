//! The model file: present, complete, and identical to the published one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::{
    file,
    model::{self, AUTO, BUILTIN},
};

use super::finding::Finding;
use crate::{
    models::{ModelError, check},
    output::units::bytes,
    settings::Settings,
    text::quoted,
    wait::{Wait, WaitError},
};

const CHECK: &str = "model";
/// Files up to this size are hashed without being asked, in less than a second.
const SMALL: u64 = 100_000_000;
const PULL: &str = "beastctl models pull lfm2-2.6b";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Located {
    File(PathBuf),
    /// The built-in model, because it is configured or no other file exists.
    BuiltIn {
        is_wanted: bool,
    },
}

impl Located {
    /// The size of its file, which is nearly the size of its weights.
    pub(super) fn n_bytes(&self) -> Option<u64> {
        match self {
            Located::File(path) => path.metadata().ok().map(|metadata| metadata.len()),
            Located::BuiltIn { .. } => None,
        }
    }
}

/// Without a models folder, the built-in model is used.
pub(super) fn locate(settings: &Settings) -> Located {
    let setting = settings.get("model").unwrap_or_else(|| AUTO.into());
    let file = model::file_of(&setting).ok().flatten();
    file.map_or(Located::BuiltIn { is_wanted: setting == BUILTIN }, Located::File)
}

/// Checks the file, its hash, and leftovers of downloads.
pub(super) fn check(located: &Located, is_hash_wanted: bool, wait: &Wait) -> Result<Vec<Finding>, WaitError> {
    let mut findings = match located {
        Located::BuiltIn { is_wanted: true } => vec![Finding::ok(CHECK, "the built-in one")],
        Located::BuiltIn { is_wanted: false } => {
            vec![Finding::warning(CHECK, "no other model; using the tiny built-in one", PULL)]
        }
        Located::File(path) => of_file(path, is_hash_wanted, wait)?,
    };
    if let Ok(folder) = beast_launchd::paths::models_dir() {
        findings.extend(parts(&folder));
    }
    Ok(findings)
}

fn of_file(path: &Path, is_hash_wanted: bool, wait: &Wait) -> Result<Vec<Finding>, WaitError> {
    let place = path.display();
    let n = match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            let fix = "set model to a file in config.toml";
            return Ok(vec![Finding::problem(CHECK, format!("{place} is a folder"), fix)]);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fix = format!("{PULL}, or set another model in config.toml");
            return Ok(vec![Finding::problem(CHECK, format!("{place} not found"), fix)]);
        }
        Err(error) => return Ok(vec![Finding::unreadable(CHECK, path, error)]),
        Ok(metadata) => metadata.len(),
    };
    match check::gguf(path) {
        Err(error @ ModelError::NotGguf(_)) => Ok(vec![Finding::problem(CHECK, error.to_string(), anew(path))]),
        Err(error) => Ok(vec![Finding::of_error(CHECK, &error)]),
        Ok(()) => {
            let whole = Finding::ok(CHECK, format!("{place}, {}", bytes(n)));
            Ok(vec![whole, of_hash(path, n, is_hash_wanted, wait)?])
        }
    }
}

fn anew(path: &Path) -> String {
    format!("rm {}, and pull the model again", quoted(&path.display().to_string()))
}

/// Compares the file's hash with that in `NAME.gguf.sha256` beside it, which has the format of sha256sum: `HEX  NAME`.
fn of_hash(path: &Path, n: u64, is_wanted: bool, wait: &Wait) -> Result<Finding, WaitError> {
    let note = path.with_added_extension("sha256");
    let noted = match file::read_text(&note, 64 << 10) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Finding::ok(CHECK, format!("no hash to compare: {} not found", note.display())));
        }
        text => text.ok().and_then(|text| check::as_sha256(text.split_whitespace().next()?)),
    };
    let Some(noted) = noted else {
        let text = format!("{} contains no readable SHA-256", note.display());
        return Ok(Finding::warning(CHECK, text, format!("rm {}", quoted(&note.display().to_string()))));
    };
    if n >= SMALL && !is_wanted {
        return Ok(Finding::ok(CHECK, format!("hash not checked (beastctl doctor --hash reads all {})", bytes(n))));
    }
    match check::sha256(path, |_| Ok(wait.pause(Duration::ZERO)?)) {
        Ok(found) if found == noted => Ok(Finding::ok(CHECK, format!("its SHA-256 matches {}", note.display()))),
        Ok(found) => {
            let text = format!("{} is damaged: its SHA-256 is {found}, expected {noted}", path.display());
            Ok(Finding::problem(CHECK, text, anew(path)))
        }
        Err(ModelError::Wait(error)) => Err(error),
        Err(error) => Ok(Finding::of_error(CHECK, &error)),
    }
}

/// Unfinished downloads. An unreadable folder is reported by the check of the disk.
fn parts(folder: &Path) -> Option<Finding> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let is_part = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "part");
    let parts: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_part).collect();
    let place = |path: &PathBuf| quoted(&path.display().to_string());
    let size = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
    (!parts.is_empty()).then(|| {
        let names: Vec<String> = parts.iter().map(place).collect();
        let n = bytes(parts.iter().map(size).sum());
        let text = format!("unfinished downloads use {n}, unless one is running: {}", names.join(", "));
        let fix = format!("resume them with beastctl models pull and the same name, or rm {}", names.join(" "));
        Finding::warning(CHECK, text, fix)
    })
}
