//! The context of every command.

use crate::{exit::Result, output::Console};
use std::{path::PathBuf, time::Instant};

#[derive(Debug)]
pub struct Context {
    pub console: Console,
    pub started: Instant,
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `--timeout`.
    pub timeout: Option<std::time::Duration>,
}

impl Context {
    /// The daemon's socket, with a valid path.
    ///
    /// # Errors
    /// When a path of this system cannot be determined.
    pub fn socket(&self) -> Result<PathBuf> {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => beast_launchd::paths::socket_path()?,
        };
        beast_launchd::check_socket_path(&path)?;
        Ok(path)
    }
}
