//! Texts that become embeddings, a chunk a round, so that whoever generates goes on in between. Knows no pooling and no
//! llama.cpp.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use beast_protocol::{ErrorCode, WireError};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::inbox::{Command, WorkerHandle, overloaded, shutting_down};
use super::{Engine, EngineError, Metrics, Worker};
use crate::batch::Token;
use crate::clock::now_us;
use crate::scheduler::Limits;

/// What the engine needs for embeddings is freed when none were asked for as long as this.
pub const IDLE: Duration = Duration::from_secs(60);

/// Texts on their way to becoming vectors.
#[derive(Debug)]
pub struct EmbedJob {
    inputs: Vec<Vec<Token>>,
    answer: oneshot::Sender<Result<Vec<Vec<f32>>, WireError>>,
}

/// One of them, and how far it is.
struct Running {
    job: EmbedJob,
    vectors: Vec<Vec<f32>>,
}

/// Those that the worker has.
pub(super) struct Embeddings {
    jobs: VecDeque<Running>,
    /// Tokens of the present text of the first job that are computed.
    n_done: usize,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Embeddings {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self { jobs: VecDeque::new(), n_done: 0, limits, metrics }
    }

    /// The end of a job, which counts as a request like any other. Who is gone needs no answer.
    fn end(&self, job: EmbedJob, outcome: Result<Vec<Vec<f32>>, WireError>) {
        Metrics::add(&self.metrics.n_requests, 1);
        drop(job.answer.send(outcome));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Texts that are not computed yet.
    pub(super) fn n_inputs(&self) -> usize {
        self.jobs.iter().map(Running::n_left).sum()
    }

    /// Takes a job in, or refuses it. A job that is alone may be larger than the queue: it would be refused for ever.
    pub(super) fn add(&mut self, job: EmbedJob, n_ctx: usize, n_vocab: usize) {
        let n_waiting = self.n_inputs();
        let outcome = check(&job.inputs, n_ctx, n_vocab).and_then(|()| {
            let is_full = n_waiting > 0 && n_waiting + job.inputs.len() > self.limits.n_waiting;
            if is_full { Err(overloaded()) } else { Ok(()) }
        });
        match outcome {
            Err(error) => self.end(job, Err(error)),
            Ok(()) if job.inputs.is_empty() => self.end(job, Ok(Vec::new())),
            Ok(()) => self.jobs.push_back(Running { job, vectors: Vec::new() }),
        }
    }

    /// Ends all of them.
    pub(super) fn fail(&mut self, error: &WireError) {
        for Running { job, .. } in std::mem::take(&mut self.jobs) {
            self.end(job, Err(error.clone()));
        }
        self.n_done = 0;
    }

    /// Forgets those that nobody waits for.
    fn drop_abandoned(&mut self) {
        if self.jobs.front().is_some_and(Running::is_abandoned) {
            self.n_done = 0;
        }
        let n_jobs = self.jobs.len();
        self.jobs.retain(|running| !running.is_abandoned());
        Metrics::add(&self.metrics.n_requests, (n_jobs - self.jobs.len()) as u64);
    }

    /// The present text has its vector: the next text is another job's, if there is one.
    fn finished(&mut self, vector: Vec<f32>) {
        self.n_done = 0;
        let Some(mut running) = self.jobs.pop_front() else { return };
        running.vectors.push(vector);
        if running.n_left() > 0 {
            self.jobs.push_back(running);
        } else {
            self.end(running.job, Ok(running.vectors));
        }
    }
}

impl Running {
    fn n_left(&self) -> usize {
        self.job.inputs.len() - self.vectors.len()
    }

    fn is_abandoned(&self) -> bool {
        self.job.answer.is_closed()
    }
}

impl<E: Engine> Worker<'_, E> {
    /// Computes the next chunk, if there is any.
    pub(super) fn embed(&mut self) -> Result<(), EngineError> {
        self.embeddings.drop_abandoned();
        let Embeddings { jobs, n_done, limits, .. } = &mut self.embeddings;
        let Some(running) = jobs.front() else { return Ok(()) };
        let text = &running.job.inputs[running.vectors.len()];
        // Halved while others generate, like a prompt's.
        let is_alone = self.scheduler.is_idle();
        let n_chunk = if is_alone { limits.prefill_chunk } else { limits.prefill_chunk.div_ceil(2) };
        let chunk = *n_done..text.len().min(*n_done + n_chunk);
        let (n_tokens, end, began_us) = (chunk.len(), chunk.end, now_us());
        let outcome = self.engine.embed(text, chunk);
        Metrics::add(&self.metrics.busy_us, now_us() - began_us);
        match outcome {
            Ok(vector) => {
                *n_done = end;
                Metrics::add(&self.metrics.n_prompt_tokens, n_tokens as u64);
                self.metrics.stepped(1, 0);
                if let Some(vector) = vector {
                    self.embeddings.finished(vector);
                }
                Ok(())
            }
            Err(EngineError::NoEmbeddings(reason)) => {
                let text = format!("the engine failed: {reason}");
                self.embeddings.fail(&WireError::new(ErrorCode::Engine, text));
                Ok(())
            }
            Err(error) => self.break_down(error),
        }
    }

