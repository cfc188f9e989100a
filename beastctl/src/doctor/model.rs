//! The model file: present, complete, and identical to the published one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use beast_launchd::{
    file,
    gguf::{self, Damage},
    model::{self, AUTO, BUILTIN},
};

use super::{finding::Finding, hash};
use crate::{
    exit::advice,
    output::units::bytes,
    settings::Settings,
    text::quoted,
    wait::{Wait, WaitError},
};

const CHECK: &str = "model";
/// Read whole without being asked: less than a second.
const SMALL: u64 = 100_000_000;
const PULL: &str = "beastctl models pull lfm2-2.6b";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Located {
    File(PathBuf),
    /// The one inside of beastd, because it was asked for or because nothing else is there.
    BuiltIn {
        is_wanted: bool,
    },
}

impl Located {
    /// The size of its file, which is nearly that of its weights.
    pub(super) fn n_bytes(&self) -> Option<u64> {
        match self {
            Located::File(path) => path.metadata().ok().map(|metadata| metadata.len()),
            Located::BuiltIn { .. } => None,
        }
    }
}

/// Without a models folder the built-in one is left.
pub(super) fn locate(settings: &Settings) -> Located {
    let setting = settings.get("model").unwrap_or_else(|| AUTO.into());
    let file = model::file_of(&setting).ok().flatten();
    file.map_or(Located::BuiltIn { is_wanted: setting == BUILTIN }, Located::File)
}

/// The file, its hash, and what a download has left behind.
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
    let opened = file::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            return Ok(vec![Finding::problem(
                CHECK,
                format!("{place} is a folder"),
                "set model to a file in config.toml",
            )]);
        }
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fix = format!("{PULL}, or set another model in config.toml");
            return Ok(vec![Finding::problem(CHECK, format!("{place} not found"), fix)]);
        }
        Err(error) => {
            let text = format!("cannot read {place}: {error}");
            return Ok(vec![Finding::problem(CHECK, text, advice::reading(path, &error))]);
        }
    };
    let n = metadata.len();
    if let Err(damage) = gguf::check(file, n) {
        return Ok(vec![damaged(path, n, damage)]);
    }
    let whole = Finding::ok(CHECK, format!("{place}, {}", bytes(n)));
    Ok(vec![whole, of_hash(path, n, is_hash_wanted, wait)?])
}

fn damaged(path: &Path, n: u64, damage: Damage) -> Finding {
    let place = path.display();
    let text = match damage {
        Damage::Magic => format!("{place} is not a GGUF file"),
        Damage::Cut(needed) => {
            format!("{place} is truncated: it has {n} bytes and needs at least {needed}")
        }
        Damage::Headless => format!("{place} is truncated: it ends inside the header, after {n} bytes"),
        Damage::Garbled => format!("{place} is damaged: its header is invalid"),
        Damage::Io(error) => {
            return Finding::problem(CHECK, format!("cannot read {place}: {error}"), advice::reading(path, &error));
        }
    };
    Finding::problem(CHECK, text, anew(path))
}

fn anew(path: &Path) -> String {
    format!("rm {}, and pull the model again", quoted(&path.display().to_string()))
}

fn of_hash(path: &Path, n: u64, is_wanted: bool, wait: &Wait) -> Result<Finding, WaitError> {
    let note = hash::note_of(path);
    let noted = match hash::noted(path) {
        Ok(Some(noted)) => noted,
        Ok(None) => return Ok(Finding::ok(CHECK, format!("no hash to compare: {} not found", note.display()))),
        Err(error) => {
            let text = format!("{} contains no SHA-256: {error}", note.display());
            return Ok(Finding::warning(CHECK, text, format!("rm {}", quoted(&note.display().to_string()))));
        }
    };
    if n >= SMALL && !is_wanted {
        return Ok(Finding::ok(CHECK, format!("hash not checked (beastctl doctor --hash reads all {})", bytes(n))));
    }
    Ok(match hash::of_file(path, wait)? {
        Ok(found) if found == noted => Finding::ok(CHECK, format!("its SHA-256 matches {}", note.display())),
        Ok(found) => {
            let text = format!("{} is damaged: its SHA-256 is {found}, expected {noted}", path.display());
            Finding::problem(CHECK, text, anew(path))
        }
        Err(error) => {
            let text = format!("cannot read {}: {error}", path.display());
            Finding::problem(CHECK, text, advice::reading(path, &error))
        }
    })
}

/// Downloads that have not ended. A folder that cannot be read is told by the check of the disk.
fn parts(folder: &Path) -> Option<Finding> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let parts: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_part(path)).collect();
    let place = |path: &PathBuf| quoted(&path.display().to_string());
    let size = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
    (!parts.is_empty()).then(|| {
        let names: Vec<String> = parts.iter().map(place).collect();
        let n = bytes(parts.iter().map(size).sum());
        let text = format!("unfinished downloads use {n}, unless one is running: {}", names.join(", "));
        Finding::warning(
            CHECK,
            text,
            format!("resume them with beastctl models pull and the same name, or rm {}", names.join(" ")),
        )
    })
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}
