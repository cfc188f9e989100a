//! The installed hook: where git looks for it, its contents, and other hooks that may be in its place.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::whole::WholeFile;

use super::{
    hook_error::{CONFIGURED, HookError},
    managers::Manager,
    message::MessageFile,
    program::Git,
    script::{LIMIT, MARK, PROGRAM, SUM, begin_program, checksum, script, unquoted},
    settings::Settings,
};
use crate::exit::{FileError, READ};

/// The hook that writes messages.
const NAME: &str = "prepare-commit-msg";
/// Name of another program's hook once ours runs it.
pub(super) const CHAINED: &str = "prepare-commit-msg.beast-chained";
/// Name for a hook that is set aside: a changed one of ours, or one that git did not run.
pub(super) const KEPT: &str = "prepare-commit-msg.beast-old";
/// How programs refer to their own name.
const OWN_NAMES: [&[u8]; 5] = [b"$0", b"${0", b"BASH_SOURCE", b"argv[0]", b"PROGRAM_NAME"];
/// Hooks are scripts and sometimes binaries.
const MAX_BYTES: u64 = 64 << 20;

/// The folder where git looks for the hooks of this repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooks {
    folder: PathBuf,
    top: PathBuf,
    is_outside: bool,
    /// Whether `core.hooksPath` names the folder.
    is_configured: bool,
    /// Whether the folder is part of the work tree, so that it may be committed.
    is_shared: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub path: PathBuf,
    pub program: PathBuf,
    /// The time limit, as written in the script.
    pub limit: String,
    /// Another program's hook, which this one runs first.
    pub chained: Option<PathBuf>,
    /// New path of a hook that git did not run.
    pub set_aside: Option<PathBuf>,
    /// The hook manager that runs it; `None` if git does.
    pub runner: Option<Manager>,
    is_changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// By our script.
    Installed(Installed),
    /// By a hook of the user's own, which calls beastctl.
    Called(PathBuf),
}

/// What `uninstall` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    Ours(PathBuf),
    /// Our hook is removed, and the one that it ran is back in place.
    Restored(PathBuf),
    Nothing(PathBuf),
    /// Another program has overwritten our hook; the hook that ours ran is still beside it.
    Overwritten {
        path: PathBuf,
        chained: PathBuf,
        /// Whether both were the same, so that the copy was removed.
        is_gone: bool,
    },
}

impl Hooks {
    pub fn find(git: Git<'_>) -> Result<Self, HookError> {
        if git.output(&["rev-parse", "--is-inside-work-tree"])?.trim_ascii() != b"true" {
            return Err(HookError::NoWorkTree);
        }
        // Hooks run here, so a relative folder starts here.
        let top = git.path(&["rev-parse", "--show-toplevel"])?;
        let git = git.at(&top);
        let configured = git.output(&["config", "--null", "--get", CONFIGURED]).ok();
        // From an empty value, git's own commands derive folders that nobody meant.
        if configured.as_deref() == Some(b"\0") {
            return Err(HookError::NoFolder);
        }
        let is_configured = configured.is_some();
        let folder = top.join(git.path(&["rev-parse", "--git-path", "hooks"])?);
        if folder.metadata().is_ok_and(|metadata| !metadata.is_dir()) {
            let by = if is_configured { CONFIGURED } else { "the default folder" };
            return Err(HookError::NotFolder { path: folder, by });
        }
        let common = top.join(git.path(&["rev-parse", "--git-common-dir"])?);
        let real = real(&folder);
        let is_of = |place: &Path| real.starts_with(self::real(place));
        let (is_outside, is_shared) = (!is_of(&top) && !is_of(&common), is_of(&top) && !is_of(&common));
        Ok(Self { folder, top, is_outside, is_configured, is_shared })
    }

