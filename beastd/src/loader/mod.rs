//! Loads a model on the worker's thread, reports each stage, then runs the worker.

mod describe;
mod gpu;
pub mod need;
mod offload;
mod speculate;
mod tuning;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use beast_protocol::{ErrorCode, LoadStage, Model, Notice, NoticeKind, SpeculationStatus, Stage, WireError};
use tokio::sync::{oneshot, watch};

use crate::admission::Admission;
use crate::calibration::temperatures::Temperatures;
use crate::clock::now_us;
use crate::config::Config;
use crate::engine::{
    self, ContextOptions, ENGINE_BUILD, EngineError, KvType, LlamaEngine, LlamaVocab, LoadError, LoadedModel,
    ModelOptions, Vocab,
};
use crate::governor::{Crowd, Governor};
use crate::logging;
use crate::metrics::Metrics;
use crate::model_file::{self, Located};
use crate::prefix_store::{PrefixStore, StoreKey};
use crate::residents::plan::Bytes;
use crate::scheduler::Limits;
use crate::trial;
use crate::worker::{Command, Ended, Inbox, Parts, Worker, WorkerHandle};
use describe::Description;
pub use describe::ModelFacts;
use gpu::Gpu;
use speculate::{DraftFile, speculate};
use tuning::Tuning;

/// State of the model.
#[derive(Clone)]
pub enum LoadState {
    Loading {
        /// The current stage.
        stage: LoadStage,
        /// Fraction of this stage done, 0 to 1.
        fraction: f32,
    },
    /// Ready: requests can be admitted.
    Ready(Arc<Ready>),
    /// Failed for good.
    Failed(WireError),
    /// Unloaded; the next request loads it.
    Unloaded {
        /// Why the last attempt to load one failed.
        failed: Option<WireError>,
    },
}

/// A loaded model.
pub struct Ready {
    pub admission: Arc<Admission>,
    pub model: Model,
    pub limits: Limits,
    /// Its tuning for this machine.
    pub tuning: beast_protocol::Tuning,
    /// Its drafters; their counters are elsewhere.
    pub speculation: SpeculationStatus,
    /// Bytes of a cached prefix: per token, and fixed.
    pub state_bytes: (u64, u64),
    /// The memory that it takes.
    pub bytes: Bytes,
    /// Facts that outlive the loaded model.
    pub facts: Arc<ModelFacts>,
    /// Temperatures of its decisions; `None` if its file has no fingerprint.
    pub temperatures: Option<Temperatures>,
    /// Identifies the file; `None` if it cannot be read.
    pub fingerprint: Option<[u8; 32]>,
    /// Notices for users.
    pub notices: Vec<Notice>,
    told: AtomicBool,
}

impl Ready {
    /// Notices for the next request: warnings every time, others once per daemon.
    pub fn notices_to_tell(&self) -> Vec<Notice> {
        let told = self.told.swap(true, Relaxed);
        self.notices.iter().filter(|notice| !told || notice.kind == NoticeKind::Warning).cloned().collect()
    }
}

/// Reports the stages of loading and their times.
#[derive(Clone)]
pub struct Progress {
    state: Arc<watch::Sender<LoadState>>,
    stages: Arc<Mutex<Vec<Stage>>>,
    abandoned: Arc<AtomicBool>,
    last: Arc<Mutex<Option<Arc<ModelFacts>>>>,
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
        Self {
            state: Arc::new(watch::Sender::new(state)),
            stages: Arc::default(),
            abandoned: Arc::default(),
            last: Arc::default(),
        }
    }

    /// Nothing is to be loaded yet.
    pub fn unloaded() -> Self {
        let progress = Self::new();
        progress.set(LoadState::Unloaded { failed: None });
        progress
    }

    /// Watches the state.
    pub fn watch(&self) -> watch::Receiver<LoadState> {
        self.state.subscribe()
    }

    /// The finished stages.
    pub fn stages(&self) -> Vec<Stage> {
        self.stages.lock().map(|stages| stages.clone()).unwrap_or_default()
    }

    /// Records a finished stage.
    pub fn finished(&self, stage: LoadStage, us: u64) {
        tracing::info!(stage = stage.label(), ms = us / 1000, "loaded");
        if let Ok(mut stages) = self.stages.lock() {
            stages.push(Stage { stage, us });
        }
    }

    /// Aborts reading weights as soon as possible, because the daemon is ending.
    pub fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
    }

    /// Runs a stage and records its time.
    fn stage<T, E>(&self, stage: LoadStage, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.at(stage, 0.0);
        let began_us = now_us();
        let outcome = work()?;
        self.finished(stage, now_us() - began_us);
        Ok(outcome)
    }

    fn at(&self, stage: LoadStage, fraction: f32) {
        self.set(LoadState::Loading { stage, fraction });
    }

    /// The most recently loaded model, even if it has been unloaded since.
    pub fn last(&self) -> Option<Arc<ModelFacts>> {
        self.last.lock().ok().and_then(|last| last.clone())
    }

    pub(crate) fn set(&self, state: LoadState) {
        if let (LoadState::Ready(ready), Ok(mut last)) = (&state, self.last.lock()) {
            *last = Some(Arc::clone(&ready.facts));
        }
        self.state.send_replace(state);
    }

    /// Changes the state if the current one allows it; returns whether it did.
    pub(crate) fn advance(&self, next: impl FnOnce(&LoadState) -> Option<LoadState>) -> bool {
        self.state.send_if_modified(|state| next(state).map(|next| *state = next).is_some())
    }

    /// Clears the stages for the next load.
    fn forget_stages(&self) {
        if let Ok(mut stages) = self.stages.lock() {
            stages.clear();
        }
    }
}

