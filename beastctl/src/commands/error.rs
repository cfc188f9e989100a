//! Why a verb with no room of its own has failed.

use crate::{
    client::ClientError,
    exit::{self, Failing},
};

/// Why a verb with no room of its own has failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// `history rm --all` may not go on by itself.
    #[error("nothing was removed: {0}")]
    NotRemoved(&'static str),
    /// `status` found nobody; the object of `--json` has been printed.
    #[error(transparent)]
    NotRunning(ClientError),
}

impl Failing for CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            CommandError::NotRemoved(_) => exit::USAGE,
            CommandError::NotRunning(error) => error.exit_code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            CommandError::NotRemoved(_) => Some("-y".into()),
            CommandError::NotRunning(error) => error.hint(),
        }
    }
}
