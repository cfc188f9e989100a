//! Computes embeddings one chunk per round, of one long text or several short ones, so that generation continues in
//! between. Knows no pooling and no llama.cpp.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::ops::Range;
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
use crate::engine::{MAX_PIECES, Piece};
use crate::scheduler::Limits;

/// After this long without embeddings, the engine frees their memory.
pub const IDLE: Duration = Duration::from_secs(60);

/// Most tokens of all jobs together, unless there is only one: 16 MiB.
const MAX_WAITING: usize = 4 << 20;

/// Texts to embed.
#[derive(Debug)]
pub struct EmbedJob {
    inputs: Vec<Vec<Token>>,
    answer: oneshot::Sender<Result<Vec<Vec<f32>>, WireError>>,
}

/// A job and its progress.
struct Running {
    id: u64,
    job: EmbedJob,
    /// Indexes of its texts that have not begun, the longest first: a step costs least if the texts that share it have
    /// the same length.
    waiting: Vec<usize>,
    /// Empty for a text that is not finished.
    vectors: Vec<Vec<f32>>,
    n_left: usize,
}

/// A text, or a part of one, for the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    job: u64,
    nth: usize,
    chunk: Range<usize>,
}

/// The worker's embedding jobs.
pub(super) struct Embeddings {
    jobs: VecDeque<Running>,
    n_jobs: u64,
    /// The text that the last step left unfinished, and where it continues.
    open: Option<Part>,
    limits: Limits,
    metrics: Arc<Metrics>,
}

impl Embeddings {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self { jobs: VecDeque::new(), n_jobs: 0, open: None, limits, metrics }
    }

    /// Ends a job; it counts as a request. The client may be gone.
    fn end(&self, job: EmbedJob, outcome: Result<Vec<Vec<f32>>, WireError>) {
        Metrics::add(&self.metrics.n_requests, 1);
        drop(job.answer.send(outcome));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn n_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Accepts or refuses a job. A lone job may be larger than the queue: otherwise it could never run.
    pub(super) fn add(&mut self, job: EmbedJob, n_ctx: usize, n_vocab: usize) {
        let n_tokens = |job: &EmbedJob| job.inputs.iter().map(Vec::len).sum::<usize>();
        let outcome = check(&job.inputs, n_ctx, n_vocab).and_then(|()| {
            let n_waiting: usize = self.jobs.iter().map(|running| n_tokens(&running.job)).sum();
            let has_room = self.jobs.len() < self.limits.n_waiting && n_waiting + n_tokens(&job) <= MAX_WAITING;
            if self.jobs.is_empty() || has_room { Ok(()) } else { Err(overloaded()) }
        });
        match outcome {
            Err(error) => self.end(job, Err(error)),
            Ok(()) if job.inputs.is_empty() => self.end(job, Ok(Vec::new())),
            Ok(()) => {
                self.n_jobs += 1;
                self.jobs.push_back(Running::new(self.n_jobs, job));
            }
        }
    }

    /// Fails all jobs.
    pub(super) fn fail(&mut self, error: &WireError) {
        for Running { job, .. } in std::mem::take(&mut self.jobs) {
            self.end(job, Err(error.clone()));
        }
        self.open = None;
    }

    /// Drops jobs whose client is gone.
    fn drop_abandoned(&mut self) {
        let n_jobs = self.jobs.len();
        self.jobs.retain(|running| !running.job.answer.is_closed());
        Metrics::add(&self.metrics.n_requests, (n_jobs - self.jobs.len()) as u64);
        self.open.take_if(|open| !self.jobs.iter().any(|running| running.id == open.job));
    }

    /// The parts for the next step: the rest of the unfinished text, then whole texts while there is room for `n_chunk`
    /// tokens. A text longer than that starts in a step of its own. Jobs take turns.
    fn next(&mut self, n_chunk: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(open) = self.open.take() {
            let len = self.text(&open).len();
            parts.push(Part { chunk: open.chunk.start..len.min(open.chunk.start + n_chunk), ..open });
        }
        let mut room = n_chunk - parts.iter().map(|part: &Part| part.chunk.len()).sum::<usize>();
        while parts.len() < MAX_PIECES
            && let Some(at) = self.jobs.iter().position(|running| !running.waiting.is_empty())
        {
            let running = &mut self.jobs[at];
            let nth = running.waiting[0];
            let len = running.job.inputs[nth].len();
            if len > room && !parts.is_empty() {
                break;
            }
            running.waiting.remove(0);
            parts.push(Part { job: running.id, nth, chunk: 0..len.min(room) });
            room -= len.min(room);
            self.jobs.rotate_left(at + 1);
        }
        parts
    }

    fn text(&self, part: &Part) -> &[Token] {
        let running = self.jobs.iter().find(|running| running.id == part.job).expect("a planned job is there");
        &running.job.inputs[part.nth]
    }

    /// Records a computed part; `vector` is the embedding of its text if the text ends here.
    fn computed(&mut self, part: Part, vector: Option<Vec<f32>>) {
        let Some(vector) = vector else {
            self.open = Some(Part { chunk: part.chunk.end..part.chunk.end, ..part });
            return;
        };
        let Some(at) = self.jobs.iter().position(|running| running.id == part.job) else { return };
        let running = &mut self.jobs[at];
        running.vectors[part.nth] = vector;
        running.n_left -= 1;
        if running.n_left == 0
            && let Some(running) = self.jobs.remove(at)
        {
            self.end(running.job, Ok(running.vectors));
        }
    }
}

