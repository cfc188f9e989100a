//! `beastctl stop`: waits until the daemon has finished running requests and exited.

use std::time::Duration;

use crate::{
    context::Context,
    exit::{During as _, Result},
    stop,
    wait::Wait,
};

/// Time for running requests: twice what the daemon gives them by default.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(context: &Context) -> Result<()> {
    let path = context.socket()?;
    let limit = context.timeout.unwrap_or(LIMIT);
    let wait = Wait::start(Some(limit)).context("cannot watch for Ctrl-C")?;
    if !stop::end(&path, &wait)? {
        // The goal is reached already, as when stopping a stopped service.
        context.console.info(&format!("beastd is not running at {}", path.display()));
    } else if context.console.stdout_is_terminal {
        context.console.print("stopped\n")?;
    }
    Ok(())
}
