//! `beastctl status`: what the daemon is doing, for people or for programs.

use std::{path::Path, time::Duration};

use beast_protocol::Status;
use serde_json::json;

use crate::{
    client::{Client, ClientError},
    context::Context,
    exit::{During as _, Result},
    output::{json_line, status::describe},
    wait::Wait,
};

/// A daemon that takes longer to report its status is stuck.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn run(context: &Context, is_json: bool) -> Result<()> {
    let path = context.socket()?;
    let wait = Wait::start(Some(context.timeout.unwrap_or(LIMIT))).context("cannot watch for Ctrl-C")?;
    let status = match ask_past_an_end(&path, &wait) {
        Ok(status) => status,
        Err(error) => {
            if is_json && error.is_not_running() {
                context.console.print(&json_line(&json!({ "state": "stopped", "socket": path })))?;
            }
            return Err(error.into());
        }
    };
    match is_json {
        true => context.console.print(&json_line(&json!(status)))?,
        false => context.console.print_lines(&describe(&status))?,
    }
    Ok(())
}

/// How often to retry after a daemon closed the connection after its handshake, and the pause in between.
const MAX_TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// A daemon may end between handshake and answer; then there is no daemon, or a new one.
fn ask_past_an_end(path: &Path, wait: &Wait) -> Result<Status, ClientError> {
    let mut n_tries = 0;
    loop {
        match Client::reach(path, wait)?.same_version()?.status(wait, None) {
            Err(ClientError::Lost) if n_tries < MAX_TRIES => n_tries += 1,
            outcome => return outcome,
        }
        wait.pause(PAUSE)?;
    }
}