    /// Installs or updates the hook. With `chain`, another program's hook that is in its place will run first.
    pub fn install(&self, program: &Path, limit: Duration, force: bool, chain: bool) -> Result<Installed, HookError> {
        if self.is_outside && !force {
            let folder = self.folder.clone();
            return Err(match self.is_configured {
                true => HookError::Outside(folder),
                false => HookError::Linked { real: real(&folder), folder },
            });
        }
        let (path, ours) = (self.path(), self.ours()?);
        let is_there = exists(&path) && ours.is_none();
        // Git skips this file, so it need not be chained either.
        let is_idle = is_there && path.is_file() && !is_executable(&path);
        let is_foreign = is_there && !is_idle;
        if is_foreign {
            self.check_foreign(force, chain)?;
        }
        if let Some(ours) = ours {
            keep(&ours, force)?;
        }
        fs::create_dir_all(&self.folder).map_err(FileError::of("create the folder", &self.folder))?;
        let program = Some(program).filter(|_| !self.is_shared);
        let part = begin_program(&path, &script(program, limit)).map_err(FileError::of("write", &path))?;
        let set_aside = is_idle.then(|| free(&path));
        set_aside.as_ref().map_or(Ok(()), |aside| fs::rename(&path, aside)).map_err(FileError::of("write", &path))?;
        self.place(part, is_foreign)?;
        let installed = self.ours()?.ok_or(HookError::NotInstalled(path))?;
        Ok(Installed { set_aside, ..installed })
    }

    /// The commit template, if it contains a message: then no suggestion is requested for commits here.
    pub fn template(&self, git: Git<'_>, settings: &Settings) -> Option<PathBuf> {
        let path = git.at(&self.top).path(&["config", "--type=path", "--get", "commit.template"]).ok()?;
        let path = self.top.join(path);
        MessageFile::read(&path).is_ok_and(|file| file.has_message(settings)).then_some(path)
    }

    /// Whether our hook can chain the existing one.
    fn check_foreign(&self, force: bool, chain: bool) -> Result<(), HookError> {
        let (path, chained) = (self.path(), self.chained());
        if let Some(path) = self.caller() {
            return Err(HookError::Called(path));
        }
        if let Some(manager) = Manager::of(&path) {
            return Err(match self.moved(manager)? {
                Some(ours) if manager.runs_moved => HookError::Called(ours.path),
                _ => HookError::Managed { path, manager },
            });
        }
        let bytes = read(&path).unwrap_or_default();
        if !bytes.contains(&0) && OWN_NAMES.iter().any(|name| contains(&bytes, name)) {
            return Err(HookError::Named(path));
        }
        let is_other = exists(&chained) && !is_same(&path, &chained);
        match chain {
            // A program that overwrote our hook is usually the one whose hook ours ran, and then nothing is lost.
            true if !is_other || force => Ok(()),
            false if !is_other => Err(HookError::Foreign(path)),
            _ => Err(HookError::TwoForeign(path)),
        }
    }

    /// The user's own hook that calls beastctl: the one that git runs or, with husky, the one in the parent folder.
    fn caller(&self) -> Option<PathBuf> {
        let above = self.folder.parent().map(|folder| folder.join(NAME)).filter(|_| self.folder.ends_with("_"));
        let files = Manager::of(&self.path()).map(|manager| manager.files).unwrap_or_default();
        let files = files.iter().map(|name| Some(self.top.join(name)));
        [Some(self.path()), above].into_iter().chain(files).flatten().find(|path| {
            let bytes = read(path).unwrap_or_default();
            let is_call = |line: &[u8]| {
                !line.trim_ascii_start().starts_with(b"#") && contains(line, b"beastctl") && contains(line, b"hook run")
            };
            bytes.split(|byte| *byte == b'\n').any(is_call)
        })
    }

    fn place(&self, part: WholeFile, is_foreign: bool) -> Result<(), HookError> {
        let (path, chained) = (self.path(), self.chained());
        if is_foreign {
            fs::rename(&path, &chained).map_err(FileError::of("rename", &path))?;
        }
        part.finish().map_err(|source| {
            if is_foreign {
                let _ = fs::rename(&chained, &path);
            }
            FileError::of("write", &path)(source).into()
        })
    }

    /// Removes our hook and restores the one from before.
    pub fn uninstall(&self, force: bool) -> Result<Removed, HookError> {
        let (path, chained) = (self.path(), self.chained());
        let ours = self.ours()?;
        let moved = Manager::of(&path).map_or(Ok(None), |manager| self.moved(manager))?;
        if let Some(moved) = moved.filter(|_| ours.is_none()) {
            keep(&moved, force)?;
            fs::remove_file(&moved.path).map_err(FileError::of("remove", &moved.path))?;
            return Ok(Removed::Ours(moved.path));
        }
        match ours {
            Some(ours) => keep(&ours, force)?,
            None if exists(&path) && exists(&chained) => {
                let is_gone = is_same(&path, &chained);
                if is_gone {
                    fs::remove_file(&chained).map_err(FileError::of("remove", &chained))?;
                }
                return Ok(Removed::Overwritten { path, chained, is_gone });
            }
            // Without our hook, nothing runs this one.
            None if exists(&chained) => {}
            None => return Ok(Removed::Nothing(path)),
        }
        if exists(&chained) {
            // In one step, so that there is a hook at all times.
            fs::rename(&chained, &path).map_err(FileError::of("put back", &chained))?;
            return Ok(Removed::Restored(path));
        }
        fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
        Ok(Removed::Ours(path))
    }

