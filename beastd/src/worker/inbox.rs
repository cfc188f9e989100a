//! What reaches the worker: admitted requests and commands, through one bounded inbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use beast_protocol::{ErrorCode, Event, WireError};
use tokio::sync::{mpsc, oneshot};

use super::embedding::{EmbedJob, Timer};
use crate::admitted::Admitted;
use crate::batch::SeqId;
use crate::config::Config;
use crate::interrupt::Interrupt;
use crate::lease::Lease;
use crate::stream::channel;

/// Commands to the worker. Bounded: who finds the inbox full is refused.
#[derive(Debug)]
pub enum Command {
    /// A new request.
    Submit(Box<Submission>),
    /// End this request with `Cancelled`, if it still lives.
    Cancel(SeqId),
    /// Compute embeddings.
    Embed(EmbedJob),
    /// Free the memory that embeddings take, if none are wanted.
    StopEmbedding,
    /// Give the model back, and answer when its memory is free; whatever lives fails, so nothing should.
    Unload(oneshot::Sender<()>),
    /// Load the model that these settings name, and answer what came of it; nothing happens when one is loaded.
    Load(Arc<Config>, oneshot::Sender<Result<(), WireError>>),
    /// Fail whatever lives and end.
    Stop,
}

/// A request on its way to the worker.
#[derive(Debug)]
pub struct Submission {
    pub(super) id: SeqId,
    pub(super) admitted: Admitted,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) ticket: Ticket,
}

/// What goes with a request to the worker.
#[derive(Debug)]
pub struct Ticket {
    /// When it was complete, see [`crate::clock::now_us`].
    pub arrived_us: u64,
    /// What is said when the request has a slot.
    pub started: Event,
    /// Keeps the model until the answer has been computed, read or not.
    pub lease: Option<Lease>,
}

impl Submission {
    /// Refuses it.
    pub fn fail(self, error: WireError) {
        // Who is gone needs no answer.
        let _ = self.events.try_send(Event::Failed(error));
    }
}

/// Commands that may wait for the worker to look; it looks after each step.
const INBOX_LEN: usize = 256;

/// What reaches the worker.
#[derive(Debug)]
pub struct Inbox {
    /// In the order of arrival.
    pub commands: mpsc::Receiver<Command>,
    /// Told what comes, so that a long step can end early.
    pub(super) interrupt: Arc<Interrupt>,
}

/// How sessions reach the worker.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    pub(super) inbox: mpsc::Sender<Command>,
    pub(super) interrupt: Arc<Interrupt>,
    pub(super) timer: Timer,
    next_id: Arc<AtomicU64>,
}

impl WorkerHandle {
    /// A handle and the inbox that belongs to it.
    pub fn new() -> (Self, Inbox) {
        let (inbox, commands) = mpsc::channel(INBOX_LEN);
        let interrupt = Arc::<Interrupt>::default();
        let timer = Timer::default();
        (
            Self { inbox, interrupt: Arc::clone(&interrupt), timer, next_id: Arc::default() },
            Inbox { commands, interrupt },
        )
    }

    /// Hands a request over. Dropping the receiver cancels it. What it says is `Queued`, `Started` (the ticket's),
    /// `Progress`, `Piece` and one `Done` or `Failed`.
    ///
    /// # Errors
    /// [`ErrorCode::Overloaded`] when the inbox is full, [`ErrorCode::ShuttingDown`] when the worker has ended.
    pub fn submit(&self, admitted: Admitted, ticket: Ticket) -> Result<(SeqId, mpsc::Receiver<Event>), WireError> {
        let id = SeqId(self.next_id.fetch_add(1, Relaxed));
        let (events, received) = channel(admitted.n_max_tokens);
        let n_tokens = admitted.prompt.len() + admitted.resumed.tokens.len();
        let is_background = admitted.is_background;
        let submission = Submission { id, admitted, events, ticket };
        self.try_send(Command::Submit(Box::new(submission)))?;
        if !is_background {
            self.interrupt.announce(n_tokens);
        }
        Ok((id, received))
    }

    pub(super) fn try_send(&self, command: Command) -> Result<(), WireError> {
        self.inbox.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded(),
            mpsc::error::TrySendError::Closed(_) => shutting_down(),
        })
    }

    /// Asks for the end of a request.
    pub async fn cancel(&self, id: SeqId) {
        // A worker that has ended has cancelled everything.
        let _ = self.inbox.send(Command::Cancel(id)).await;
        self.interrupt.announce_end();
    }

    /// Gives the model back; returns when its memory is free.
    ///
    /// # Errors
    /// [`ErrorCode::ShuttingDown`] when the worker has ended.
    pub async fn unload(&self) -> Result<(), WireError> {
        self.ask(Command::Unload).await
    }

    /// Loads the model that these settings name.
    ///
    /// # Errors
    /// Why it cannot be loaded; [`ErrorCode::ShuttingDown`] when the worker has ended.
    pub async fn load(&self, config: Arc<Config>) -> Result<(), WireError> {
        self.ask(|loaded| Command::Load(config, loaded)).await?
    }

    /// A command whose end somebody waits for: it is dropped unanswered only with the thread.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, WireError> {
        let (answer, answered) = oneshot::channel();
        let _ = self.inbox.send(command(answer)).await;
        answered.await.map_err(|_| shutting_down())
    }

    /// Asks for the end of everything.
    pub async fn stop(&self) {
        let _ = self.inbox.send(Command::Stop).await;
        self.interrupt.announce_end();
    }
}

/// What is told to a request that comes while the daemon goes.
pub fn shutting_down() -> WireError {
    WireError::new(ErrorCode::ShuttingDown, "beastd is shutting down; try: again in a moment")
}

pub(super) fn overloaded() -> WireError {
    WireError::new(ErrorCode::Overloaded, "beastd has too many waiting requests; try: again in a moment")
}
