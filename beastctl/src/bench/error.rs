//! Why nothing was measured, or not everything.

use crate::exit::{self, Failing};

#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Numbers from a busy machine would mislead.
    #[error("cannot measure now: {0}")]
    MachineBusy(String),
    /// The reasons are in these tables.
    #[error("not measured: {0}")]
    NotMeasured(String),
    /// `--calibrate` failed, with beastd's own message, which may include advice.
    #[error("beastd could not calibrate: {0}")]
    NotCalibrated(String),
}

impl Failing for BenchError {
    fn exit_code(&self) -> u8 {
        match self {
            BenchError::MachineBusy(_) => exit::BUSY,
            _ => exit::FAILED,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            BenchError::MachineBusy(_) => {
                "repeat the command when the machine is idle, or pass --force for unreliable numbers".into()
            }
            BenchError::NotMeasured(tables) => {
                format!("fix what the tables name, then beastctl bench --only {}", tables.replace(", ", ","))
            }
            BenchError::NotCalibrated(_) => "beastd --calibrate, to see its full output".into(),
        })
    }
}
