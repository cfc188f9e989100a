//! Errors of verbs without a room.

use crate::{
    client::ClientError,
    exit::{self, Failing},
};

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// `history rm --all` needs confirmation.
    #[error("nothing removed: {0}")]
    NotRemoved(&'static str),
    /// `status` found no daemon; the `--json` object has been printed.
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
