//! The installed hook: where git looks for it, what it says, and what is there instead of it.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Git, GitError};
use crate::exit::{self, advice};

/// The hook that writes messages.
const NAME: &str = "prepare-commit-msg";
/// What another program's hook is called once ours runs it.
const CHAINED: &str = "prepare-commit-msg.beast-chained";
/// By this line ours is known again.
const MARK: &str = "# Written by `beastctl hook install`; `beastctl hook uninstall` takes it away.";
const PROGRAM: &str = "beastctl=";
const LIMIT: &str = "--limit ";

/// What is tried with a file that is not changed.
const READ: &str = "read";

/// Why the hook cannot be installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// See [`GitError`].
    #[error(transparent)]
    Git(#[from] GitError),
    /// Somebody else's hook is there.
    #[error("{} is another program's hook", .0.display())]
    Foreign(PathBuf),
    /// Two hooks of others: one in the place of ours, one that ours ran.
    #[error("{} is another program's hook, and {CHAINED} is there as well", .0.display())]
    TwoForeign(PathBuf),
    /// The folder serves other repositories, too.
    #[error("git looks for hooks in {} (core.hooksPath), which is outside of this repository", .0.display())]
    Outside(PathBuf),
    /// `status` found none.
    #[error("the hook is not installed in {}", .0.display())]
    NotInstalled(PathBuf),
    /// A file cannot be changed.
    #[error("cannot {what} {}", .path.display())]
    File {
        /// The change.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl HookError {
    /// See [`exit`].
    pub fn exit_code(&self) -> u8 {
        match self {
            HookError::Git(error) => error.exit_code(),
            HookError::Foreign(_) | HookError::TwoForeign(_) | HookError::Outside(_) => exit::USAGE,
            HookError::NotInstalled(_) | HookError::File { .. } => exit::FAILED,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            HookError::Git(error) => return error.hint(),
            HookError::Foreign(_) => {
                "--chain to run it first, or call `beastctl hook run \"$@\"` at its end yourself".into()
            }
            HookError::TwoForeign(_) => "remove one of the two, or call `beastctl hook run \"$@\"` yourself".into(),
            HookError::Outside(_) => "--force to install it there for all repositories that use that folder".into(),
            HookError::NotInstalled(_) => "beastctl hook install".into(),
            HookError::File { what: READ, path, source } => advice::reading(path, source),
            HookError::File { path, source, .. } => advice::writing(path, source),
        })
    }
}

/// The folder where git looks for the hooks of this repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    folder: PathBuf,
    is_outside: bool,
}

/// A hook of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The file.
    pub path: PathBuf,
    /// The program that it calls.
    pub program: PathBuf,
    /// How long it may take, as the script says it.
    pub limit: String,
    /// Another program's hook that it runs first.
    pub chained: Option<PathBuf>,
}

/// What `uninstall` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// Ours is gone.
    Ours(PathBuf),
    /// Ours is gone and the one that it ran is back in its place.
    Restored(PathBuf),
    /// There was none of ours.
    Nothing(PathBuf),
}

impl Hooks {
    /// Asks git.
    ///
    /// # Errors
    /// See [`GitError`].
    pub fn find(git: Git<'_>) -> Result<Self, GitError> {
        // Where hooks run: a relative folder is meant from there.
        let top = git.path(&["rev-parse", "--show-toplevel"])?;
        let git = git.at(&top);
        let folder = top.join(git.path(&["rev-parse", "--git-path", "hooks"])?);
        let common = top.join(git.path(&["rev-parse", "--git-common-dir"])?);
        let real = real(&folder);
        let is_inside = [&top, &common].iter().any(|place| real.starts_with(self::real(place)));
        Ok(Self { folder, is_outside: !is_inside })
    }

    /// Puts ours there, or renews it. `chain`: another program's hook that is there runs first from now on.
    ///
    /// # Errors
    /// See [`HookError`].
    pub fn install(&self, program: &Path, limit: Duration, force: bool, chain: bool) -> Result<Installed, HookError> {
        if self.is_outside && !force {
            return Err(HookError::Outside(self.folder.clone()));
        }
        let (path, chained) = (self.path(), self.chained());
        let is_foreign = exists(&path) && self.ours()?.is_none();
        match (is_foreign, exists(&chained)) {
            (true, true) => return Err(HookError::TwoForeign(path)),
            (true, false) if !chain => return Err(HookError::Foreign(path)),
            _ => {}
        }
        fs::create_dir_all(&self.folder).map_err(|source| file("make the folder", &self.folder, source))?;
        let part = self.folder.join(format!(".{NAME}.{}.part", std::process::id()));
        let placed = write_program(&part, &script(program, limit))
            .map_err(|source| file("write", &path, source))
            .and_then(|()| self.place(&part, is_foreign));
        if placed.is_err() {
            let _ = fs::remove_file(&part);
        }
        placed?;
        self.ours()?.ok_or(HookError::NotInstalled(path))
    }

