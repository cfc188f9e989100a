//! The installed hook: where git looks for it, what it says, and what is there instead of it.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Git, GitError,
    script::{LIMIT, MARK, PROGRAM, SUM, checksum, script, unquoted, write_program},
};
use crate::exit::{self, advice};

/// The hook that writes messages.
const NAME: &str = "prepare-commit-msg";
/// What another program's hook is called once ours runs it.
/// What is tried with a file that is not changed.
const READ: &str = "read";

pub(super) const CHAINED: &str = "prepare-commit-msg.beast-chained";
/// What somebody writes into a hook of their own.
const CALL: &str = "`beastctl hook run \"$@\" || :`";
/// What a changed hook of ours is called when it has to make room.
const KEPT: &str = "prepare-commit-msg.beast-old";
/// How a program asks what it was called as.
const OWN_NAMES: [&[u8]; 5] = [b"$0", b"${0", b"BASH_SOURCE", b"argv[0]", b"PROGRAM_NAME"];
/// Hooks are scripts and sometimes programs.
const MAX_BYTES: u64 = 64 << 20;

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
    /// What is there already calls us.
    #[error("{} calls `beastctl hook run` already", .0.display())]
    Called(PathBuf),
    /// Under another name it would look for another hook's work.
    #[error("{} asks for its own name ($0), and would do nothing under another one", .0.display())]
    Named(PathBuf),
    /// Ours, with somebody's own lines.
    #[error("{} has been changed since it was installed", .0.display())]
    Changed(PathBuf),
    /// Git passes over such a file, and so does our script.
    #[error("{} is not executable, so {who} does not run it", .path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// Who should.
        who: &'static str,
    },
    /// `core.hooksPath` has no value.
    #[error("core.hooksPath is set to an empty text, so git looks for no hooks in this repository")]
    NoFolder,
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
            HookError::NotInstalled(_) | HookError::NotExecutable { .. } | HookError::File { .. } => exit::FAILED,
            _ => exit::USAGE,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            HookError::Git(error) => return error.hint(),
            HookError::Foreign(_) => {
                format!("--chain to run it first, or write {CALL} at its end yourself")
            }
            HookError::TwoForeign(_) => {
                format!("--chain --force to run the newer one first and drop {CHAINED}, or write {CALL} yourself")
            }
            HookError::Called(_) => "beastctl hook status, or take that line out of it first".into(),
            HookError::Named(_) => format!("{CALL} at the end of the script that it runs"),
            HookError::Changed(_) => format!("--force, which keeps a copy of it beside ({KEPT})"),
            HookError::NotExecutable { path, .. } => format!("chmod +x '{}'", path.display()),
            HookError::NoFolder => "git config --unset core.hooksPath, or a folder as its value".into(),
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
    /// Whether it is not as it was written.
    is_changed: bool,
}

/// How git comes to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Through our script.
    Installed(Installed),
    /// Through somebody's own, which calls us.
    Called(PathBuf),
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
    /// Another program has written over ours; what ours ran is still beside it.
    Overwritten {
        /// The other program's hook.
        path: PathBuf,
        /// What ours ran.
        chained: PathBuf,
        /// The two are the same, so the copy is gone now.
        is_gone: bool,
    },
}

