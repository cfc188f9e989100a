//! The state that all connections share, and the daemon's status. Knows no socket and no message but `Status`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use beast_protocol::{Notice, NoticeKind, SpeculationStatus, State, Status, StoredPrefixes};
use tokio::sync::{Semaphore, watch};

use crate::budget::Budget;
use crate::clock::now_us;
use crate::config::Config;
use crate::engine;
use crate::loader::{LoadState, Progress, Ready};
use crate::metrics::Metrics;
use crate::residents::{Resident, Residents};
use crate::upstream::Upstreams;
use crate::watchdog::Stall;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Phases of the daemon's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Serving,
    /// Running requests finish; new ones are refused.
    Draining,
    /// Running requests are aborted.
    Ending,
}

/// Shared by the accept loop and all sessions.
pub struct Shared {
    /// The settings; SIGHUP replaces them.
    pub config: watch::Sender<Arc<Config>>,
    /// Why the last reload failed, if it did.
    pub config_problem: watch::Sender<Option<String>>,
    /// The models.
    pub residents: Arc<Residents>,
    /// Models that other servers compute.
    pub upstreams: Upstreams,
    /// What is counted for no model.
    pub metrics: Metrics,
    pub phase: watch::Sender<Phase>,
    pub socket: PathBuf,
    /// Whether the service manager keeps the socket open, so that there will be a next daemon.
    pub is_kept: bool,
    pub n_connections: AtomicUsize,
    /// Whether a client or signal asked not to wait for running requests.
    pub is_hurried: AtomicBool,
    /// Requests between arrival and last event.
    pub answering: watch::Sender<usize>,
    /// Permits for tokenizing: too many at once would slow the engine down on a few cores.
    pub tokenizing: Arc<Semaphore>,
    /// The same for small requests, which take little time unless the model's chat template is slow.
    pub admitting: Semaphore,
    /// Memory budget for incoming requests.
    pub budget: Budget,
    /// Addresses of its HTTP listeners, once they are open.
    pub http: OnceLock<Vec<String>>,
    /// Whether any HTTP request has arrived.
    pub has_visitors: watch::Sender<bool>,
    started_us: u64,
}