    pub(super) fn stop_embedding(&mut self) {
        if self.embeddings.is_empty() {
            self.engine.stop_embedding();
        }
    }
}

impl WorkerHandle {
    /// The embedding of each of these texts, in order: vectors of length one. Dropping the future cancels it.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] for a text without tokens, [`ErrorCode::TooLong`] with both sizes,
    /// [`ErrorCode::Overloaded`] when too many wait, [`ErrorCode::ShuttingDown`] when the worker has ended or has no
    /// model, [`ErrorCode::Engine`].
    pub async fn embed(&self, inputs: Vec<Vec<Token>>) -> Result<Vec<Vec<f32>>, WireError> {
        let (answer, answered) = oneshot::channel();
        let n_tokens = inputs.iter().map(Vec::len).sum();
        self.try_send(Command::Embed(EmbedJob { inputs, answer }))?;
        self.interrupt.announce(n_tokens);
        let _timed = self.timer.begin(self.inbox.downgrade());
        answered.await.map_err(|_| shutting_down())?
    }
}

fn check(inputs: &[Vec<Token>], n_ctx: usize, n_vocab: usize) -> Result<(), WireError> {
    let is_known = |token: &Token| usize::try_from(token.0).is_ok_and(|n| n < n_vocab);
    for (nth, input) in inputs.iter().enumerate() {
        let name = if inputs.len() == 1 { "the input".to_owned() } else { format!("input {nth}") };
        let invalid = |text: String| Err(WireError::new(ErrorCode::Invalid, text));
        if input.is_empty() {
            return invalid(format!("{name} is empty; try: some text"));
        }
        if input.len() > n_ctx {
            let n = input.len();
            // In words that clients of llama-server look for.
            let text = format!(
                "{name} ({n} tokens) exceeds the available context size ({n_ctx} tokens); try: less text, or a larger \
                 n_ctx"
            );
            return Err(WireError::new(ErrorCode::TooLong, text).with_sizes(n, n_ctx));
        }
        if let Some(Token(token)) = input.iter().find(|token| !is_known(token)) {
            return invalid(format!("{name} has token {token}; the vocabulary has {n_vocab}"));
        }
    }
    Ok(())
}

/// Tells the worker when nobody has wanted embeddings for a while. The worker has no clock of its own to wake it.
#[derive(Debug, Clone, Default)]
pub(super) struct Timer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    n_jobs: AtomicU64,
    is_running: AtomicBool,
}

impl Timer {
    /// A job begins; the time runs from when what is returned is dropped.
    fn begin(&self, inbox: mpsc::WeakSender<Command>) -> Timed {
        self.0.n_jobs.fetch_add(1, Relaxed);
        Timed { timer: self.clone(), inbox }
    }

    /// Waits until no job has begun or ended for a while.
    async fn run(self, inbox: mpsc::WeakSender<Command>) {
        loop {
            let n_jobs = self.0.n_jobs.load(Relaxed);
            tokio::time::sleep(IDLE).await;
            if self.0.n_jobs.load(Relaxed) == n_jobs {
                break;
            }
        }
        self.0.is_running.store(false, Relaxed);
        if let Some(inbox) = inbox.upgrade() {
            let _ = inbox.send(Command::StopEmbedding).await;
        }
    }
}

/// A job that is being computed.
struct Timed {
    timer: Timer,
    inbox: mpsc::WeakSender<Command>,
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.timer.0.n_jobs.fetch_add(1, Relaxed);
        // Without a runtime nothing is left to wait in.
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.timer.0.is_running.swap(true, Relaxed) {
            drop(runtime.spawn(self.timer.clone().run(self.inbox.clone())));
        }
    }
}

#[cfg(test)]
#[path = "embedding_tests.rs"]
mod tests;
