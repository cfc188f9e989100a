//! From nothing to a model that answers: runs on the worker's thread, reports each stage, then becomes the worker.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use beast_protocol::{ErrorCode, LoadStage, Model, Notice, NoticeKind, Stage, WireError};
use tokio::sync::{mpsc, oneshot, watch};

use crate::admission::Admission;
use crate::clock::now_us;
use crate::config::Config;
use crate::engine::{self, ContextOptions, LlamaEngine, LlamaVocab, LoadedModel, ModelOptions, Vocab};
use crate::governor::Governor;
use crate::logging;
use crate::metrics::Metrics;
use crate::model;
use crate::scheduler::Limits;
use crate::template::ChatTemplate;
use crate::worker::{Command, Worker, WorkerHandle};

/// How far loading is.
#[derive(Clone)]
pub enum LoadState {
    /// On its way.
    Loading {
        /// What is being done.
        stage: LoadStage,
        /// The share of this stage that is done, 0 to 1.
        fraction: f32,
    },
    /// Requests can be admitted.
    Ready(Arc<Ready>),
    /// There will be no model.
    Failed(WireError),
}

/// A model that answers.
pub struct Ready {
    /// Its door.
    pub admission: Admission,
    /// Its description.
    pub model: Model,
    /// The bounds of its plans.
    pub limits: Limits,
    /// What users should know.
    pub notices: Vec<Notice>,
    told: AtomicBool,
}

impl Ready {
    /// What to tell the next request: warnings each time, the rest once in the life of a daemon, or it would be nagging.
    pub fn notices_to_tell(&self) -> Vec<Notice> {
        let told = self.told.swap(true, Relaxed);
        self.notices.iter().filter(|notice| !told || notice.kind == NoticeKind::Warning).cloned().collect()
    }
}

/// Reports the stages of loading, each with its time.
#[derive(Clone)]
pub struct Progress {
    state: Arc<watch::Sender<LoadState>>,
    stages: Arc<Mutex<Vec<Stage>>>,
    abandoned: Arc<AtomicBool>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Nothing is loaded yet.
    pub fn new() -> Self {
        let state = LoadState::Loading { stage: LoadStage::ProcessStart, fraction: 0.0 };
        Self { state: Arc::new(watch::Sender::new(state)), stages: Arc::default(), abandoned: Arc::default() }
    }

    /// How far loading is, now and later.
    pub fn watch(&self) -> watch::Receiver<LoadState> {
        self.state.subscribe()
    }

    /// The finished stages.
    pub fn stages(&self) -> Vec<Stage> {
        self.stages.lock().map(|stages| stages.clone()).unwrap_or_default()
    }

    /// Notes a finished stage.
    pub fn finished(&self, stage: LoadStage, us: u64) {
        tracing::info!(stage = stage.label(), ms = us / 1000, "loaded");
        if let Ok(mut stages) = self.stages.lock() {
            stages.push(Stage { stage, us });
        }
    }

    /// Ends the reading of weights at the next opportunity: the daemon goes before it was ready.
    pub fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
    }

    /// Does a stage and notes its time.
    fn stage<T, E>(&self, stage: LoadStage, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.at(stage, 0.0);
        let began_us = now_us();
        let outcome = work()?;
        self.finished(stage, now_us() - began_us);
        Ok(outcome)
    }

    fn at(&self, stage: LoadStage, fraction: f32) {
        self.state.send_replace(LoadState::Loading { stage, fraction });
    }
}

/// Starts the thread. The receiver gets the worker's outcome when it ends: an error means that the process should end too.
pub fn spawn(
    config: Arc<Config>,
    progress: Progress,
    metrics: Arc<Metrics>,
) -> (WorkerHandle, oneshot::Receiver<Result<(), WireError>>) {
    let (handle, inbox) = WorkerHandle::new();
    let (ended, outcome) = oneshot::channel();
    let body = move || {
        let result = load_and_work(&config, &progress, metrics, inbox);
        if let Err(error) = &result {
            tracing::error!(%error, "the model is gone");
            progress.state.send_replace(LoadState::Failed(error.clone()));
        }
        // Nobody waits for it during a shutdown.
        let _ = ended.send(result);
    };
    std::thread::Builder::new().name("worker".into()).spawn(body).expect("the system gives a daemon one thread");
    (handle, outcome)
}

