//! The verbs for any manager: the order of steps, and how to undo them on failure.

use std::path::{Path, PathBuf};

use beast_launchd::Service;
use serde_json::{Value, json};

use super::{
    error::ServiceError,
    files::{Found, Written, look, read},
    manager::{Manager, State},
};
use crate::{
    exit::{Result, remove_file},
    output::Facts,
};

#[derive(Debug)]
pub(super) struct Installed {
    pub(super) files: Vec<PathBuf>,
    /// The new paths of files that were not ours.
    pub(super) copies: Vec<PathBuf>,
    pub(super) is_new: bool,
    pub(super) was_there: bool,
}

/// `way_back` is the same manager without Ctrl-C and time limit, so that nothing prevents undoing a failed
/// installation. `end` ends a daemon on the socket that was started by hand, after its requests.
pub(super) fn install(
    manager: &dyn Manager,
    way_back: &dyn Manager,
    service: &Service,
    force: bool,
    end: impl Fn(&Path) -> Result<()>,
) -> Result<Installed> {
    let texts = manager.texts(service)?;
    if let Some(files) = manager.packaged() {
        return adopt(manager, service, files, end);
    }
    let files: Vec<_> = texts.iter().map(|text| text.path.clone()).collect();
    let found = files.iter().map(|file| look(file)).collect::<Result<Vec<_>, _>>()?;
    let mut stale = manager.files();
    stale.retain(|file| !files.contains(file) && matches!(look(file), Ok(Found::Ours(_))));
    if let Some(at) = found.iter().position(|found| *found == Found::Foreign).filter(|_| !force) {
        return Err(ServiceError::Foreign(files[at].clone()).into());
    }
    // Before writing anything, so that a missing manager leaves nothing half-installed.
    let state = manager.state()?;
    manager.prepare(service)?;
    let was_there = found.iter().any(|found| matches!(found, Found::Ours(_)));
    let is_new = texts.iter().zip(&found).any(|(text, found)| *found != Found::Ours(text.text.clone()));
    let is_new = is_new || !stale.is_empty();
    if !stale.is_empty() {
        manager.retire(&stale)?;
    }
    let mut written = if is_new { Written::all(&texts)? } else { Written::default() };
    let go_on = || -> Result<()> {
        stale.iter().try_for_each(|file| written.without(file))?;
        make_way(manager, service, is_new, state, end)?;
        Ok(manager.load()?)
    };
    if let Err(error) = go_on() {
        take_back(way_back, written, is_new, was_there && state.is_listening);
        return Err(error);
    }
    Ok(Installed { files, copies: written.copies(), is_new, was_there })
}

/// Uses a package's service that is enabled already, if it is the one to be installed. Ours beside it would leave
/// unclear which one the package's next version changes.
fn adopt(
    manager: &dyn Manager,
    service: &Service,
    files: Vec<PathBuf>,
    end: impl Fn(&Path) -> Result<()>,
) -> Result<Installed> {
    let Present { socket, program, .. } = installed(manager)?;
    let real = |program: &Path| program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let is_same = program.as_deref().is_some_and(|program| real(program) == real(&service.program));
    if socket != service.socket || !is_same {
        return Err(ServiceError::Packaged { file: first(&files), program, socket }.into());
    }
    make_way(manager, service, false, manager.state()?, end)?;
    manager.load()?;
    Ok(Installed { files, copies: Vec::new(), is_new: false, was_there: true })
}

/// Ends an older service, and a daemon that was started by hand; both finish their requests.
fn make_way(
    manager: &dyn Manager,
    service: &Service,
    is_new: bool,
    state: State,
    end: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    let is_loaded = state.is_listening || state.pid.is_some();
    if is_loaded && is_new {
        manager.stop()?;
    }
    if !is_loaded || is_new {
        // Otherwise the system would replace the socket of a living daemon, which no client could reach any more.
        end(&service.socket)?;
    }
    Ok(())
}

/// Restores the previous state. Errors are ignored, because the reason for undoing is reported already.
fn take_back(manager: &dyn Manager, written: Written, is_new: bool, was_listening: bool) {
    if !is_new {
        return;
    }
    if !was_listening {
        // Undoes what `load` has completed.
        let _ = manager.unload();
    }
    written.undo();
    manager.forget();
    if was_listening {
        let _ = manager.load();
    }
}

#[derive(Debug)]
pub(super) enum Removed {
    Files(Vec<PathBuf>),
    /// A package's service was disabled; this is its first file, which stays.
    Disabled(PathBuf),
    Nothing(PathBuf),
}

pub(super) fn uninstall(manager: &dyn Manager) -> Result<Removed, ServiceError> {
    let mut ours = Vec::new();
    for file in manager.files() {
        match look(&file)? {
            Found::Ours(_) => ours.push(file),
            Found::Foreign => return Err(ServiceError::NotOurs(file)),
            Found::Nothing => {}
        }
    }
    if ours.is_empty() {
        let Some(files) = manager.packaged() else { return Ok(Removed::Nothing(first(&manager.files()))) };
        manager.unload()?;
        manager.forget();
        return Ok(Removed::Disabled(first(&files)));
    }
    manager.unload()?;
    for file in &ours {
        remove_file(file)?;
    }
    manager.forget();
    Ok(Removed::Files(ours))
}

