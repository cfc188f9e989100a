//! systemd for one user: `systemctl --user`.

use std::path::PathBuf;

use beast_launchd::{
    Service, packaged_in, paths,
    systemd::{
        ENABLED_IN, HTTP_SOCKET_UNIT, OLLAMA_SOCKET_UNIT, SERVICE_UNIT, SOCKET_UNIT, listens_at, program_of, units,
    },
};

use super::{
    error::ServiceError,
    files::Text,
    manager::{Manager, State},
    program::{LONG, Program, QUICK},
};
use crate::exit::remove_file;

/// The advice when there is no manager: there is none after `su` or in a container, but there is one after a login.
const HINT: &str =
    "log in as this user, not through su or sudo, or run loginctl enable-linger, which starts it without a login";

/// Exit code of `systemctl stop` for an unknown unit.
const NOT_LOADED: i32 = 5;

/// `systemctl` and the folder of the units.
#[derive(Debug)]
pub(super) struct Systemd<'a> {
    pub(super) systemctl: Program<'a>,
    pub(super) folder: PathBuf,
}

impl Systemd<'_> {
    fn run(&self, arguments: &[&str]) -> Result<(), ServiceError> {
        self.systemctl.run(arguments, LONG).map(drop)
    }

    /// Runs a verb on all socket units.
    fn run_for_sockets(&self, verb: &[&str]) -> Result<(), ServiceError> {
        self.run(&[verb, &self.sockets()].concat())
    }

    /// For commands that may fail without harm, such as resetting failures that never happened.
    fn try_to(&self, arguments: &[&str]) {
        let _ = self.systemctl.ask(arguments, QUICK);
    }

    /// After too many failures in a row, systemd starts nothing until they are reset.
    fn forget_failures(&self) {
        self.try_to(&[&["reset-failed"], &self.sockets()[..], &[SERVICE_UNIT]].concat());
    }

    /// The socket units; those of the HTTP endpoint only if they exist. A link or a folder counts too, so that it is
    /// reported as not ours.
    fn sockets(&self) -> Vec<&'static str> {
        let mut units = vec![SOCKET_UNIT, HTTP_SOCKET_UNIT, OLLAMA_SOCKET_UNIT];
        units.retain(|unit| *unit == SOCKET_UNIT || self.folder.join(unit).symlink_metadata().is_ok());
        units
    }

    fn show(&self, unit: &str) -> Result<String, ServiceError> {
        let properties = "--property=ActiveState,UnitFileState,MainPID";
        Ok(self.systemctl.run(&["show", properties, unit], QUICK)?.stdout)
    }
}

/// The value in a line `NAME=VALUE`.
fn value<'a>(shown: &'a str, name: &str) -> &'a str {
    let mut values = shown.lines().filter_map(|line| line.split_once('='));
    values.find(|(key, _)| *key == name).map(|(_, value)| value).unwrap_or_default()
}

impl Manager for Systemd<'_> {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn words_of_beastd(&self) -> &'static str {
        "journalctl --user -u beastd.service"
    }

    fn files(&self) -> Vec<PathBuf> {
        self.sockets().into_iter().chain([SERVICE_UNIT]).map(|unit| self.folder.join(unit)).collect()
    }

    fn packaged(&self) -> Option<Vec<PathBuf>> {
        let socket = packaged_in(&self.folder)?;
        let service = socket.with_file_name(SERVICE_UNIT);
        Some(vec![socket, service])
    }

    fn socket_of(&self, text: &str) -> Option<PathBuf> {
        listens_at(text, &paths::runtime_dir())
    }

    fn program_of(&self, text: &str) -> Option<PathBuf> {
        program_of(text)
    }

    fn texts(&self, service: &Service) -> Result<Vec<Text>, ServiceError> {
        let units = units(service)?;
        let own = [(SOCKET_UNIT, units.socket)].into_iter().chain(units.http).chain([(SERVICE_UNIT, units.service)]);
        Ok(own.map(|(unit, text)| Text { path: self.folder.join(unit), text }).collect())
    }

    fn retire(&self, files: &[PathBuf]) -> Result<(), ServiceError> {
        let units: Vec<_> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
        self.run(&[&["disable", "--now"], &units[..]].concat())
    }

    fn check(&self) -> Result<(), ServiceError> {
        let said = self.systemctl.ask(&["show", "--property=Version"], QUICK)?;
        if said.status.success() { Ok(()) } else { Err(said.without_manager(self.name(), HINT)) }
    }

    fn state(&self) -> Result<State, ServiceError> {
        self.check()?;
        let (socket, service) = (self.show(SOCKET_UNIT)?, self.show(SERVICE_UNIT)?);
        Ok(State {
            is_enabled: value(&socket, "UnitFileState") == "enabled",
            is_listening: value(&socket, "ActiveState") == "active",
            // The socket unit fails too once its service has failed too often in a row.
            has_failed: [&socket, &service].iter().any(|unit| value(unit, "ActiveState") == "failed"),
            pid: value(&service, "MainPID").parse().ok().filter(|pid| *pid != 0),
        })
    }

    fn load(&self) -> Result<(), ServiceError> {
        self.run(&["daemon-reload"])?;
        self.forget_failures();
        self.run_for_sockets(&["enable", "--now"])
    }

    fn start(&self) -> Result<(), ServiceError> {
        self.forget_failures();
        self.run_for_sockets(&["start"])
    }

    fn stop(&self) -> Result<(), ServiceError> {
        // In a single job: the socket is stopped last, and starts no service while a stop is pending.
        let units = [&["stop"], &self.sockets()[..], &[SERVICE_UNIT]].concat();
        let said = self.systemctl.ask(&units, LONG)?;
        // A unit that systemd does not know, because its file was removed, is not running; the others are stopped all
        // the same.
        if said.status.success() || said.status.code() == Some(NOT_LOADED) { Ok(()) } else { Err(said.failed()) }
    }

    fn restart(&self) -> Result<(), ServiceError> {
        self.forget_failures();
        // systemd sends SIGTERM and waits, while its socket listens: new connections are served by the new process.
        // That one is started at once, so that an invalid configuration is reported here and not at the next request.
        self.run(&["restart", SERVICE_UNIT])
    }

    fn unload(&self) -> Result<(), ServiceError> {
        let checked = self.check();
        if checked.is_ok() {
            self.stop()?;
            if self.folder.join(SOCKET_UNIT).symlink_metadata().is_ok() || self.packaged().is_some() {
                return self.run_for_sockets(&["disable"]);
            }
        }
        // Without a manager no unit is running, and without its file no unit can be disabled, so remove the link that
        // `enable` made.
        for unit in self.sockets() {
            remove_file(&self.folder.join(ENABLED_IN).join(unit))?;
        }
        match checked {
            // A systemctl that hangs or is broken does not mean that there is no manager.
            Err(ServiceError::NoManager { .. } | ServiceError::NoProgram { .. }) => Ok(()),
            checked => checked,
        }
    }

    fn forget(&self) {
        self.try_to(&["daemon-reload"]);
        self.forget_failures();
    }
}
