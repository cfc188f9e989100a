//! The interface to a service manager.

use std::path::PathBuf;

use beast_launchd::Service;

use super::{error::ServiceError, files::Text};

/// A service manager: systemd or launchd.
pub(super) trait Manager {
    fn name(&self) -> &'static str;

    /// The command that shows beastd's output.
    fn words_of_beastd(&self) -> &'static str;

    /// The files that we write: the first one says where to listen, the last one what to start.
    fn files(&self) -> Vec<PathBuf>;

    /// A package's files, if this user has enabled them and ours do not override them. We must not write or remove
    /// them.
    fn packaged(&self) -> Option<Vec<PathBuf>> {
        None
    }

    /// The path to listen on, from the first file.
    fn socket_of(&self, text: &str) -> Option<PathBuf>;

    /// The program to start, from the last file.
    fn program_of(&self, text: &str) -> Option<PathBuf>;

    /// The files and their texts.
    fn texts(&self, service: &Service) -> Result<Vec<Text>, ServiceError>;

    /// Makes the system unload files that are no longer needed; called before they are removed.
    fn retire(&self, _files: &[PathBuf]) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Creates what the manager does not create itself.
    fn prepare(&self, _service: &Service) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Whether the manager serves this user.
    fn check(&self) -> Result<(), ServiceError>;

    fn state(&self) -> Result<State, ServiceError>;

    /// Reloads the files, and listens from now on and after each login.
    fn load(&self) -> Result<(), ServiceError> {
        self.start()
    }

    /// Starts listening.
    fn start(&self) -> Result<(), ServiceError>;

    /// Stops beastd after its requests, and stops listening.
    fn stop(&self) -> Result<(), ServiceError>;

    /// Restarts beastd after its requests; its socket listens all the time.
    fn restart(&self) -> Result<(), ServiceError>;

    /// Stops the service, now and after the next login.
    fn unload(&self) -> Result<(), ServiceError>;

    /// Makes the manager forget files that have been removed or disabled. Nothing depends on it, so errors are ignored.
    fn forget(&self) {}
}

/// The manager's view of the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Whether it will listen after the next login.
    pub(super) is_enabled: bool,
    /// Whether a request would be answered.
    pub(super) is_listening: bool,
    pub(super) pid: Option<u32>,
    /// Whether beastd failed last time and has not been started since.
    pub(super) has_failed: bool,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State { pid: Some(_), .. } => "running",
            State { is_listening: true, .. } => "listening",
            _ => "stopped",
        }
    }
}
