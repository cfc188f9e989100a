//! The service: a systemd user unit or a launchd property list, and whether its program still exists.

use std::{
    io,
    path::{Path, PathBuf},
};

use beast_launchd::{file, paths, systemd};

use super::finding::Finding;
use crate::{
    program::ask,
    wait::{Wait, WaitError},
};

const CHECK: &str = "service";
const INSTALL: &str = "beastctl service install";
/// Where packages put units for all users.
const UNIT_FOLDERS: [&str; 2] = ["/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];

const IS_MAC: bool = cfg!(target_os = "macos");

/// The files of a service: a socket unit and the service unit beside it, or the one property list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    socket_file: PathBuf,
    program_file: PathBuf,
}

pub(super) fn find() -> Option<Service> {
    if IS_MAC {
        let file = paths::agents_dir().ok()?.join(beast_launchd::LABEL).with_added_extension("plist");
        return file.exists().then(|| Service { socket_file: file.clone(), program_file: file });
    }
    // An enabled unit of a package is wherever its link leads; the other folders are in systemd's order.
    let packaged = paths::units_dir().ok().and_then(|folder| beast_launchd::packaged_in(&folder));
    let of_user = [paths::units_dir().ok(), Some("/etc/systemd/user".into()), paths::data_units_dir().ok()];
    let folders = of_user.into_iter().flatten().chain(UNIT_FOLDERS.into_iter().map(PathBuf::from));
    let mut units = packaged.into_iter().chain(folders.map(|folder| folder.join(systemd::SOCKET_UNIT)));
    let socket_file = units.find(|unit| unit.exists())?;
    Some(Service { program_file: socket_file.with_extension("service"), socket_file })
}

impl Service {
    /// The path where the system listens; `None` if the file does not name one.
    fn socket(&self) -> Option<PathBuf> {
        let text = read(&self.socket_file).ok()?;
        if IS_MAC { beast_launchd::socket_of(&text) } else { systemd::listens_at(&text, &paths::runtime_dir()) }
    }

    /// Whether the system listens on `path` on behalf of a stopped daemon, which connecting would start.
    pub(super) fn is_asleep(&self, path: &Path, wait: &Wait) -> Result<bool, WaitError> {
        let is_elsewhere = |socket: PathBuf| std::path::absolute(path).is_ok_and(|path| path != socket);
        if self.socket().is_some_and(is_elsewhere) {
            return Ok(false);
        }
        // A manager that cannot be reached does not hold the socket either.
        if IS_MAC {
            let said = ask(Path::new("/bin/launchctl"), &["list", beast_launchd::LABEL], wait)?;
            return Ok(said.is_ok_and(|said| said.answer().is_ok_and(|said| !said.contains("\"PID\""))));
        }
        let said = ask(Path::new("systemctl"), &["--user", "is-active", "beastd.socket", "beastd.service"], wait)?;
        let is_asleep = |said: &str| matches!(said.lines().collect::<Vec<_>>()[..], ["active", "inactive" | "failed"]);
        Ok(said.is_ok_and(|said| is_asleep(&said.stdout)))
    }
}

/// If its program was moved away, a unit fails at the first request and reports that only in the system's log.
pub(super) fn check(service: Option<&Service>) -> Finding {
    let Some(Service { program_file: file, .. }) = service else {
        return Finding::ok(CHECK, format!("not installed: clients start beastd (to install: {INSTALL})"));
    };
    let program_of = if IS_MAC { beast_launchd::program_of } else { systemd::program_of };
    let place = file.display();
    match read(file).map(|text| program_of(&text)) {
        Err(error) => Finding::problem(CHECK, format!("cannot read {place}: {error}"), INSTALL),
        Ok(None) => Finding::problem(CHECK, format!("{place} does not name a program"), INSTALL),
        Ok(Some(program)) if !program.is_file() => {
            Finding::problem(CHECK, format!("{place} starts {}, which does not exist", program.display()), INSTALL)
        }
        Ok(Some(program)) => Finding::ok(CHECK, format!("{place} starts {}", program.display())),
    }
}

fn read(unit: &Path) -> io::Result<String> {
    file::read_text(unit, 1 << 20)
}
