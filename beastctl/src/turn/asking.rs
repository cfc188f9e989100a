//! A request and its daemon, or the next daemon if that one ends early.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use beast_protocol::{ErrorCode, Event, Generate, Request, Resume};

use crate::{
    client::{Client, ClientError},
    exit::Result,
    numbers::time,
    start::{self, StartError},
    wait::Wait,
};

/// How long the daemon may be silent before we check that it still answers handshakes, and how long to look for
/// another daemon. `BEAST_PATIENCE` sets the latter.
const PATIENCE: Duration = Duration::from_secs(60);
/// Interval between attempts to reach a daemon.
const PAUSE: Duration = Duration::from_millis(100);
/// After this many daemons have ended on this answer without a new token, the request is to blame.
const MAX_ENDS: usize = 30;
/// The same for daemons that gave a reason, such as lack of memory.
const MAX_DEATHS: usize = 3;
/// The same for daemons that ended while they loaded the model, for example because the kernel killed them when memory
/// ran out.
const MAX_LOADS: usize = 5;

/// Who hears the events of an answer.
pub(crate) trait Listener {
    /// Whether the answer is complete.
    fn is_done(&self) -> bool;

    /// What the next daemon needs to resume.
    fn got(&self) -> &Resume;

    /// Takes the next event.
    fn take(&mut self, event: Event) -> Result<()>;

    /// When to call [`Listener::show`] without an event.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Shows progress.
    fn show(&mut self) {}

    /// The daemon has ended, and the next one is looked for.
    fn resume(&mut self) {}
}

/// A request in progress. Kept until its answer is complete, since it may have to be sent again.
pub(crate) struct Asking<'a> {
    socket: &'a Path,
    may_start: bool,
    request: Request,
    patience: Duration,
    heard: Instant,
    /// Whether the current daemon has begun to compute.
    has_begun: bool,
    /// Daemons that have ended without a new token.
    n_ends: usize,
    /// Consecutive daemons that ended with a reason that also applies to the next one.
    n_deaths: usize,
    is_loading: bool,
    /// Consecutive daemons that ended while they loaded the model.
    n_loads: usize,
    /// The furthest part of a long input that has been answered, as round and number: each daemon starts over.
    best_part: (u32, u32),
}

impl<'a> Asking<'a> {
    pub(crate) fn new(socket: &'a Path, may_start: bool, request: Generate) -> Self {
        let (request, heard) = (Request::Generate(request), Instant::now());
        let patience = std::env::var("BEAST_PATIENCE").ok().and_then(|text| time(&text)).unwrap_or(PATIENCE);
        Self {
            socket,
            may_start,
            request,
            patience,
            heard,
            has_begun: false,
            n_ends: 0,
            n_deaths: 0,
            is_loading: false,
            n_loads: 0,
            best_part: (0, 0),
        }
    }

    /// The request, to modify it before it is sent again.
    pub(crate) fn request(&mut self) -> &mut Generate {
        match &mut self.request {
            Request::Generate(request) => request,
            _ => unreachable!("broken invariant: nothing else is asked here"),
        }
    }

    /// Finds or starts a daemon and sends the request. `say` receives the progress of slow steps.
    pub(crate) fn send(&self, wait: &Wait, say: impl FnMut(&str)) -> Result<Client, StartError> {
        let mut client = start::connect(self.socket, self.may_start, wait, say)?;
        client.send(&self.request, wait)?;
        Ok(client)
    }

    /// Reads events until the answer is complete. If the daemon ends early, the next one resumes it.
    pub(crate) fn follow(&mut self, mut client: Client, listener: &mut impl Listener, wait: &Wait) -> Result<()> {
        while !listener.is_done() {
            let patient_until = self.patient_until();
            let due = listener.due().map_or(patient_until, |due| due.min(patient_until));
            let why = match client.next_event(wait, Some(due)) {
                // Another daemon resumes a started answer, but does not repeat a request that a stopping daemon
                // refused.
                Ok(Some(Event::Failed(error)))
                    if error.code == ErrorCode::ShuttingDown && !listener.got().tokens.is_empty() =>
                {
                    client.wait_for_end(wait)?;
                    error.into()
                }
                Ok(Some(event)) => {
                    self.hear(&event);
                    listener.take(event)?;
                    continue;
                }
                Ok(None) if Instant::now() >= patient_until => {
                    self.probe(wait)?;
                    continue;
                }
                Ok(None) => {
                    listener.show();
                    continue;
                }
                Err(error @ ClientError::Lost) => error,
                Err(error) => return Err(error.into()),
            };
            listener.resume();
            client = self.again(listener.got(), why, wait)?;
        }
        Ok(())
    }

    /// Takes an event: any progress is a sign of life.
    fn hear(&mut self, event: &Event) {
        self.heard = Instant::now();
        self.is_loading = matches!(event, Event::Loading { .. });
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

    /// When to call [`Asking::probe`].
    fn patient_until(&self) -> Instant {
        self.heard + PATIENCE
    }

    /// Checks a daemon after a long silence: one that answers a handshake is alive, however busy.
    ///
    /// # Errors
    /// [`ClientError::Silent`], or see [`Wait`].
    fn probe(&mut self, wait: &Wait) -> Result<(), ClientError> {
        match Client::open(self.socket, wait) {
            Ok(_) => self.heard = Instant::now(),
            Err(error @ ClientError::Wait(_)) => return Err(error),
            Err(_) => return Err(ClientError::Silent(self.socket.to_owned())),
        }
        Ok(())
    }

    /// Sends the request to the next daemon, after one has ended early for the reason `why`. It resumes after what
    /// has arrived.
    ///
    /// # Errors
    /// `why` when too many have ended on this answer, or no daemon may or can be started; otherwise why none was
    /// found within a minute. See also [`Wait`].
    fn again(&mut self, got: &Resume, why: ClientError, wait: &Wait) -> Result<Client> {
        if let Request::Generate(request) = &mut self.request {
            request.resume = (!got.text.is_empty()).then(|| got.clone());
        }
        self.n_ends += usize::from(std::mem::take(&mut self.has_begun));
        let why = why.explained(self.socket);
        self.n_deaths = if matches!(why, ClientError::Died(_)) { self.n_deaths + 1 } else { 0 };
        self.n_loads = if std::mem::take(&mut self.is_loading) { self.n_loads + 1 } else { 0 };
        let is_hopeless = self.n_ends >= MAX_ENDS || self.n_deaths >= MAX_DEATHS || self.n_loads >= MAX_LOADS;
        let mut reason = why.into();
        while !is_hopeless && self.heard.elapsed() < self.patience {
            match self.send(wait, |_| {}) {
                Ok(client) => return Ok(client),
                Err(StartError::Wait(error) | StartError::Client(ClientError::Wait(error))) => {
                    return Err(ClientError::from(error).into());
                }
                Err(error @ StartError::Client(ClientError::OtherVersion(_))) => return Err(error.into()),
                // That no daemon listens is expected here.
                Err(StartError::Refused(_) | StartError::Missing(_)) => break,
                Err(error) => reason = error.into(),
            }
            wait.pause(PAUSE).map_err(ClientError::from)?;
        }
        Err(reason)
    }
}
