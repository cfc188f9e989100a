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

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Service {
    /// systemd: the unit of the socket.
    Systemd(PathBuf),
    /// launchd: the property list.
    Launchd(PathBuf),
}

pub(super) fn find() -> Option<Service> {
    if cfg!(target_os = "macos") {
        let file = paths::agents_dir().ok()?.join(beast_launchd::LABEL).with_added_extension("plist");
        return file.exists().then_some(Service::Launchd(file));
    }
    // A package's that is enabled lies wherever its link leads; the other places are in the order of systemd.
    if let Some(unit) = paths::units_dir().ok().and_then(|folder| beast_launchd::packaged_in(&folder)) {
        return Some(Service::Systemd(unit));
    }
    let of_user = [paths::units_dir().ok(), Some("/etc/systemd/user".into()), paths::data_units_dir().ok()];
    let folders = of_user.into_iter().flatten().chain(UNIT_FOLDERS.into_iter().map(PathBuf::from));
    folders.map(|folder| folder.join(systemd::SOCKET_UNIT)).find(|unit| unit.exists()).map(Service::Systemd)
}

impl Service {
    /// Where the system listens; `None` when its file does not say so.
    fn socket(&self) -> Option<PathBuf> {
        match self {
            Service::Systemd(unit) => systemd::listens_at(&read(unit).ok()?, &paths::runtime_dir()),
            Service::Launchd(list) => beast_launchd::socket_of(&read(list).ok()?),
        }
    }

    /// Whether the system listens at `path` in the place of a daemon that does not run: calling the socket would start
    /// it.
    pub(super) fn is_asleep(&self, path: &Path, wait: &Wait) -> Result<bool, WaitError> {
        let is_elsewhere = |socket: PathBuf| std::path::absolute(path).is_ok_and(|path| path != socket);
        if self.socket().is_some_and(is_elsewhere) {
            return Ok(false);
        }
        // Whoever cannot be asked does not hold the socket either.
        Ok(match self {
            Service::Systemd(_) => {
                let said =
                    ask(Path::new("systemctl"), &["--user", "is-active", "beastd.socket", "beastd.service"], wait)?;
                said.is_ok_and(|said| {
                    matches!(said.stdout.lines().collect::<Vec<_>>()[..], ["active", "inactive" | "failed"])
                })
            }
            Service::Launchd(_) => {
                let said = ask(Path::new("/bin/launchctl"), &["list", beast_launchd::LABEL], wait)?;
                said.is_ok_and(|said| said.answer().is_ok_and(|said| !said.contains("\"PID\"")))
            }
        })
    }
}

/// A unit whose program was moved away fails at the first request, and says so only in the log of the system.
pub(super) fn check(service: Option<&Service>) -> Finding {
    let Some(service) = service else {
        return Finding::ok(CHECK, format!("not installed: clients start beastd (to install: {INSTALL})"));
    };
    let (file, program) = match service {
        Service::Systemd(socket) => {
            let unit = socket.with_extension("service");
            let program = read(&unit).map(|text| systemd::program_of(&text));
            (unit, program)
        }
        Service::Launchd(file) => (file.clone(), read(file).map(|text| beast_launchd::program_of(&text))),
    };
    let place = file.display();
    match program {
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