fn load_and_work(
    config: &Config,
    progress: &Progress,
    metrics: Arc<Metrics>,
    inbox: mpsc::Receiver<Command>,
) -> Result<(), WireError> {
    let unavailable = |error: &dyn std::fmt::Display| {
        let reason = logging::take_engine_error().map_or(String::new(), |reason| format!(" (llama.cpp: {reason})"));
        WireError::new(ErrorCode::ModelUnavailable, format!("{error}{reason}"))
    };
    engine::log_to_tracing();
    let located =
        progress.stage(LoadStage::ModelFile, || model::locate(&config.model)).map_err(|error| unavailable(&error))?;
    let options = ModelOptions {
        path: located.path.clone(),
        n_gpu_layers: u32::try_from(config.n_gpu_layers).ok(),
        mmap: config.mmap,
    };
    let reporter = progress.clone();
    let report = move |share| {
        reporter.at(LoadStage::Weights, share);
        !reporter.abandoned.load(Relaxed)
    };
    let loaded =
        progress.stage(LoadStage::Weights, || engine::load(&options, report)).map_err(|error| unavailable(&error))?;
    let loaded = Arc::new(loaded);

    let n_ctx = config.n_ctx.min(loaded.n_ctx_train() as usize);
    let on_gpu = loaded.n_gpu_layers() > 0;
    let limits = Limits {
        n_slots: config.n_slots,
        n_prefixes: config.n_prefixes,
        n_cells: config.n_cells(n_ctx),
        n_batch: config.n_batch,
        prefill_chunk: config.prefill_chunk(on_gpu),
        n_waiting: config.max_waiting,
    };
    let context = ContextOptions {
        n_cells: limits.n_cells,
        n_places: limits.n_slots + limits.n_prefixes,
        n_batch: limits.n_batch,
        // One graph pass holds a chunk and no more: larger compute buffers would never be used.
        n_ubatch: limits.prefill_chunk.max(limits.n_slots),
        n_threads: config.n_threads(),
    };
    let mut engine = progress
        .stage(LoadStage::Context, || LlamaEngine::new(&loaded, &context))
        .map_err(|error| unavailable(&error))?;
    let vocab: Arc<dyn Vocab> = Arc::new(LlamaVocab::new(Arc::clone(&loaded)));
    let first = vocab.tokenize("a", false, false).first().copied().unwrap_or(crate::batch::Token(0));
    progress.stage(LoadStage::WarmUp, || engine.warm_up(first, on_gpu)).map_err(|error| unavailable(&error))?;

    let ready = describe(config, &loaded, &vocab, limits, n_ctx, located.is_builtin);
    progress.state.send_replace(LoadState::Ready(Arc::new(ready)));
    // A GPU does not wait for the CPU's threads.
    let n_governed = if config.governor && !on_gpu { context.n_threads } else { 1 };
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let governor = Governor::new(n_governed, n_cores);
    let worker = Worker::new(engine, vocab, limits, n_ctx, governor, inbox, metrics);
    worker.run().map_err(|error| WireError::new(ErrorCode::Engine, format!("the engine failed: {error}")))
}

fn describe(
    config: &Config,
    loaded: &LoadedModel,
    vocab: &Arc<dyn Vocab>,
    limits: Limits,
    n_ctx: usize,
    is_builtin: bool,
) -> Ready {
    let mut notices = Vec::new();
    let mut notice = |kind, text: String| notices.push(Notice { kind, text });
    if is_builtin && config.model == "auto" {
        notice(NoticeKind::Info, model::builtin_notice());
    }
    if n_ctx < config.n_ctx {
        notice(NoticeKind::Info, format!("the context is {n_ctx} tokens: the model was trained for no more"));
    }
    let template = match loaded.chat_template() {
        None => {
            notice(NoticeKind::Warning, "the model has no chat template: the prompt goes to it as plain text".into());
            None
        }
        Some(source) => match ChatTemplate::new(source, vocab.bos_text(), vocab.eos_text()) {
            Ok(template) => Some(template),
            Err(error) => {
                let text =
                    format!("the model's chat template cannot be read ({error}): the prompt goes to it as plain text");
                notice(NoticeKind::Warning, text);
                None
            }
        },
    };
    let name = loaded.name();
    let defaults = model::sampling_defaults(&name, |key| loaded.meta(key));
    let model = Model {
        name,
        path: loaded.path().display().to_string(),
        n_bytes: loaded.n_bytes(),
        n_params: loaded.n_params(),
        n_layers: loaded.n_layers(),
        n_gpu_layers: loaded.n_gpu_layers(),
        backend: loaded.backend().to_owned(),
        n_ctx: u32::try_from(n_ctx).unwrap_or(u32::MAX),
        n_ctx_train: loaded.n_ctx_train(),
        has_chat_template: template.is_some(),
    };
    let admission = Admission::new(Arc::clone(vocab), template, defaults, n_ctx, config.max_tokens);
    Ready { admission, model, limits, notices, told: AtomicBool::new(false) }
}
