//! Stops a daemon: it finishes running requests, and the caller waits until it has exited.

use std::{path::Path, time::Duration};

use beast_protocol::{Event, Request, VERSION};
use humantime::format_duration;
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process, test_kill_process},
};

use crate::{
    client::{Client, ClientError},
    exit::{Failing, Failure, Result},
    wait::{Wait, WaitError},
};

const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error("cannot stop beastd (process {pid})")]
    Refused { pid: u32, source: std::io::Error },
    #[error("beastd did not exit within {}; try: raise --timeout, or check beastctl status", format_duration(*.0))]
    StillRunning(Duration),
}

impl Failing for StopError {
    fn hint(&self) -> Option<String> {
        match self {
            StopError::Refused { pid, source } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some(format!("run this as the user who started it: ps -o user= -p {pid}"))
            }
            StopError::Refused { .. } => Some("beastctl status, to see whether it still runs".into()),
            StopError::StillRunning(_) => None,
        }
    }
}

/// Stops the daemon on a socket after its requests; `false` when there was none.
pub fn end(path: &Path, wait: &Wait) -> Result<bool> {
    let client = match Client::reach(path, wait) {
        Ok(client) => client,
        Err(error) if error.is_not_running() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let outcome = if client.welcome().protocol == VERSION {
        shut_down(client, wait)
    } else {
        terminate(client.welcome().pid, wait)
    };
    outcome.map_err(still_running)?;
    Ok(true)
}

fn still_running(error: Failure) -> Failure {
    match error.find() {
        Some(WaitError::TimedOut(limit)) => StopError::StillRunning(*limit).into(),
        _ => error,
    }
}

fn shut_down(mut client: Client, wait: &Wait) -> Result<()> {
    client.send(&Request::Shutdown, wait)?;
    // Its reply may or may not arrive: what counts is that it closes the connection, unless it refuses.
    match client.next_event(wait, None) {
        Ok(Some(Event::Failed(error))) => return Err(ClientError::Daemon(error).into()),
        Ok(_) | Err(ClientError::Lost) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(client.wait_for_end(wait)?)
}

/// A daemon with a different protocol understands no request, but every handshake has the process id.
fn terminate(pid: u32, wait: &Wait) -> Result<()> {
    let cannot = |error: Errno| StopError::Refused { pid, source: error.into() };
    // Process 1 is never beastd, and 0 would mean the whole process group.
    let process = i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    let process = process.ok_or_else(|| cannot(Errno::SRCH))?;
    match kill_process(process, Signal::TERM) {
        // It has exited since the handshake.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(cannot(error).into()),
    }
    while test_kill_process(process).is_ok() {
        wait.pause(PAUSE).map_err(ClientError::from)?;
    }
    Ok(())
}
