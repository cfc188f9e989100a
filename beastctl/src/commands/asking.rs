//! A request and the way to whoever answers it: the daemon, and when that ends in the middle, the next one.

use std::path::Path;

use beast_protocol::{Generate, Request, Resume};

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
}

impl<'a> Asking<'a> {
    pub(super) fn new(socket: &'a Path, may_start: bool, request: Generate) -> Self {
        Self { socket, may_start, request: Request::Generate(request), n_tries: 0 }
    }

    /// Finds the daemon, or starts one, and sends it the request. `say` hears what takes time.
    pub(super) fn send(&self, wait: &Wait, say: impl FnMut(&str)) -> Result<Client, StartError> {
        let mut client = start::connect(self.socket, self.may_start, wait, say)?;
        client.send(&self.request, wait)?;
        Ok(client)
    }

    /// Something new has come: whoever sends it is alive.
    pub(super) fn is_answered(&mut self) {
        self.n_tries = 0;
    }

    /// The daemon has ended in the middle: the next one goes on behind what has come.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when that was tried often enough, or there is no other; see also [`Wait`].
    pub(super) fn again(
        &mut self,
        got: &Resume,
        wait: &Wait,
        mut say: impl FnMut(&str),
    ) -> Result<Client, ClientError> {
        if let Request::Generate(request) = &mut self.request {
            request.resume = (!got.text.is_empty()).then(|| got.clone());
        }
        while self.n_tries < MAX_TRIES {
            self.n_tries += 1;
            match self.send(wait, &mut say) {
                Ok(client) => return Ok(client),
                Err(StartError::Wait(error) | StartError::Client(ClientError::Wait(error))) => return Err(error.into()),
                Err(StartError::Client(error @ ClientError::OtherVersion(_))) => return Err(error),
                Err(_) => {}
            }
        }
        Err(ClientError::Lost)
    }
}
