//! Requests that one event answers: a decision, a count. Knows what takes time, not what is asked.

use std::{
    io::{self, Stderr},
    path::Path,
    time::Instant,
};

use beast_protocol::{Event, Request};

use crate::{
    client::{Client, ClientError},
    context::Context,
    exit::Result,
    output::{Progress, Waiting},
    start,
    wait::Wait,
};

/// Daemons that may end over one request before the request is to blame.
const MAX_ENDS: usize = 5;

/// A connection to the daemon for successive requests.
pub(crate) struct Single<'a> {
    path: &'a Path,
    may_start: bool,
    client: Option<Client>,
    progress: Progress<Stderr>,
    waiting: Waiting,
}

impl<'a> Single<'a> {
    pub(crate) fn new(context: &Context, path: &'a Path, may_start: bool) -> Self {
        let progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), context.started);
        Self { path, may_start, client: None, progress, waiting: Waiting::default() }
    }

    /// Shows what takes time, until the next event.
    pub(crate) fn say(&mut self, text: String) {
        self.waiting.say(text);
    }

    /// Takes the line of progress away.
    pub(crate) fn erase(&mut self) {
        self.progress.erase();
    }

    /// Sends a request that one event answers. If the daemon ends meanwhile, asks the next one.
    pub(crate) fn ask(&mut self, request: Request, wait: &Wait) -> Result<Event> {
        let mut n_ends = 0;
        loop {
            let mut client = match self.client.take() {
                Some(client) => client,
                None => {
                    let say = |text: &str| self.progress.set(text.into(), Instant::now());
                    start::connect(self.path, self.may_start, wait, say)?
                }
            };
            match self.hear(&mut client, &request, wait) {
                Ok(event) => {
                    self.client = Some(client);
                    return Ok(event);
                }
                Err(error) if error.is_shutting_down() => client.wait_for_end(wait)?,
                Err(ClientError::Lost) if n_ends < MAX_ENDS => n_ends += 1,
                Err(error) => return Err(error.explained(self.path).into()),
            }
        }
    }

    fn hear(&mut self, client: &mut Client, request: &Request, wait: &Wait) -> Result<Event, ClientError> {
        client.send(request, wait)?;
        loop {
            match client.next_event(wait, self.progress.due())? {
                Some(event @ (Event::Decided(_) | Event::Counted(_) | Event::Status(_))) => return Ok(event),
                Some(Event::Failed(error)) => return Err(error.into()),
                Some(event) => self.waiting.take(&event, Instant::now()),
                None => {}
            }
            let now = Instant::now();
            match self.waiting.text(now) {
                Some(text) => self.progress.set(text, now),
                None => self.progress.tick(now),
            }
        }
    }
}
