//! The service: a systemd unit of the user, or a property list of launchd, and whether the program it names is still there.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::finding::Finding;
use crate::{
    program::ask,
    wait::{Wait, WaitError},
};

const CHECK: &str = "service";
const INSTALL: &str = "beastctl service install";
/// Where packages put units, after the user's own folder and in the order of systemd.
const UNIT_FOLDERS: [&str; 3] = ["/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"];

/// A service that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Service {
    /// systemd: the unit of the socket.
    Systemd(PathBuf),
    /// launchd: the property list.
    Launchd(PathBuf),
}

/// The one that is installed.
pub(super) fn find() -> Option<Service> {
    if cfg!(target_os = "macos") {
        let folder = env::home_dir()?.join("Library/LaunchAgents");
        let file = folder.join(beast_launchd::LABEL).with_added_extension("plist");
        return file.exists().then_some(Service::Launchd(file));
    }
    // Beside the folder of our own configuration.
    let own = beast_launchd::paths::config_dir().ok().map(|folder| folder.with_file_name("systemd").join("user"));
    let folders = own.into_iter().chain(UNIT_FOLDERS.into_iter().map(PathBuf::from));
    folders.map(|folder| folder.join("beastd.socket")).find(|unit| unit.exists()).map(Service::Systemd)
}

impl Service {
    /// Where the system listens; `None` when its file does not say so.
    fn socket(&self) -> Option<PathBuf> {
        match self {
            Service::Systemd(unit) => listens_at(&fs::read_to_string(unit).ok()?),
            Service::Launchd(list) => beast_launchd::socket_of(&fs::read_to_string(list).ok()?),
        }
    }

    /// Whether the system listens at `path` in the place of a daemon that does not run: calling the socket would start it.
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
        return Finding::ok(CHECK, format!("none is installed: clients start beastd ({INSTALL}, for one)"));
    };
    let (file, program) = match service {
        Service::Systemd(socket) => {
            let unit = socket.with_extension("service");
            let program = fs::read_to_string(&unit).map(|text| of_unit(&text));
            (unit, program)
        }
        Service::Launchd(file) => (file.clone(), fs::read_to_string(file).map(|text| of_plist(&text))),
    };
    let place = file.display();
    match program {
        Err(error) => Finding::problem(CHECK, format!("cannot read {place}: {error}"), INSTALL),
        Ok(None) => Finding::problem(CHECK, format!("{place} names no program"), INSTALL),
        Ok(Some(program)) if !Path::new(&program).is_file() => {
            Finding::problem(CHECK, format!("{place} starts {program}, which is not there"), INSTALL)
        }
        Ok(Some(program)) => Finding::ok(CHECK, format!("{place} starts {program}")),
    }
}

/// The path of `ListenStream=`, with the folder that a package's unit leaves to systemd.
fn listens_at(text: &str) -> Option<PathBuf> {
    let place = text.lines().find_map(|line| line.trim().strip_prefix("ListenStream="))?;
    let Some(rest) = place.strip_prefix("%t/") else { return Some(place.replace("%%", "%").into()) };
    Some(PathBuf::from(env::var_os("XDG_RUNTIME_DIR")?).join(rest))
}

/// The first word of `ExecStart=`, without the marks that may stand before it, and as systemd reads quotes and `%%`.
fn of_unit(text: &str) -> Option<String> {
    let command = text.lines().find_map(|line| line.trim().strip_prefix("ExecStart="))?;
    let command = command.trim_start_matches(['-', '@', ':', '+', '!']).trim_start();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.push(chars.next()?),
            _ if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if c.is_whitespace() && quote.is_none() => break,
            _ => word.push(c),
        }
    }
    (!word.is_empty()).then(|| word.replace("%%", "%"))
}

/// The first text after the key `ProgramArguments`.
fn of_plist(text: &str) -> Option<String> {
    let (_, arguments) = text.split_once("<key>ProgramArguments</key>")?;
    let (_, program) = arguments.split_once("<string>")?;
    let (program, _) = program.split_once("</string>")?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(program.to_owned(), |text, (entity, c)| text.replace(entity, c)))
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
