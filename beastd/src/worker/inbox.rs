//! Requests and commands on their way to the worker, through one bounded inbox.

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

/// Commands to the worker. The inbox is bounded; when it is full, requests are refused.
#[derive(Debug)]
pub enum Command {
    /// A new request.
    Submit(Box<Submission>),
    /// End this request with `Cancelled` if it still runs.
    Cancel(SeqId),
    /// Compute embeddings.
    Embed(EmbedJob),
    /// Free the memory for embeddings if none are pending.
    StopEmbedding,
    /// Unload the model and reply when its memory is free. Running requests fail, so there should be none.
    Unload(oneshot::Sender<()>),
    /// Load the model in these settings and reply with the outcome. Does nothing when one is loaded.
    Load(Arc<Config>, oneshot::Sender<Result<(), WireError>>),
    /// Fail all requests and end.
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

/// What accompanies a request to the worker.
#[derive(Debug)]
pub struct Ticket {
    /// When the request was complete, see [`crate::clock::now_us`].
    pub arrived_us: u64,
    /// Since when it waits for a slot: later, where parts of a long input were answered before.
    pub waits_since_us: u64,
    /// Sent when the request gets a slot.
    pub started: Event,
    /// Keeps the model loaded until the answer has been computed, whether or not it has been read.
    pub lease: Option<Lease>,
}

impl Submission {
    /// Fails the request.
    pub fn fail(self, error: WireError) {
        // The client may be gone.
        let _ = self.events.try_send(Event::Failed(error));
    }
}

/// Capacity of the inbox, which the worker empties after each step.
const INBOX_LEN: usize = 256;

/// The worker's end of the channel for commands.
#[derive(Debug)]
pub struct Inbox {
    /// In the order of arrival.
    pub commands: mpsc::Receiver<Command>,
    /// Signals new commands, so that a long step can end early.
    pub(super) interrupt: Arc<Interrupt>,
}

/// The sessions' end of the channel for commands.
#[derive(Debug, Clone)]
pub struct WorkerHandle {
    pub(super) inbox: mpsc::Sender<Command>,
    pub(super) interrupt: Arc<Interrupt>,
    pub(super) timer: Timer,
    next_id: Arc<AtomicU64>,
}

impl WorkerHandle {
    /// A handle and its inbox.
    pub fn new() -> (Self, Inbox) {
        let (inbox, commands) = mpsc::channel(INBOX_LEN);
        let interrupt = Arc::<Interrupt>::default();
        let timer = Timer::default();
        (
            Self { inbox, interrupt: Arc::clone(&interrupt), timer, next_id: Arc::default() },
            Inbox { commands, interrupt },
        )
    }

    /// Submits a request. Dropping the receiver cancels it. Its events are `Queued`, `Started` (the ticket's),
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

    /// Cancels a request.
    pub async fn cancel(&self, id: SeqId) {
        // A worker that has ended has cancelled everything.
        let _ = self.inbox.send(Command::Cancel(id)).await;
        self.interrupt.announce_end();
    }

    /// Unloads the model; returns when its memory is free.
    ///
    /// # Errors
    /// [`ErrorCode::ShuttingDown`] when the worker has ended.
    pub async fn unload(&self) -> Result<(), WireError> {
        self.ask(Command::Unload).await
    }

    /// Loads the model in these settings.
    ///
    /// # Errors
    /// Why it cannot be loaded; [`ErrorCode::ShuttingDown`] when the worker has ended.
    pub async fn load(&self, config: Arc<Config>) -> Result<(), WireError> {
        self.ask(|loaded| Command::Load(config, loaded)).await?
    }

    /// Sends a command and waits for its reply, which is missing only when the thread has ended.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, WireError> {
        let (answer, answered) = oneshot::channel();
        let _ = self.inbox.send(command(answer)).await;
        answered.await.map_err(|_| shutting_down())
    }

    /// Stops the worker.
    pub async fn stop(&self) {
        let _ = self.inbox.send(Command::Stop).await;
        self.interrupt.announce_end();
    }
}

/// The error for a request that arrives during shutdown.
pub fn shutting_down() -> WireError {
    WireError::new(ErrorCode::ShuttingDown, "beastd is shutting down; try: repeat the request in a moment")
}

pub(super) fn overloaded() -> WireError {
    WireError::new(ErrorCode::Overloaded, "beastd's queue is full; try: repeat the request in a moment")
}
