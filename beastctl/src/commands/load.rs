//! `beastctl load` and `unload`.

use std::{io, path::Path, time::Instant};

use beast_protocol::{Event, Request, Status};

use crate::{
    client::{Client, ClientError},
    context::Context,
    exit::{During as _, Result},
    output::Progress,
    start,
    wait::Wait,
};

/// Loads the model; starts a daemon if need be.
pub(super) fn load(context: &Context) -> Result<()> {
    let path = context.socket()?;
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let mut progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), context.started);
    let mut say = |text: &str| progress.set(text.into(), Instant::now());
    let outcome = load_past_an_end(&path, &wait, &mut say);
    progress.erase();
    tell(context, &outcome?, "loaded")
}

/// So many daemons may end while they load, until the model is to blame.
const MAX_ENDS: usize = 5;

fn load_past_an_end(path: &Path, wait: &Wait, mut say: impl FnMut(&str)) -> Result<Status> {
    let mut n_ends = 0;
    loop {
        let mut client = start::connect(path, true, wait, &mut say)?;
        match change(&mut client, &Request::Load { model: None }, wait, &mut say) {
            Err(error) if error.is_shutting_down() => client.wait_for_end(wait)?,
            Err(ClientError::Lost) if n_ends < MAX_ENDS => n_ends += 1,
            outcome => return Ok(outcome.map_err(|error| error.explained(path))?),
        }
    }
}

/// Gives the memory of the model back. A daemon that does not run holds none.
pub(super) fn unload(context: &Context) -> Result<()> {
    let path = context.socket()?;
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let mut client = match Client::reach(&path, &wait) {
        Ok(client) => client.same_version()?,
        Err(error) if error.is_not_running() => {
            context.console.info(&format!("beastd is not running at {}", path.display()));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    match change(&mut client, &Request::Unload, &wait, |_| {}) {
        Ok(status) => tell(context, &status, "unloaded"),
        // Its end gives the memory back as well.
        Err(error) if error.is_shutting_down() => Ok(client.wait_for_end(&wait)?),
        Err(error) => Err(error.into()),
    }
}

/// Has a running daemon answer with another model, which takes until the present one has finished what it began. `None`
/// when none runs, also after this has waited for the end of one that ends.
pub(crate) fn switch(
    socket: &Path,
    model: &str,
    wait: &Wait,
    mut say: impl FnMut(&str),
) -> Result<Option<Status>, ClientError> {
    let mut n_ends = 0;
    loop {
        let mut client = match Client::reach(socket, wait) {
            Ok(client) => client.same_version()?,
            // Also after one was lost: the next one reads the setting.
            Err(error) if error.is_not_running() => return Ok(None),
            Err(error) => return Err(error),
        };
        match change(&mut client, &Request::Load { model: Some(model.to_owned()) }, wait, &mut say) {
            Err(error) if error.is_shutting_down() => return client.wait_for_end(wait).map(|()| None),
            Err(ClientError::Lost) if n_ends < MAX_ENDS => n_ends += 1,
            outcome => return outcome.map(Some).map_err(|error| error.explained(socket)),
        }
    }
}

/// Sends a request that ends with a status; `say` hears how far it is.
fn change(
    client: &mut Client,
    request: &Request,
    wait: &Wait,
    mut say: impl FnMut(&str),
) -> Result<Status, ClientError> {
    client.send(request, wait)?;
    loop {
        match client.next_event(wait, None)? {
            Some(Event::Status(status)) => return Ok(*status),
            Some(Event::Failed(error)) => return Err(error.into()),
            Some(Event::Loading { stage, fraction }) => {
                say(&format!("loading: {} {:.0} %", stage.label(), fraction * 100.0));
            }
            _ => {}
        }
    }
}

fn tell(context: &Context, status: &Status, what: &str) -> Result<()> {
    if context.console.stdout_is_terminal {
        let model = status.model.as_ref().map_or(String::new(), |model| format!(": {}", model.name));
        context.console.print(&format!("{what}{model}\n"))?;
    }
    Ok(())
}
