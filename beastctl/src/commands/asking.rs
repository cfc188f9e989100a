//! A request and the way to whoever answers it: the daemon, and when that ends in the middle, the next one.

use std::path::Path;

use anyhow::Result;
use beast_protocol::{Event, Generate, Request, Resume};

use crate::{
    client::{Client, ClientError},
    start::{self, StartError},
    wait::Wait,
};

/// A daemon may end under an answer so often in a row, without a word in between, until it is the request that is to blame.
const MAX_TRIES: usize = 2;

/// A request on its way. It is kept until its answer is complete: it may have to be sent again.
pub(super) struct Asking<'a> {
    socket: &'a Path,
    may_start: bool,
    request: Request,
    n_tries: usize,
    /// The furthest that the parts of a long input have come, as round and number: each daemon begins them anew.
    best_part: (u32, u32),
}

impl<'a> Asking<'a> {
    pub(super) fn new(socket: &'a Path, may_start: bool, request: Generate) -> Self {
        Self { socket, may_start, request: Request::Generate(request), n_tries: 0, best_part: (0, 0) }
    }

    /// Finds the daemon, or starts one, and sends it the request. `say` hears what takes time.
    pub(super) fn send(&self, wait: &Wait, say: impl FnMut(&str)) -> Result<Client, StartError> {
        let mut client = start::connect(self.socket, self.may_start, wait, say)?;
        client.send(&self.request, wait)?;
        Ok(client)
    }

    /// Hears what comes: whoever sends something new is alive.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Piece { .. } => self.n_tries = 0,
            Event::Part(part) if (part.round, part.n_done) > self.best_part => {
                self.best_part = (part.round, part.n_done);
                self.n_tries = 0;
            }
            _ => {}
        }
    }

    /// The daemon has ended in the middle, `why` says how: the next one goes on behind what has come.
    ///
    /// # Errors
    /// `why` when that was tried often enough, or no daemon may or can be started; otherwise why there is no other. See also [`Wait`].
    pub(super) fn again(
        &mut self,
        got: &Resume,
        why: ClientError,
        wait: &Wait,
        mut say: impl FnMut(&str),
    ) -> Result<Client> {
        if let Request::Generate(request) = &mut self.request {
            request.resume = (!got.text.is_empty()).then(|| got.clone());
        }
        let mut reason = why.into();
        while self.n_tries < MAX_TRIES {
            self.n_tries += 1;
            match self.send(wait, &mut say) {
                Ok(client) => return Ok(client),
                Err(StartError::Wait(error) | StartError::Client(ClientError::Wait(error))) => {
                    return Err(ClientError::from(error).into());
                }
                Err(error @ StartError::Client(ClientError::OtherVersion(_))) => return Err(error.into()),
                // That nobody is there is no news.
                Err(StartError::Refused(_) | StartError::Missing(_)) => break,
                Err(error) => reason = error.into(),
            }
        }
        Err(reason)
    }
}
