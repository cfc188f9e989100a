//! The interface to a service manager.

use std::path::PathBuf;

use beast_launchd::Service;

use super::{error::ServiceError, files::Text};

/// The part of the system that keeps services.
pub(super) trait Manager {
    fn name(&self) -> &'static str;

    /// The command that shows why beastd ended.
    fn words_of_beastd(&self) -> &'static str;

    /// The files of the service that we write: the first says where it listens, the last what it starts.
    fn files(&self) -> Vec<PathBuf>;

    /// Those of a package, when this user has enabled them and ours are not in their place. Nothing of them is written
    /// or removed.
    fn packaged(&self) -> Option<Vec<PathBuf>> {
        None
    }

    /// Where the first of these files says that it listens.
    fn socket_of(&self, text: &str) -> Option<PathBuf>;

    /// What the last of them starts.
    fn program_of(&self, text: &str) -> Option<PathBuf>;

    /// Their texts.
    fn texts(&self, service: &Service) -> Result<Vec<Text>, ServiceError>;

    /// Some of these files are not needed any more: the system forgets what they made it do, before they go.
    fn retire(&self, _files: &[PathBuf]) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Makes what the manager does not make by itself.
    fn prepare(&self, _service: &Service) -> Result<(), ServiceError> {
        Ok(())
    }

    /// Whether it serves this user.
    fn check(&self) -> Result<(), ServiceError>;

    fn state(&self) -> Result<State, ServiceError>;

    /// Reads the files anew, and listens now and after each login.
    fn load(&self) -> Result<(), ServiceError> {
        self.start()
    }

    /// Listens.
    fn start(&self) -> Result<(), ServiceError>;

    /// Ends beastd, which finishes its requests first, and does not listen any more.
    fn stop(&self) -> Result<(), ServiceError>;

    /// Ends beastd, which finishes its requests first, and starts it; its socket listens all the time.
    fn restart(&self) -> Result<(), ServiceError>;

    /// Stops it, also after the next login.
    fn unload(&self) -> Result<(), ServiceError>;

    /// The files are gone, or disabled: nothing of them is to be remembered. Nothing depends on this, so it cannot
    /// fail.
    fn forget(&self) {}
}

/// What a manager knows of the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Whether the next login makes it listen.
    pub(super) is_enabled: bool,
    /// Whether a request would be answered.
    pub(super) is_listening: bool,
    pub(super) pid: Option<u32>,
    /// Whether beastd ended badly the last time, and has not been started since.
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