    fn place(&self, part: &Path, is_foreign: bool) -> Result<(), HookError> {
        let (path, chained) = (self.path(), self.chained());
        if is_foreign {
            fs::rename(&path, &chained).map_err(|source| file("rename", &path, source))?;
        }
        fs::rename(part, &path).map_err(|source| {
            if is_foreign {
                let _ = fs::rename(&chained, &path);
            }
            file("write", &path, source)
        })
    }

    /// Takes ours away and puts back what was there before.
    ///
    /// # Errors
    /// See [`HookError`].
    pub fn uninstall(&self) -> Result<Removed, HookError> {
        let (path, chained) = (self.path(), self.chained());
        if self.ours()?.is_none() {
            return Ok(Removed::Nothing(path));
        }
        if exists(&chained) {
            // In one step: there is never no hook at all.
            fs::rename(&chained, &path).map_err(|source| file("put back", &chained, source))?;
            return Ok(Removed::Restored(path));
        }
        fs::remove_file(&path).map_err(|source| file("remove", &path, source))?;
        Ok(Removed::Ours(path))
    }

    /// What is installed.
    ///
    /// # Errors
    /// See [`HookError`]; without a hook of ours [`HookError::NotInstalled`], or [`HookError::Foreign`].
    pub fn status(&self) -> Result<Installed, HookError> {
        match self.ours()? {
            Some(installed) => Ok(installed),
            None if exists(&self.path()) => Err(HookError::Foreign(self.path())),
            None => Err(HookError::NotInstalled(self.folder.clone())),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    fn chained(&self) -> PathBuf {
        self.folder.join(CHAINED)
    }

    /// Ours, when it is there. A link is somebody's way to share one hook, so it is theirs wherever it leads.
    fn ours(&self) -> Result<Option<Installed>, HookError> {
        let path = self.path();
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(|source| file(READ, &path, source))?;
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        if !lines.contains(&MARK.as_bytes()) {
            return Ok(None);
        }
        let quoted = lines.iter().find_map(|line| line.strip_prefix(PROGRAM.as_bytes())).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let limit = text.split_once(LIMIT).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default();
        let chained = Some(self.chained()).filter(|path| exists(path));
        Ok(Some(Installed { path, program: unquoted(quoted), limit: limit.to_owned(), chained }))
    }
}

fn file(what: &'static str, path: &Path, source: io::Error) -> HookError {
    HookError::File { what, path: path.to_owned(), source }
}

/// Also a link that leads nowhere.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    })
}

/// A program may be found under a name that lasts longer than its place, which Homebrew changes with each version.
///
/// # Errors
/// Those of the system.
pub(crate) fn this_program() -> io::Result<PathBuf> {
    let exe = env::current_exe()?;
    let real = real(&exe);
    let path = env::var_os("PATH").unwrap_or_default();
    let named = env::split_paths(&path).filter(|folder| folder.is_absolute()).map(|folder| folder.join("beastctl"));
    Ok(named.into_iter().find(|named| named.canonicalize().is_ok_and(|named| named == real)).unwrap_or(exe))
}

/// A commit must never fail because of us: each way out ends well, but for the failure of the hook that came first.
fn script(program: &Path, limit: Duration) -> Vec<u8> {
    let mut script = format!(
        "#!/bin/sh\n{MARK}\n\
        chained=\"${{0%/*}}/{CHAINED}\"\n\
        if [ -f \"$chained\" ] && [ -x \"$chained\" ]; then\n    \"$chained\" \"$@\" || exit $?\nfi\n{PROGRAM}"
    )
    .into_bytes();
    script.extend(quoted(program.as_os_str()));
    let limit = humantime::format_duration(limit).to_string().replace(' ', "");
    script.extend(
        format!(
            "\n[ -f \"$beastctl\" ] && [ -x \"$beastctl\" ] || beastctl=$(command -v beastctl) || exit 0\n\
            \"$beastctl\" hook run {LIMIT}{limit} -- \"$@\"\nexit 0\n"
        )
        .into_bytes(),
    );
    script
}

/// For the shell; the only character that ends such a quotation is its own.
fn quoted(text: &OsStr) -> Vec<u8> {
    let mut bytes = vec![b'\''];
    for byte in text.as_bytes() {
        match byte {
            b'\'' => bytes.extend(b"'\\''"),
            byte => bytes.push(*byte),
        }
    }
    bytes.push(b'\'');
    bytes
}

fn unquoted(text: &[u8]) -> PathBuf {
    let text = text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text);
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        (rest, _) = match rest.strip_prefix(b"'\\''") {
            Some(more) => (more, bytes.push(b'\'')),
            None => (more, bytes.push(*first)),
        };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

fn write_program(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
