//! `beastctl stop`: the daemon finishes what runs, and this waits until it has ended.

use std::{path::Path, time::Duration};

use beast_protocol::{Event, Request, VERSION};
use rustix::{
    io::Errno,
    process::{Pid, Signal, kill_process, test_kill_process},
};

use super::{context::Context, error::CommandError};
use crate::{
    client::{Client, ClientError},
    exit::{During as _, Failure, Result},
    wait::{Wait, WaitError},
};

/// Time for the requests that still run: twice what the daemon gives them by default.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Stops the daemon.
pub(super) fn run(context: &Context) -> Result<()> {
    let path = context.socket()?;
    let limit = context.timeout.unwrap_or(LIMIT);
    let wait = Wait::start(Some(limit)).context("cannot watch for Ctrl-C")?;
    if !end(&path, &wait)? {
        // What was asked for is so already, as for a service that is stopped twice.
        context.console.info(&format!("no beastd runs at {}", path.display()));
    } else if context.console.stdout_is_terminal {
        context.console.print("stopped\n")?;
    }
    Ok(())
}

/// Ends the daemon that serves a socket, after its requests; `false` when there was none.
pub(super) fn end(path: &Path, wait: &Wait) -> Result<bool> {
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
        Some(WaitError::TimedOut(limit)) => CommandError::StillRunning(*limit).into(),
        _ => error,
    }
}

fn shut_down(mut client: Client, wait: &Wait) -> Result<()> {
    client.send(&Request::Shutdown, wait)?;
    // Its answer may come or not: what counts is that it hangs up, unless it refuses.
    match client.next_event(wait, None) {
        Ok(Some(Event::Failed(error))) => return Err(ClientError::Daemon(error).into()),
        Ok(_) | Err(ClientError::Lost) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(client.wait_for_end(wait)?)
}

/// A daemon of another protocol understands no request, but every daemon of ours has said its process in its greeting.
fn terminate(pid: u32, wait: &Wait) -> Result<()> {
    let cannot = |error: Errno| CommandError::CannotStop { pid, source: error.into() };
    // Process 1 is never a beastd, and 0 would mean every process of this group.
    let process = i32::try_from(pid).ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    let process = process.ok_or_else(|| cannot(Errno::SRCH))?;
    match kill_process(process, Signal::TERM) {
        // It has ended by itself since it greeted.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => return Err(cannot(error).into()),
    }
    while test_kill_process(process).is_ok() {
        wait.pause(PAUSE).map_err(ClientError::from)?;
    }
    Ok(())
}
