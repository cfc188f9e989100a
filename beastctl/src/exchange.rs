//! Requests that are answered with one event, on one connection. Knows no verb.

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

/// A request during which this many daemons have died is to blame itself.
const MAX_ENDS: usize = 5;

/// A connection to the daemon for a series of requests.
pub struct Exchange<'a> {
    path: &'a Path,
    may_start: bool,
    client: Option<Client>,
    progress: Progress<Stderr>,
    waiting: Waiting,
}

impl<'a> Exchange<'a> {
    pub fn new(context: &Context, path: &'a Path, may_start: bool) -> Self {
        let progress = Progress::with_spinner(io::stderr(), context.console.shows_progress(), context.started);
        Self { path, may_start, client: None, progress, waiting: Waiting::default() }
    }

    /// Sends a request that is answered with one event. If the daemon ends meanwhile, sends it to the next one.
    pub fn ask(&mut self, request: &Request, wait: &Wait) -> Result<Event> {
        let mut n_ends = 0;
        loop {
            let mut client = match self.client.take() {
                Some(client) => client,
                None => {
                    let say = |text: &str| self.progress.set(text.into(), Instant::now());
                    start::connect(self.path, self.may_start, wait, say)?
                }
            };
            match self.hear(&mut client, request, wait) {
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

    /// Shows the progress of a series of requests, until the daemon reports something else.
    pub fn say(&mut self, words: String) {
        self.waiting.say(words);
    }

    /// Removes the progress line.
    pub fn erase(&mut self) {
        self.progress.erase();
    }

    fn hear(&mut self, client: &mut Client, request: &Request, wait: &Wait) -> Result<Event, ClientError> {
        client.send(request, wait)?;
        loop {
            match client.next_event(wait, self.progress.due())? {
                Some(event @ (Event::Decided(_) | Event::Embedded(_) | Event::Counted(_) | Event::Status(_))) => {
                    return Ok(event);
                }
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