pub(super) fn start(manager: &dyn Manager, end: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let socket = cleared(manager, end)?;
    manager.start()?;
    Ok(socket)
}

/// The socket, after ending any daemon on it that was started by hand.
fn cleared(manager: &dyn Manager, end: impl Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let Present { socket, .. } = installed(manager)?;
    if !manager.state()?.is_listening {
        end(&socket)?;
    }
    Ok(socket)
}

pub(super) fn stop(manager: &dyn Manager) -> Result<(), ServiceError> {
    installed(manager)?;
    manager.check()?;
    manager.stop()
}

pub(super) fn restart(manager: &dyn Manager, end: impl Fn(&Path) -> Result<()>) -> Result<()> {
    cleared(manager, end)?;
    Ok(manager.restart()?)
}

#[derive(Debug)]
pub(super) struct Status {
    manager: &'static str,
    words: &'static str,
    files: Vec<PathBuf>,
    socket: Option<PathBuf>,
    /// The manager's state, or why it is unknown.
    state: Result<State, ServiceError>,
}

pub(super) fn status(manager: &dyn Manager) -> Result<Status, ServiceError> {
    let (files, socket) = match installed(manager) {
        Ok(Present { files, socket, .. }) => (files, Some(socket)),
        Err(ServiceError::NotInstalled(_)) => (manager.files(), None),
        Err(error) => return Err(error),
    };
    let state = if socket.is_some() { manager.state() } else { Ok(State::default()) };
    let (name, words) = (manager.name(), manager.words_of_beastd());
    Ok(Status { manager: name, words, files, socket, state })
}

impl Status {
    /// The details as lines; empty if the verdict says everything.
    pub(super) fn describe(&self) -> String {
        let Some(socket) = &self.socket else { return String::new() };
        let mut facts = Facts::default();
        for (n, file) in self.files.iter().enumerate() {
            facts.add(if n == 0 { "installed" } else { "" }, file.display().to_string());
        }
        if let Ok(state) = &self.state {
            let enabled = if state.is_enabled { "yes" } else { "no: it does not listen after the next login" };
            facts.add("enabled", enabled.to_owned());
            let running = match state.pid {
                Some(pid) => format!("running, process {pid}"),
                None if state.is_listening => "listening: the next request starts beastd".into(),
                None => "stopped".into(),
            };
            facts.add("state", running);
            facts.add("failed", state.has_failed.then(|| format!("beastd failed: {}", self.words)));
        }
        facts.add("socket", socket.display().to_string());
        facts.text()
    }

    /// The same as JSON; unknown values are null.
    pub(super) fn object(&self) -> Value {
        let state = self.state.as_ref().ok().filter(|_| self.socket.is_some());
        let word = state.map_or("unknown", |state| state.word());
        json!({
            "installed": self.socket.is_some(),
            "manager": self.manager,
            "files": self.files,
            "enabled": state.map(|state| state.is_enabled),
            "state": if self.socket.is_some() { word } else { "not_installed" },
            "pid": state.and_then(|state| state.pid),
            "failed": state.map(|state| state.has_failed),
            "socket": self.socket,
        })
    }

    pub(super) fn verdict(self) -> Result<(), ServiceError> {
        let Some(socket) = self.socket else { return Err(ServiceError::NotInstalled(self.files[0].clone())) };
        match self.state? {
            State { is_listening: false, pid: None, has_failed: true, .. } => {
                Err(ServiceError::Failing { socket, words: self.words })
            }
            State { is_listening: false, pid: None, .. } => Err(ServiceError::Stopped(socket)),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Present {
    pub(super) files: Vec<PathBuf>,
    pub(super) socket: PathBuf,
    /// The program that it starts, if its file names one.
    pub(super) program: Option<PathBuf>,
}

pub(super) fn installed(manager: &dyn Manager) -> Result<Present, ServiceError> {
    let packaged = manager.packaged();
    let is_ours = packaged.is_none();
    let files = packaged.unwrap_or_else(|| manager.files());
    let file = first(&files);
    let text = match look(&file)? {
        Found::Ours(text) => Some(text),
        Found::Foreign if !is_ours => Some(read(&file)?),
        Found::Nothing | Found::Foreign => None,
    };
    let socket = text.and_then(|text| manager.socket_of(&text)).ok_or(ServiceError::NotInstalled(file))?;
    let program = files.last().and_then(|file| manager.program_of(&read(file).ok()?));
    Ok(Present { files, socket, program })
}

fn first(files: &[PathBuf]) -> PathBuf {
    files.first().cloned().expect("every service has a file that says where it listens")
}
