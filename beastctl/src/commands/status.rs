//! `beastctl status`: what the daemon is doing, for people or for programs.

use std::{path::Path, time::Duration};

use beast_protocol::{Event, Request, Status};
use serde_json::json;

use super::CommandError;
use crate::{
    client::{Client, ClientError},
    context::Context,
    exit::{During as _, Result},
    output::{json_line, status::describe},
    wait::Wait,
};

/// A daemon that takes longer to describe itself is stuck.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn run(context: &Context, is_json: bool) -> Result<()> {
    let path = context.socket()?;
    let wait = Wait::start(Some(context.timeout.unwrap_or(LIMIT))).context("cannot watch for Ctrl-C")?;
    let status = match ask_past_an_end(&path, &wait) {
        Ok(status) => status,
        Err(error) if error.is_not_running() => {
            if is_json {
                context.console.print(&json_line(&json!({ "state": "stopped", "socket": path })))?;
            }
            return Err(CommandError::NotRunning(error).into());
        }
        Err(error) => return Err(error.into()),
    };
    match is_json {
        true => context.console.print(&json_line(&json!(status)))?,
        false => context.console.print_lines(&describe(&status))?,
    }
    Ok(())
}

/// How often a daemon may hang up after its greeting, and the pause after that.
const MAX_TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// A daemon may end between its greeting and its answer: then nobody is there, or the next one.
fn ask_past_an_end(path: &Path, wait: &Wait) -> Result<Status, ClientError> {
    let mut n_tries = 0;
    loop {
        match ask(Client::reach(path, wait)?.same_version()?, wait) {
            Err(ClientError::Lost) if n_tries < MAX_TRIES => n_tries += 1,
            outcome => return outcome,
        }
        wait.pause(PAUSE)?;
    }
}

fn ask(mut client: Client, wait: &Wait) -> Result<Status, ClientError> {
    client.send(&Request::Status, wait)?;
    loop {
        match client.next_event(wait, None)? {
            Some(Event::Status(status)) => return Ok(*status),
            Some(Event::Failed(error)) => return Err(error.into()),
            // Nothing else answers this request; a later version that says more is not misunderstood.
            _ => {}
        }
    }
}