    /// The installed hook.
    ///
    /// # Errors
    /// See [`HookError`]; without our hook [`HookError::NotInstalled`] or [`HookError::Foreign`].
    pub fn status(&self) -> Result<Status, HookError> {
        let path = self.path();
        let status = match (self.ours()?, self.caller()) {
            (Some(installed), _) => Status::Installed(installed),
            (None, Some(caller)) if exists(&path) => Status::Called(caller),
            (None, None) if exists(&path) => Status::Installed(self.moved_or_foreign(path.clone())?),
            (None, _) => return Err(HookError::NotInstalled(self.folder.clone())),
        };
        if !is_executable(&path) {
            return Err(HookError::NotExecutable { path, who: "git" });
        }
        if let Status::Installed(Installed { path, runner, chained, .. }) = &status {
            let moved = runner.map(|manager| (path, manager.name));
            let run = moved.into_iter().chain(chained.as_ref().map(|chained| (chained, "the hook of beastctl")));
            if let Some((path, who)) = run.into_iter().find(|(path, _)| !is_executable(path)) {
                return Err(HookError::NotExecutable { path: path.clone(), who });
            }
        }
        Ok(status)
    }

    /// Our hook, if the hook manager that took its place runs it.
    fn moved_or_foreign(&self, path: PathBuf) -> Result<Installed, HookError> {
        let Some(manager) = Manager::of(&path) else { return Err(HookError::Foreign(path)) };
        match self.moved(manager)? {
            Some(ours) if manager.runs_moved => Ok(ours),
            Some(ours) => Err(HookError::Dead { path: ours.path, manager }),
            None => Err(HookError::Managed { path, manager }),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    fn chained(&self) -> PathBuf {
        self.folder.join(CHAINED)
    }

    /// Our hook, if it is installed. A link never counts as ours, because the user made it to share a hook.
    fn ours(&self) -> Result<Option<Installed>, HookError> {
        self.ours_at(self.path())
    }

    /// Our hook under the name that this hook manager moves existing hooks to.
    fn moved(&self, manager: Manager) -> Result<Option<Installed>, HookError> {
        let Some(end) = manager.moved_end else { return Ok(None) };
        let ours = self.ours_at(self.folder.join(format!("{NAME}{end}")))?;
        Ok(ours.map(|ours| Installed { runner: Some(manager), ..ours }))
    }

    fn ours_at(&self, path: PathBuf) -> Result<Option<Installed>, HookError> {
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(None);
        }
        let bytes = read(&path).map_err(FileError::of(READ, &path))?;
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
        let (program, limit) = (unquoted(quoted), limit.to_owned());
        Ok(Some(Installed { path, program, limit, chained, set_aside: None, runner: None, is_changed }))
    }
}

/// Our hook may be replaced or removed if it is unchanged. A changed one needs `force`, and is copied first.
fn keep(ours: &Installed, force: bool) -> Result<(), HookError> {
    let path = &ours.path;
    if !ours.is_changed {
        return Ok(());
    }
    if !force {
        return Err(HookError::Changed(path.clone()));
    }
    let copy = free(path);
    fs::copy(path, &copy).map_err(FileError::of("copy the hook to", &copy))?;
    Ok(())
}

/// A name beside the hook that is unused, or whose file has the same contents.
fn free(path: &Path) -> PathBuf {
    let names = (1..).map(|n| if n == 1 { KEPT.to_owned() } else { format!("{KEPT}.{n}") });
    let free = names.map(|name| path.with_file_name(name)).find(|copy| !exists(copy) || is_same(path, copy));
    free.expect("broken invariant: there are more numbers than files")
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((read(one), read(other)), (Ok(one), Ok(other)) if one == other)
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Also true for a dangling link.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    })
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    beast_launchd::file::read(path, MAX_BYTES)
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
