//! `beastctl load` and `unload`.

use std::{io, path::Path, time::Instant};

use beast_protocol::{Event, Request, Status};

use crate::{
    client::{Client, ClientError},
    context::Context,
    exit::{During as _, Result},
    models::reference::named,
    output::Progress,
    start,
    wait::Wait,
};

/// After this many daemons have ended while loading, the model is to blame.
const MAX_ENDS: usize = 5;

/// Loads a model, or the default one; starts a daemon if none is running.
pub(super) fn load(context: &Context, model: Option<&str>) -> Result<()> {
    let path = context.socket()?;
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let mut progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), context.started);
    let mut say = |text: &str| progress.set(text.into(), Instant::now());
    let started = |say: &mut dyn FnMut(&str)| Ok(Some(start::connect(&path, true, &wait, say)?));
    let request = Request::Load { model: model.map(named) };
    let outcome = load_past_an_end(&path, &request, &wait, &mut say, started);
    progress.erase();
    tell(context, outcome?, model, "loaded")
}

/// Makes a running daemon switch to another model, which it does after its running requests. `None` if no daemon is
/// running: the next one reads the setting.
pub(crate) fn switch(socket: &Path, model: &str, wait: &Wait, mut say: impl FnMut(&str)) -> Result<Option<Status>> {
    let request = Request::Use { model: model.to_owned() };
    load_past_an_end(socket, &request, wait, &mut say, |_| Ok(running(socket, wait)?))
}

/// `reach` finds a daemon. It is called again if a daemon ends before it has loaded the model.
fn load_past_an_end(
    path: &Path,
    request: &Request,
    wait: &Wait,
    say: &mut dyn FnMut(&str),
    reach: impl Fn(&mut dyn FnMut(&str)) -> Result<Option<Client>>,
) -> Result<Option<Status>> {
    let mut n_ends = 0;
    while let Some(mut client) = reach(say)? {
        match change(&mut client, request, wait, &mut *say) {
            Err(error) if error.is_shutting_down() => client.wait_for_end(wait)?,
            Err(ClientError::Lost) if n_ends < MAX_ENDS => n_ends += 1,
            outcome => return Ok(Some(outcome.map_err(|error| error.explained(path))?)),
        }
    }
    Ok(None)
}

fn running(path: &Path, wait: &Wait) -> Result<Option<Client>, ClientError> {
    match Client::reach(path, wait) {
        Err(error) if error.is_not_running() => Ok(None),
        client => client?.same_version().map(Some),
    }
}

/// Unloads a model, or all. If no daemon is running, there is nothing to unload.
pub(super) fn unload(context: &Context, model: Option<&str>) -> Result<()> {
    let path = context.socket()?;
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let Some(mut client) = running(&path, &wait)? else {
        context.console.info(&format!("beastd is not running at {}", path.display()));
        return Ok(());
    };
    let request = Request::Unload { model: model.map(named) };
    match change(&mut client, &request, &wait, |_| {}) {
        // The end of the daemon frees the memory as well.
        Err(error) if error.is_shutting_down() => Ok(client.wait_for_end(&wait)?),
        status => tell(context, Some(status?), model, "unloaded"),
    }
}

/// Sends a request that is answered with a status; `say` receives its progress.
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

fn tell(context: &Context, status: Option<Status>, named: Option<&str>, what: &str) -> Result<()> {
    if context.console.stdout_is_terminal {
        let default = || status?.model.map(|model| model.name);
        let model = named.map(str::to_owned).or_else(default);
        let model = model.map(|model| format!(": {model}")).unwrap_or_default();
        context.console.print(&format!("{what}{model}\n"))?;
    }
    Ok(())
}