impl Shared {
    /// The state of a daemon that begins to load its model.
    pub fn new(config: Arc<Config>, upstreams: Upstreams, progress: Progress, socket: PathBuf, is_kept: bool) -> Self {
        let (config, has_visitors) = (watch::Sender::new(config), watch::Sender::new(false));
        let residents = Residents::start(config.clone(), has_visitors.clone(), progress);
        Self {
            config,
            config_problem: watch::Sender::new(None),
            residents,
            upstreams,
            metrics: Metrics::default(),
            phase: watch::Sender::new(Phase::Serving),
            socket,
            is_kept,
            n_connections: AtomicUsize::new(0),
            is_hurried: AtomicBool::new(false),
            answering: watch::Sender::new(0),
            tokenizing: Arc::new(Semaphore::new(2)),
            admitting: Semaphore::new(4),
            budget: Budget::default(),
            http: OnceLock::new(),
            has_visitors,
            started_us: now_us(),
        }
    }

    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// The upstream model that a request names, also by an alias.
    pub fn upstream(&self, model: Option<&str>) -> Option<String> {
        let name = model?.trim();
        let aliases = self.config().aliases();
        let meant = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, meant)| meant.as_str());
        self.upstreams.named(meant.unwrap_or(name)).map(str::to_owned)
    }

    /// Starts the shutdown; further calls have no effect.
    pub fn drain(&self) {
        self.phase.send_if_modified(|phase| {
            let serving = *phase == Phase::Serving;
            if serving {
                *phase = Phase::Draining;
            }
            serving
        });
    }

    /// Aborts running requests.
    pub fn hurry(&self) {
        self.is_hurried.store(true, Relaxed);
        self.phase.send_replace(Phase::Ending);
    }

    /// The counters of the daemon and of all models.
    pub fn metrics(&self) -> Metrics {
        let metrics = self.residents.metrics();
        metrics.include(&self.metrics);
        metrics
    }

    /// The status that `beastctl status` shows. Does not load an unloaded model.
    pub fn status(&self) -> Status {
        let (config, metrics) = (self.config(), self.metrics());
        let default = self.residents.default_model();
        let load = default.progress.watch().borrow().clone();
        let ready = default.ready();
        let all: Vec<Arc<Ready>> = self.residents.all().iter().filter_map(|resident| resident.ready()).collect();
        let (models, memory_budget) = self.residents.status();
        let limits = ready.as_ref().map(|ready| ready.limits);
        let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Status {
            version: VERSION.into(),
            engine: engine::build(config.kernels),
            pid: std::process::id(),
            uptime_ms: (now_us() - self.started_us) / 1000,
            state: self.state(&default, load),
            profile: config.profile.clone(),
            socket: self.socket.display().to_string(),
            http: self.http.get().cloned().unwrap_or_default(),
            configured: config.model.clone(),
            model: ready.as_ref().map(|ready| ready.model.clone()),
            models,
            upstreams: self.upstreams.status(),
            memory_budget,
            stages: default.progress.stages(),
            n_slots: as_u32(config.n_slots),
            n_running: as_u32(metrics.n_running.load(Relaxed)),
            n_waiting: as_u32(metrics.n_waiting.load(Relaxed)),
            n_cells_used: as_u32(metrics.n_cells_used.load(Relaxed)),
            n_cells: as_u32(all.iter().map(|ready| ready.limits.n_cells).sum()),
            n_batch: as_u32(limits.map_or(config.n_batch, |limits| limits.n_batch)),
            prefill_chunk: as_u32(limits.map_or(config.prefill_chunk, |limits| limits.prefill_chunk)),
            n_threads: as_u32(match default.metrics.n_threads.load(Relaxed) {
                0 => config.n_threads(),
                n_threads => n_threads,
            }),
            n_connections: as_u32(self.n_connections.load(Relaxed)),
            n_requests: metrics.n_requests.load(Relaxed),
            n_prompt_tokens: metrics.n_prompt_tokens.load(Relaxed),
            n_generated_tokens: metrics.n_generated_tokens.load(Relaxed),
            n_prefixes: as_u32(metrics.n_prefixes.load(Relaxed)),
            n_prefix_tokens: as_u32(metrics.n_prefix_tokens.load(Relaxed)),
            n_prefix_hits: metrics.n_prefix_hits.load(Relaxed),
            n_tokens_saved: metrics.n_tokens_saved.load(Relaxed),
            n_prefix_bytes: self.residents.all().iter().map(|resident| prefix_bytes(resident)).sum(),
            stored: StoredPrefixes {
                n_entries: as_u32(metrics.n_stored.load(Relaxed)),
                n_bytes: metrics.n_stored_bytes.load(Relaxed),
                n_restored: metrics.n_restored.load(Relaxed),
            },
            speculation: SpeculationStatus {
                n_drafted: metrics.n_drafted.load(Relaxed),
                n_accepted: metrics.n_accepted.load(Relaxed),
                ..ready.as_ref().map(|ready| ready.speculation.clone()).unwrap_or_default()
            },
            tuning: ready.as_ref().map(|ready| ready.tuning.clone()).unwrap_or_default(),
            n_preempted: metrics.n_preempted.load(Relaxed),
            busy_us: metrics.busy_us.load(Relaxed),
            notices: self.notices(ready.as_deref()),
        }
    }

    fn state(&self, resident: &Resident, load: LoadState) -> State {
        match load {
            _ if self.phase() != Phase::Serving => State::Draining,
            LoadState::Loading { stage, fraction } => State::Loading { stage, fraction },
            LoadState::Ready(_) => match resident.metrics.watchdog.stall(now_us()) {
                Some(Stall { lasts, requests }) => {
                    State::Stalled { ms: u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX), requests }
                }
                None => State::Ready,
            },
            LoadState::Failed(error) => State::Failed { message: error.message },
            LoadState::Unloaded { failed: Some(error) } => State::Failed { message: error.message },
            LoadState::Unloaded { failed: None } => State::Unloaded,
        }
    }

    fn notices(&self, ready: Option<&Ready>) -> Vec<Notice> {
        let problem = self.config_problem.borrow().clone();
        let problem = problem.map(|text| Notice { kind: NoticeKind::Warning, text });
        problem.into_iter().chain(ready.into_iter().flat_map(|ready| ready.notices.clone())).collect()
    }
}

/// Memory of a model's cached prefixes, in bytes.
fn prefix_bytes(resident: &Resident) -> u64 {
    let Some(ready) = resident.ready() else { return 0 };
    let (per_token, per_prefix) = ready.state_bytes;
    let n_tokens = resident.metrics.n_prefix_tokens.load(Relaxed) as u64;
    n_tokens * per_token + resident.metrics.n_prefixes.load(Relaxed) as u64 * per_prefix
}