impl Running {
    fn new(id: u64, job: EmbedJob) -> Self {
        let n_left = job.inputs.len();
        let mut waiting: Vec<usize> = (0..n_left).collect();
        waiting.sort_by_key(|&nth| Reverse(job.inputs[nth].len()));
        Self { id, job, waiting, vectors: vec![Vec::new(); n_left], n_left }
    }
}

impl<E: Engine> Worker<'_, E> {
    /// Computes the next texts, if any.
    pub(super) fn embed(&mut self) -> Result<(), EngineError> {
        self.embeddings.drop_abandoned();
        // Halved while answers are being generated, as for prompts.
        let n_chunk = self.embeddings.limits.prefill_chunk.div_ceil(if self.scheduler.is_idle() { 1 } else { 2 });
        let parts = self.embeddings.next(n_chunk);
        if parts.is_empty() {
            return Ok(());
        }
        let piece = |part: &Part| Piece { text: self.embeddings.text(part), chunk: part.chunk.clone() };
        let pieces: Vec<Piece<'_>> = parts.iter().map(piece).collect();
        let (n_tokens, began_us) = (parts.iter().map(|part| part.chunk.len() as u64).sum(), now_us());
        let outcome = self.engine.embed(&pieces);
        Metrics::add(&self.metrics.busy_us, now_us() - began_us);
        match outcome {
            Ok(vectors) => {
                Metrics::add(&self.metrics.n_prompt_tokens, n_tokens);
                self.metrics.stepped(1, 0);
                parts.into_iter().zip(vectors).for_each(|(part, vector)| self.embeddings.computed(part, vector));
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
    /// The embeddings of these texts, in order, normalized to length 1. Dropping the future cancels them.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] for a text without tokens, [`ErrorCode::TooLong`] with both sizes,
    /// [`ErrorCode::Overloaded`] when the queue is full, [`ErrorCode::ShuttingDown`] when the worker has ended or has
    /// no model, [`ErrorCode::Engine`].
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
            return invalid(format!("{name} is empty; try: send some text"));
        }
        if input.len() > n_ctx {
            let n = input.len();
            // Clients of llama-server look for these words.
            let text = format!(
                "{name} ({n} tokens) exceeds the available context size ({n_ctx} tokens); try: shorten it, or raise \
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

/// Tells the worker when no embeddings have been requested for a while; the worker has no timer of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Timer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    n_jobs: AtomicU64,
    is_running: AtomicBool,
}

impl Timer {
    /// Marks a job as running; the idle time starts when the returned guard is dropped.
    fn begin(&self, inbox: mpsc::WeakSender<Command>) -> Timed {
        self.0.n_jobs.fetch_add(1, Relaxed);
        Timed { timer: self.clone(), inbox }
    }

    /// Waits until no job has started or ended for a while.
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

/// Guard of a running job.
struct Timed {
    timer: Timer,
    inbox: mpsc::WeakSender<Command>,
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.timer.0.n_jobs.fetch_add(1, Relaxed);
        // The wait needs a runtime.
        let Ok(runtime) = Handle::try_current() else { return };
        if !self.timer.0.is_running.swap(true, Relaxed) {
            drop(runtime.spawn(self.timer.clone().run(self.inbox.clone())));
        }
    }
}

#[cfg(test)]
#[path = "embedding_tests.rs"]
mod tests;
