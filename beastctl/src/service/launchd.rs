//! launchd for one user: `launchctl` with the domain `gui/UID`.

use std::{path::PathBuf, time::Instant};

use beast_launchd::{LABEL, Service, plist, program_of, socket_of};

use super::{
    error::ServiceError,
    files::{Text, private_folder_of},
    manager::{Manager, State},
    program::{LONG, Program, QUICK},
};

/// The advice when there is no domain, which a login at the screen creates.
const HINT: &str = "log in at the Mac's own screen";
/// Polling interval for `launchctl`, each call of which takes a few milliseconds.
const PACE: std::time::Duration = std::time::Duration::from_millis(50);

/// `EINPROGRESS` on macOS, as an exit code of `launchctl`.
const IN_PROGRESS: i32 = 36;

/// `launchctl`, the user whose domain it manages, and the folder of the property lists.
#[derive(Debug)]
pub(super) struct Launchd<'a> {
    pub(super) launchctl: Program<'a>,
    pub(super) folder: PathBuf,
    pub(super) uid: u32,
}

impl Launchd<'_> {
    fn domain(&self) -> String {
        format!("gui/{}", self.uid)
    }

    fn target(&self) -> String {
        format!("{}/{LABEL}", self.domain())
    }

    fn file(&self) -> PathBuf {
        self.folder.join(format!("{LABEL}.plist"))
    }

    /// launchd's description of the service; `None` if it is not loaded.
    fn loaded(&self) -> Result<Option<String>, ServiceError> {
        let said = self.launchctl.ask(&["print", &self.target()], QUICK)?;
        Ok(said.status.success().then_some(said.stdout))
    }

    fn bootstrap(&self) -> Result<(), ServiceError> {
        // A service that was disabled once cannot be loaded, and launchd would only report a number.
        self.launchctl.run(&["enable", &self.target()], QUICK)?;
        self.launchctl.run(&["bootstrap".as_ref(), self.domain().as_ref(), self.file().as_os_str()], QUICK)?;
        Ok(())
    }

    /// Starts it now, so that an invalid configuration shows in its log and not at the next request.
    fn kickstart(&self) -> Result<(), ServiceError> {
        if self.loaded()?.as_deref().and_then(pid_of).is_some() {
            return Ok(());
        }
        self.launchctl.run(&["kickstart", &self.target()], QUICK)?;
        Ok(())
    }

    /// Polls until `is_done` accepts the result of [`Launchd::loaded`].
    fn wait_until(&self, command: &str, is_done: impl Fn(Option<&str>) -> bool) -> Result<(), ServiceError> {
        let until = Instant::now() + LONG;
        while !is_done(self.loaded()?.as_deref()) {
            if Instant::now() >= until {
                return Err(ServiceError::Slow { command: command.into(), limit: LONG });
            }
            self.launchctl.wait().pause(PACE)?;
        }
        Ok(())
    }
}

/// The process id in a description; only a running service has one.
fn pid_of(description: &str) -> Option<u32> {
    description.lines().find_map(|line| line.trim().strip_prefix("pid = ")?.parse().ok())
}

/// Before the first run there is no number, only `last exit code = (never exited)`. Some numbers are followed by
/// their name.
fn has_failed(description: &str) -> bool {
    let code = description.lines().find_map(|line| line.trim().strip_prefix("last exit code = "));
    code.is_some_and(|code| code.starts_with(|c: char| c.is_ascii_digit()) && code != "0")
}

impl Manager for Launchd<'_> {
    fn name(&self) -> &'static str {
        "launchd"
    }

    fn words_of_beastd(&self) -> &'static str {
        "tail ~/Library/Logs/beast/service.log"
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.file()]
    }

    fn socket_of(&self, text: &str) -> Option<PathBuf> {
        socket_of(text)
    }

    fn program_of(&self, text: &str) -> Option<PathBuf> {
        program_of(text)
    }

    fn texts(&self, service: &Service) -> Result<Vec<Text>, ServiceError> {
        Ok(vec![Text { path: self.file(), text: plist(service)? }])
    }

    /// launchd creates neither the folder of a socket nor that of a log.
    fn prepare(&self, service: &Service) -> Result<(), ServiceError> {
        let places = [Some(&service.socket), service.http.socket.as_ref(), Some(&service.log)];
        Ok(places.into_iter().flatten().try_for_each(|path| private_folder_of(path))?)
    }

    fn check(&self) -> Result<(), ServiceError> {
        let said = self.launchctl.ask(&["print", &self.domain()], QUICK)?;
        if said.status.success() { Ok(()) } else { Err(said.without_manager(self.name(), HINT)) }
    }

    fn state(&self) -> Result<State, ServiceError> {
        self.check()?;
        let loaded = self.loaded()?;
        // The line is `"LABEL" => disabled`, or `=> true` before macOS 13.
        let disabled = self.launchctl.ask(&["print-disabled", &self.domain()], QUICK)?.stdout;
        let ours = disabled.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{LABEL}\" => ")));
        Ok(State {
            is_enabled: self.file().is_file() && !matches!(ours.map(str::trim), Some("disabled" | "true")),
            is_listening: loaded.is_some(),
            pid: loaded.as_deref().and_then(pid_of),
            has_failed: loaded.as_deref().is_some_and(|text| pid_of(text).is_none() && has_failed(text)),
        })
    }

    fn start(&self) -> Result<(), ServiceError> {
        if self.loaded()?.is_some() { Ok(()) } else { self.bootstrap() }
    }

    fn stop(&self) -> Result<(), ServiceError> {
        if self.loaded()?.is_none() {
            return Ok(());
        }
        // `bootout` reports "in progress" while beastd finishes its requests, which is no failure: what counts is
        // that the service is no longer loaded.
        let said = self.launchctl.ask(&["bootout", &self.target()], LONG)?;
        if !said.status.success() && said.status.code() != Some(IN_PROGRESS) && self.loaded()?.is_some() {
            return Err(said.failed());
        }
        self.wait_until(&said.command, |loaded| loaded.is_none())
    }

    /// Not `kickstart -k`, which kills, nor `bootout`, which closes the socket: SIGTERM lets beastd finish its
    /// requests while launchd continues to listen.
    fn restart(&self) -> Result<(), ServiceError> {
        let Some(description) = self.loaded()? else { return self.bootstrap().and_then(|()| self.kickstart()) };
        let pid = pid_of(&description);
        if pid.is_some() {
            let said = self.launchctl.run(&["kill", "SIGTERM", &self.target()], QUICK)?;
            // A waiting request may have started the next one already.
            self.wait_until(&said.command, |loaded| loaded.and_then(pid_of) != pid)?;
        }
        self.kickstart()
    }

    fn unload(&self) -> Result<(), ServiceError> {
        match self.stop() {
            // Without launchctl no service is running.
            Err(ServiceError::NoProgram { .. }) => Ok(()),
            outcome => outcome,
        }
    }
}
