//! What every command is given.

use crate::{exit::Result, output::Console};
use std::{path::PathBuf, time::Instant};

/// What every command is given.
#[derive(Debug)]
pub struct Context {
    /// Who listens.
    pub console: Console,
    /// When this process started.
    pub started: Instant,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--timeout`.
    pub timeout: Option<std::time::Duration>,
}

impl Context {
    /// Where the daemon listens, checked for what a socket's path may be.
    ///
    /// # Errors
    /// Those of the paths of this system.
    pub fn socket(&self) -> Result<PathBuf> {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => beast_launchd::paths::socket_path()?,
        };
        beast_launchd::check_socket_path(&path)?;
        Ok(path)
    }
}