/// What a model's thread shares with the rest of the daemon.
#[derive(Clone)]
pub struct Ties {
    pub progress: Progress,
    pub metrics: Arc<Metrics>,
    /// The daemon's workers that compute at the same time.
    pub crowd: Crowd,
}

/// Starts the thread of a model, which loads the `first` one at once, if there is one. The receiver gets the worker's
/// outcome; on an error the process should end too.
pub fn spawn(first: Option<Arc<Config>>, ties: Ties) -> (WorkerHandle, oneshot::Receiver<Result<(), WireError>>) {
    let (handle, inbox) = WorkerHandle::new();
    let (ended, outcome) = oneshot::channel();
    let body = move || {
        let progress = ties.progress.clone();
        let result = live(first, &ties, inbox);
        if let Err(error) = &result {
            tracing::error!(%error, "the model is gone");
            progress.set(LoadState::Failed(error.clone()));
        }
        // During shutdown the receiver may be gone.
        let _ = ended.send(result);
    };
    std::thread::Builder::new().name("worker".into()).spawn(body).expect("a daemon can start a thread");
    (handle, outcome)
}

/// Replies to the client that waits for the load.
type Asker = oneshot::Sender<Result<(), WireError>>;

/// Loads and works; unloads on request and waits for the next load.
///
/// # Errors
/// When the first load, which no client asked for, or the engine fails. Any other load that fails leaves a thread
/// without a model and reports to the client that asked.
fn live(first: Option<Arc<Config>>, ties: &Ties, mut inbox: Inbox) -> Result<(), WireError> {
    let mut is_first = first.is_some();
    let (mut config, mut asker) = match first {
        Some(first) => (first, None),
        None => match next_load(&mut inbox) {
            Some((config, asker)) => (config, Some(asker)),
            None => return Ok(()),
        },
    };
    let mut inbox = Some(inbox);
    loop {
        let outcome = match load_and_work(&config, ties, &mut inbox, &mut asker) {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::Unloaded(rest, given_back)) => Ok((rest, given_back)),
            Err(error) if is_first || inbox.is_none() => return Err(error),
            Err(error) => Err(error),
        };
        engine::return_memory();
        tracing::info!("model unloaded");
        // Sent only now that the memory is free, because the next model may need it. The client may be gone.
        match outcome {
            Ok((rest, given_back)) => {
                inbox = Some(rest);
                let _ = given_back.send(());
            }
            Err(error) => {
                // A client asked for it, and may have mistyped its name.
                tracing::warn!(%error, "cannot load the model");
                let _ = asker.take().map(|asker| asker.send(Err(error)));
            }
        }
        is_first = false;
        let Some((next, loaded)) = next_load(inbox.as_mut().expect("it was returned")) else { return Ok(()) };
        (config, asker) = (next, Some(loaded));
        ties.progress.forget_stages();
    }
}

