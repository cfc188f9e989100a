//! A request and the way to whoever answers it: the daemon, and when that ends in the middle, the next one.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use beast_protocol::{Event, Generate, Request, Resume};

use crate::{
    client::{Client, ClientError},
    exit::Result,
    start::{self, StartError},
    wait::Wait,
};

/// How long a client waits without a sign of life: then it checks whether the daemon still greets, or gives up looking
/// for another one. `BEAST_PATIENCE` changes the latter.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries to reach a daemon.
const PAUSE: Duration = Duration::from_millis(100);
/// So many daemons may end while they compute this answer, without a new word in between, until it is the request that
/// is to blame.
const MAX_ENDS: usize = 30;
/// The same for those that said why they cannot go on, such as for lack of memory.
const MAX_DEATHS: usize = 3;

/// A request on its way. It is kept until its answer is complete: it may have to be sent again.
pub(crate) struct Asking<'a> {
    socket: &'a Path,
    may_start: bool,
    request: Request,
    patience: Duration,
    /// When something was heard last.
    heard: Instant,
    /// Whether the present daemon has begun to compute.
    has_begun: bool,
    /// Daemons that have ended over the next word.
    n_ends: usize,
    /// Those in a row that could not go on, and said so: the next one will not either.
    n_deaths: usize,
    /// The furthest that the parts of a long input have come, as round and number: each daemon begins them anew.
    best_part: (u32, u32),
}

impl<'a> Asking<'a> {
    pub(crate) fn new(socket: &'a Path, may_start: bool, request: Generate) -> Self {
        let (request, heard) = (Request::Generate(request), Instant::now());
        let said = std::env::var("BEAST_PATIENCE").ok();
        let patience = said.and_then(|text| humantime::parse_duration(&text).ok()).unwrap_or(PATIENCE);
        Self {
            socket,
            may_start,
            request,
            patience,
            heard,
            has_begun: false,
            n_ends: 0,
            n_deaths: 0,
            best_part: (0, 0),
        }
    }

    /// What is asked, to be changed before it is sent again.
    pub(crate) fn request(&mut self) -> &mut Generate {
        match &mut self.request {
            Request::Generate(request) => request,
            _ => unreachable!("broken invariant: nothing else is asked here"),
        }
    }

    /// Finds the daemon, or starts one, and sends it the request. `say` hears what takes time.
    pub(crate) fn send(&self, wait: &Wait, say: impl FnMut(&str)) -> Result<Client, StartError> {
        let mut client = start::connect(self.socket, self.may_start, wait, say)?;
        client.send(&self.request, wait)?;
        Ok(client)
    }

    /// Hears what comes: whoever says how far it is, is alive, whether it loads, reads or lets others go first.
    pub(crate) fn hear(&mut self, event: &Event) {
        self.heard = Instant::now();
        match event {
            Event::Progress { n_done: 1.., .. } | Event::Round(_) => self.has_begun = true,
            Event::Piece { .. } => (self.n_ends, self.n_deaths) = (0, 0),
            Event::Part(part) if (part.round, part.n_done) > self.best_part => {
                self.best_part = (part.round, part.n_done);
                (self.n_ends, self.n_deaths) = (0, 0);
            }
            _ => {}
        }
    }

    /// When the silence is long enough for [`Asking::probe`].
    pub(crate) fn patient_until(&self) -> Instant {
        self.heard + PATIENCE
    }

    /// After a long silence: whoever still greets is alive, busy as it may be.
    ///
    /// # Errors
    /// [`ClientError::Silent`], or see [`Wait`].
    pub(crate) fn probe(&mut self, wait: &Wait) -> Result<(), ClientError> {
        match Client::open(self.socket, wait) {
            Ok(_) => self.heard = Instant::now(),
            Err(error @ ClientError::Wait(_)) => return Err(error),
            Err(_) => return Err(ClientError::Silent(self.socket.to_owned())),
        }
        Ok(())
    }

    /// The daemon has ended in the middle, `why` says how: the next one goes on behind what has come.
    ///
    /// # Errors
    /// `why` when too many have ended over this answer, or no daemon may or can be started; otherwise why there was
    /// none within a minute. See also [`Wait`].
    pub(crate) fn again(
        &mut self,
        got: &Resume,
        why: ClientError,
        wait: &Wait,
        mut say: impl FnMut(&str),
    ) -> Result<Client> {
        if let Request::Generate(request) = &mut self.request {
            request.resume = (!got.text.is_empty()).then(|| got.clone());
        }
        self.n_ends += usize::from(std::mem::take(&mut self.has_begun));
        let why = why.explained(self.socket);
        self.n_deaths = if matches!(why, ClientError::Died(_)) { self.n_deaths + 1 } else { 0 };
        let is_hopeless = self.n_ends >= MAX_ENDS || self.n_deaths >= MAX_DEATHS;
        let mut reason = why.into();
        while !is_hopeless && self.heard.elapsed() < self.patience {
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
            wait.pause(PAUSE).map_err(ClientError::from)?;
        }
        Err(reason)
    }
}
