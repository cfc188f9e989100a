//! The daemon's status and its models'.

use serde::{Deserialize, Serialize};

use crate::event::{LoadStage, Stage};
use crate::notice::Notice;

/// Whether the daemon can answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Loading.
    Loading {
        /// The current stage.
        stage: LoadStage,
        /// Fraction of this stage done, 0 to 1.
        fraction: f32,
    },
    /// Ready.
    Ready,
    /// Failed: the model could not be loaded.
    Failed {
        /// Why, and what to try.
        message: String,
    },
    /// Finishing its last requests.
    Draining,
    /// Unloaded; the next request loads the model.
    Unloaded,
    /// An engine step does not finish.
    Stalled {
        /// How long so far, in milliseconds.
        ms: u64,
        /// The requests in it, by their numbers in the log.
        requests: Vec<u64>,
    },
}

/// The daemon's status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of beastd.
    pub version: String,
    /// Version and build of the engine.
    pub engine: String,
    /// Process id.
    pub pid: u32,
    /// Time since start, in milliseconds.
    pub uptime_ms: u64,
    /// The state of the default model.
    pub state: State,
    /// The active profile.
    pub profile: String,
    /// Path of its socket.
    pub socket: String,
    /// Its HTTP listeners: addresses with ports, and the path of a Unix socket; empty when HTTP is off.
    pub http: Vec<String>,
    /// The default model, which answers requests that name none: `auto`, `builtin` or a path.
    pub configured: String,
    /// The default model; `None` until it is loaded.
    pub model: Option<Model>,
    /// All models that are loaded, loading or were asked for.
    pub models: Vec<ModelStatus>,
    /// The models that other servers compute.
    pub upstreams: Vec<UpstreamStatus>,
    /// Most memory for models in bytes; `None` if the machine does not report how much there is.
    pub memory_budget: Option<u64>,
    /// The finished stages of loading, in order.
    pub stages: Vec<Stage>,
    /// Number of slots of each model.
    pub n_slots: u32,
    /// Running requests of all models.
    pub n_running: u32,
    /// Queued requests of all models.
    pub n_waiting: u32,
    /// KV cells in use.
    pub n_cells_used: u32,
    /// KV cells in total.
    pub n_cells: u32,
    /// Largest step, in tokens.
    pub n_batch: u32,
    /// Prompt tokens per step; a lone prompt may use more.
    pub prefill_chunk: u32,
    /// Compute threads.
    pub n_threads: u32,
    /// Open connections, this one included.
    pub n_connections: u32,
    /// Requests finished since the start, for any reason.
    pub n_requests: u64,
    /// Prompt tokens computed since the start.
    pub n_prompt_tokens: u64,
    /// Tokens generated since the start.
    pub n_generated_tokens: u64,
    /// Cached prefixes.
    pub n_prefixes: u32,
    /// Tokens of the cached prefixes, which is their number of KV cells.
    pub n_prefix_tokens: u32,
    /// Prefix cache hits since the start.
    pub n_prefix_hits: u64,
    /// Prompt tokens saved by the prefix cache, since the start.
    pub n_tokens_saved: u64,
    /// Memory of the cached prefixes, in bytes.
    pub n_prefix_bytes: u64,
    /// The prefix cache on disk.
    pub stored: StoredPrefixes,
    /// Speculative decoding.
    pub speculation: SpeculationStatus,
    /// Tuning of the engine for this machine.
    pub tuning: Tuning,
    /// Preemptions: sequences that lost their cells and restarted.
    pub n_preempted: u64,
    /// Engine time spent in steps since the start, in microseconds.
    pub busy_us: u64,
    /// Notices for the user.
    pub notices: Vec<Notice>,
}