/// Waits without a model for the next load; `None` on shutdown.
fn next_load(inbox: &mut Inbox) -> Option<(Arc<Config>, Asker)> {
    loop {
        match inbox.commands.blocking_recv()? {
            Command::Load(config, loaded) => return Some((config, loaded)),
            Command::Submit(submission) => submission.fail(crate::worker::shutting_down()),
            Command::Unload(given_back) => drop(given_back.send(())),
            // Dropping a job's channel reports the same to its client.
            Command::Cancel(_) | Command::Embed(_) | Command::StopEmbedding => {}
            Command::Stop => return None,
        }
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> WireError {
    WireError::new(ErrorCode::ModelUnavailable, logging::with_engine_error(error.to_string()))
}

/// Loads and works; offloads fewer layers after the GPU ran out of memory.
fn load_and_work(
    config: &Config,
    ties: &Ties,
    inbox: &mut Option<Inbox>,
    asker: &mut Option<Asker>,
) -> Result<Ended, WireError> {
    engine::log_to_tracing();
    let mut gpu = Gpu::new(config);
    loop {
        let outcome = try_to_load(config, ties, (inbox, asker), &mut gpu);
        match &outcome {
            Err(error) if !ties.progress.abandoned.load(Relaxed) && gpu.retreat(error) => engine::return_memory(),
            _ => return outcome,
        }
    }
}

fn try_to_load(
    config: &Config,
    ties: &Ties,
    (inbox, asker): (&mut Option<Inbox>, &mut Option<Asker>),
    gpu: &mut Gpu,
) -> Result<Ended, WireError> {
    let progress = &ties.progress;
    // Discards earlier log messages of llama.cpp.
    drop(logging::take_engine_error());
    let (located, tuning, loaded) = read(config, progress, gpu)?;
    let on_gpu = loaded.n_gpu_layers() > 0;
    let n_ctx = config.n_ctx.min(loaded.n_ctx_train() as usize);
    let limits = tuning.limits(config, n_ctx, on_gpu);
    let limits = if gpu.is_divided { limits.divided(n_ctx) } else { limits };
    let context = context_options(limits, tuning.n_threads);
    let context = gpu::with_kv_type(context, config, &located.path, on_gpu);
    let n_draft = config.n_draft().min(loaded.max_states(context.kv_type) - 1);
    let context = ContextOptions { n_draft, ..context };
    tracing::info!(n_cells = context.n_cells, kv_cache = context.kv_type.name(), "creating a context");
    let vocab: Arc<dyn Vocab> = Arc::new(LlamaVocab::new(Arc::clone(&loaded)));
    let draft = DraftFile::load(config, &located, context, gpu);
    let bytes = need::of(&located.path, &context, loaded.n_gpu_layers()) + draft.bytes(on_gpu);
    let (mut engine, draft) = progress
        .stage(LoadStage::Context, || {
            let engine = LlamaEngine::new(&loaded, &context)?;
            Ok::<_, LoadError>((engine, draft.context(&loaded, limits.n_slots)))
        })
        .map_err(|error| unavailable(&error))?;
    let first = vocab.tokenize("a", false, false).first().copied().unwrap_or(crate::batch::Token(0));
    let (state_bytes, limits, costs) = progress
        .stage(LoadStage::WarmUp, || {
            let state_bytes = engine.warm_up(first, on_gpu)?;
            if !on_gpu {
                return Ok::<_, EngineError>((state_bytes, limits, speculate::costs(&tuning)));
            }
            let limits = tuning.timed(config, limits, |n| engine.time_prefill(first, n))?;
            let costs = speculate::timed_costs(&tuning, &mut engine, first, (n_ctx, limits.n_batch))?;
            Ok((state_bytes, limits, costs))
        })
        .map_err(|error| unavailable(&error))?;
    gpu.settle(on_gpu);

    let limits = Limits { n_prefix_cells: tuning::prefix_cells(config, limits, state_bytes), ..limits };
    let (speculation, speculation_status) = speculate(config, &engine, &vocab, draft, costs);
    let temperatures = tuning.fingerprint.map(|fingerprint| Temperatures::find(&located.path, &fingerprint));
    let (device, problems, is_builtin) = (gpu.device.take(), &gpu.problems, located.is_builtin);
    let fingerprint = tuning.fingerprint;
    let description =
        Description { config, loaded: &loaded, limits, n_ctx, is_builtin, fingerprint, gpu: device, problems };
    let tuned = tuning.status(limits, context.kv_type);
    let ready = description.ready(temperatures, &vocab, tuned, speculation_status, state_bytes, bytes);
    progress.set(LoadState::Ready(Arc::new(ready)));
    let _ = asker.take().map(|asker| asker.send(Ok(())));
    let (governor, crowd) = governor(config, context.n_threads, on_gpu, &ties.crowd);
    let store = open_store(config, &tuning, limits, context.kv_type);
    let parts = Parts { engine, vocab, limits, n_ctx, governor, crowd, speculation, store };
    let inbox = inbox.take().expect("one worker at a time");
    let worker = Worker::new(parts, inbox, Arc::clone(&ties.metrics));
    worker.run().map_err(|error| WireError::new(ErrorCode::Engine, format!("the engine failed: {error}")))
}

/// Finds the file, decides how to run it, and reads its weights.
fn read(config: &Config, progress: &Progress, gpu: &mut Gpu) -> Result<(Located, Tuning, Arc<LoadedModel>), WireError> {
    let find = || {
        let located = model_file::locate(&config.model).map_err(|error| unavailable(&error))?;
        gpu.choose(config);
        need::check(config)?;
        let tuning = Tuning::new(config, &located, gpu.device.as_ref());
        Ok::<_, WireError>((located, tuning))
    };
    let (located, mut tuning) = progress.stage(LoadStage::ModelFile, find)?;
    let read = || weights(config, progress, &located, &tuning, gpu);
    let loaded = progress.stage(LoadStage::Weights, read).map_err(|error| unavailable(&error))?;
    if loaded.n_gpu_layers() > loaded.n_layers() {
        tuning.leave_to_gpu();
    }
    Ok((located, tuning, Arc::new(loaded)))
}

fn context_options(limits: Limits, n_threads: usize) -> ContextOptions {
    ContextOptions {
        n_cells: limits.n_cells,
        is_divided: limits.is_adjacent,
        kv_type: KvType::F16,
        n_places: limits.n_slots + limits.n_prefixes,
        n_batch: limits.n_batch,
        // A graph pass holds one chunk: larger compute buffers would never be used.
        n_ubatch: limits.lone_chunk.max(limits.n_slots),
        n_threads,
        n_draft: 0,
    }
}

/// On a GPU there is nothing to govern, and no CPU to share, as it does not wait for CPU threads.
fn governor(config: &Config, n_threads: usize, on_gpu: bool, crowd: &Crowd) -> (Governor, Crowd) {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    if on_gpu {
        return (Governor::new(1, n_cores), Crowd::default());
    }
    let governor = Governor::new(n_threads, n_cores);
    (if config.governor { governor } else { governor.blind() }, crowd.clone())
}

/// Reads the weights of a file that has passed a trial; the built-in model needs none.
fn weights(
    config: &Config,
    progress: &Progress,
    located: &Located,
    tuning: &Tuning,
    gpu: &mut Gpu,
) -> Result<LoadedModel, LoadError> {
    let is_abandoned = || progress.abandoned.load(Relaxed);
    let fingerprint = tuning.fingerprint.filter(|_| !located.is_builtin);
    let trial = trial::begin(&located.path, fingerprint, is_abandoned).map_err(LoadError::Trial)?;
    let options = ModelOptions {
        path: located.path.clone(),
        n_gpu_layers: Some(gpu.plan(config, tuning, &located.path)),
        device: gpu.device.clone(),
        mmap: config.mmap,
        repack: tuning.repack,
        kernels: config.kernels,
    };
    let reporter = progress.clone();
    let loaded = engine::load(&options, move |share| {
        reporter.at(LoadStage::Weights, share);
        !reporter.abandoned.load(Relaxed)
    })?;
    // The trial must have passed before anything is computed or the template is used.
    trial.map_or(Ok(()), |trial| trial.finish(is_abandoned)).map_err(LoadError::Trial)?;
    Ok(loaded)
}

/// The prefixes on disk; `None` when disabled or unusable, which is logged.
fn open_store(config: &Config, tuning: &Tuning, limits: Limits, kv_type: KvType) -> Option<PrefixStore> {
    let model = tuning.fingerprint.filter(|_| config.prefix_disk_mib > 0 && config.n_prefixes > 0)?;
    let folder = beast_launchd::paths::cache_dir().ok()?.join("prefixes");
    // llama.cpp restores a state only into cells of the same type, divided as they were when it was saved.
    let n_parts = if limits.is_adjacent { limits.n_slots + limits.n_prefixes } else { 1 };
    let kv_type = kv_type.name();
    let kv_layout = if n_parts == 1 { kv_type.to_owned() } else { format!("{kv_type} in {n_parts}") };
    let key = StoreKey { model, engine: ENGINE_BUILD.to_owned(), kv_layout };
    PrefixStore::open(&folder, key, config.prefix_disk_mib.saturating_mul(1 << 20))
        .inspect_err(|error| {
            tracing::warn!(folder = %folder.display(), %error, "prompt prefixes are not cached on disk");
        })
        .ok()
}