impl Hooks {
    /// Asks git.
    ///
    /// # Errors
    /// See [`HookError`].
    pub fn find(git: Git<'_>) -> Result<Self, HookError> {
        // Where hooks run: a relative folder is meant from there.
        let top = git.path(&["rev-parse", "--show-toplevel"])?;
        let git = git.at(&top);
        // Of an empty value git's own answers make folders that nobody meant.
        if git.output(&["config", "--null", "--get", "core.hooksPath"]).is_ok_and(|value| value == b"\0") {
            return Err(HookError::NoFolder);
        }
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
        let (path, ours) = (self.path(), self.ours()?);
        let is_foreign = exists(&path) && ours.is_none();
        if is_foreign {
            self.check_foreign(force, chain)?;
        }
        if let Some(ours) = ours {
            keep(&ours, force)?;
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

    /// Whether the hook that is there can be run by ours.
    fn check_foreign(&self, force: bool, chain: bool) -> Result<(), HookError> {
        let (path, chained) = (self.path(), self.chained());
        if let Some(path) = self.caller() {
            return Err(HookError::Called(path));
        }
        let bytes = read(&path).unwrap_or_default();
        if !bytes.contains(&0) && OWN_NAMES.iter().any(|name| contains(&bytes, name)) {
            return Err(HookError::Named(path));
        }
        let is_other = exists(&chained) && !is_same(&path, &chained);
        match chain {
            // What another program has written over ours is mostly what ours ran, and then there is nothing to lose.
            true if !is_other || force => Ok(()),
            false if !is_other => Err(HookError::Foreign(path)),
            _ => Err(HookError::TwoForeign(path)),
        }
    }

    /// Somebody's own hook that calls us: the one that git runs, or the one that husky's runs, which is a folder above.
    fn caller(&self) -> Option<PathBuf> {
        let above = self.folder.parent().map(|folder| folder.join(NAME)).filter(|_| self.folder.ends_with("_"));
        [Some(self.path()), above].into_iter().flatten().find(|path| {
            let bytes = read(path).unwrap_or_default();
            let is_call = |line: &[u8]| {
                !line.trim_ascii_start().starts_with(b"#") && contains(line, b"beastctl") && contains(line, b"hook run")
            };
            bytes.split(|byte| *byte == b'\n').any(is_call)
        })
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
    pub fn uninstall(&self, force: bool) -> Result<Removed, HookError> {
        let (path, chained) = (self.path(), self.chained());
        match self.ours()? {
            Some(ours) => keep(&ours, force)?,
            None if exists(&path) && exists(&chained) => {
                let is_gone = is_same(&path, &chained);
                if is_gone {
                    fs::remove_file(&chained).map_err(|source| file("remove", &chained, source))?;
                }
                return Ok(Removed::Overwritten { path, chained, is_gone });
            }
            // Without ours nobody runs it.
            None if exists(&chained) => {}
            None => return Ok(Removed::Nothing(path)),
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
    pub fn status(&self) -> Result<Status, HookError> {
        let path = self.path();
        let status = match (self.ours()?, self.caller()) {
            (Some(installed), _) => Status::Installed(installed),
            (None, Some(caller)) if exists(&path) => Status::Called(caller),
            (None, _) if exists(&path) => return Err(HookError::Foreign(path)),
            (None, _) => return Err(HookError::NotInstalled(self.folder.clone())),
        };
        if !is_executable(&path) {
            return Err(HookError::NotExecutable { path, who: "git" });
        }
        match &status {
            Status::Installed(Installed { chained: Some(chained), .. }) if !is_executable(chained) => {
                Err(HookError::NotExecutable { path: chained.clone(), who: "the hook of beastctl" })
            }
            _ => Ok(status),
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
        let bytes = read(&path).map_err(|source| file(READ, &path, source))?;
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        if !lines.contains(&MARK.as_bytes()) {
            return Ok(None);
        }
        let quoted = lines.iter().find_map(|line| line.strip_prefix(PROGRAM.as_bytes())).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let limit = text.split_once(LIMIT).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default();
        let chained = Some(self.chained()).filter(|path| exists(path));
        let sum = lines.iter().find_map(|line| line.strip_prefix(SUM.as_bytes()));
        let is_changed = sum != Some(checksum(&bytes).as_bytes());
        Ok(Some(Installed { path, program: unquoted(quoted), limit: limit.to_owned(), chained, is_changed }))
    }
}

/// A hook of ours is replaced or removed as it was written; with anybody's own lines only when that is wanted, and never
/// without a copy.
fn keep(ours: &Installed, force: bool) -> Result<(), HookError> {
    let path = &ours.path;
    if !ours.is_changed {
        return Ok(());
    }
    if !force {
        return Err(HookError::Changed(path.clone()));
    }
    let names = (1..).map(|n| if n == 1 { KEPT.to_owned() } else { format!("{KEPT}.{n}") });
    let free = names.map(|name| path.with_file_name(name)).find(|copy| !exists(copy) || is_same(path, copy));
    let copy = free.expect("there are more numbers than files");
    fs::copy(path, &copy).map_err(|source| file("keep a copy as", &copy, source))?;
    Ok(())
}

/// Whether both say the same.
fn is_same(one: &Path, other: &Path) -> bool {
    matches!((read(one), read(other)), (Ok(one), Ok(other)) if one == other)
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
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

fn read(path: &Path) -> io::Result<Vec<u8>> {
    beast_launchd::file::read(path, MAX_BYTES)
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