/// A model of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStatus {
    /// The name that it was asked for by.
    pub name: String,
    /// Its file; `None` if it was never loaded.
    pub path: Option<String>,
    /// Its state.
    pub state: ModelState,
    /// Whether requests that name no model are answered by it.
    pub is_default: bool,
    /// Whether it is never evicted.
    pub is_pinned: bool,
    /// Main memory that it takes in bytes, or took when it was loaded last; 0 if it never was.
    pub n_bytes: u64,
    /// The same for GPU memory.
    pub n_gpu_bytes: u64,
    /// Running requests.
    pub n_running: u32,
    /// Requests in its queue, and those that wait for it to be loaded.
    pub n_waiting: u32,
    /// How often it was loaded since the start.
    pub n_loads: u32,
    /// Time since a request used it last, in milliseconds; 0 while one does.
    pub idle_ms: u64,
}

/// A model that other servers compute.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// Its name here.
    pub name: String,
    /// Addresses of its servers.
    pub urls: Vec<String>,
    /// The servers' name for it; `None` until a server has said it.
    pub model: Option<String>,
    /// Context in tokens; `None` until a server has said it.
    pub n_ctx: Option<u32>,
    /// The local model that answers when no server does.
    pub fallback: Option<String>,
    /// Requests that a server is answering.
    pub n_running: u32,
    /// Requests that a server has answered since the start; each part of a long input counts.
    pub n_requests: u64,
    /// Prompt tokens of these, as the servers count them.
    pub n_prompt_tokens: u64,
    /// Generated tokens of these.
    pub n_generated_tokens: u64,
    /// Why the last request failed, unless it succeeded.
    pub problem: Option<String>,
}

/// Whether a model is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// Loading.
    Loading,
    /// Loaded.
    Ready,
    /// Leaving memory.
    Unloading,
    /// Not in memory; the next request for it loads it.
    Unloaded,
    /// The last attempt to load it failed.
    Failed,
}

/// Prefixes on disk, which survive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoredPrefixes {
    /// Number of prefixes.
    pub n_entries: u32,
    /// Total size of their files, in bytes.
    pub n_bytes: u64,
    /// Prefixes restored since the start.
    pub n_restored: u64,
}

/// Speculative decoding.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpeculationStatus {
    /// The drafters: `lookup`, `draft`; empty for none.
    pub drafters: Vec<String>,
    /// The draft model's name.
    pub draft_model: Option<String>,
    /// Why there is no drafter, or fewer than requested.
    pub reason: Option<String>,
    /// Most tokens to draft at once.
    pub n_max: u32,
    /// Draft tokens since the start.
    pub n_drafted: u64,
    /// Accepted draft tokens since the start.
    pub n_accepted: u64,
}

/// Tuning of the engine for this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tuning {
    /// When and where it was measured, or that it was not measured.
    pub origin: String,
    /// Whether it was measured on this machine with this model.
    pub is_calibrated: bool,
    /// Whether weights were repacked for this CPU.
    pub is_repacked: bool,
    /// Type of the KV cache: `f16` or `q8_0`.
    pub kv_cache: String,
    /// Sequences that decode in one step.
    pub decode_width: u32,
}

/// A loaded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Name from the file's metadata, else the file name.
    pub name: String,
    /// The file.
    pub path: String,
    /// Size of the weights in bytes.
    pub n_bytes: u64,
    /// Number of parameters.
    pub n_params: u64,
    /// Layers, the output layer not counted.
    pub n_layers: u32,
    /// Offloaded layers, output layer included: 31 of 31 for a model with 30 layers.
    pub n_gpu_layers: u32,
    /// Device: `CPU`, `Metal`, `CUDA0` …
    pub backend: String,
    /// Context of one request, in tokens.
    pub n_ctx: u32,
    /// Context that the model was trained for, in tokens.
    pub n_ctx_train: u32,
    /// Whether the file has a chat template.
    pub has_chat_template: bool,
    /// The GPU, if it runs on one.
    pub gpu: Option<Gpu>,
}

/// A GPU, and its memory just after the model was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// The driver's name for it, such as `NVIDIA H100 80GB HBM3`.
    pub description: String,
    /// Total memory in bytes; 0 if the driver does not report it.
    pub n_total: u64,
    /// Free memory in bytes.
    pub n_free: u64,
}
