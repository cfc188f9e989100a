//! What the daemon answers.

use serde::{Deserialize, Serialize};

use crate::decide::Decided;
use crate::error::WireError;
use crate::request::Span;

/// A message from daemon to client. A generation is answered by any number of `Loading`, `Queued` and `Progress`, one
/// `Started`, any number of `Piece`, and ends with exactly one `Done` or `Failed`. Before `Started`, one that is
/// answered in parts has for each round a `Round` and then as many `Part`s as that says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The model is still being loaded; the request waits.
    Loading {
        /// What is being done.
        stage: LoadStage,
        /// How much of this stage is done, 0 to 1.
        fraction: f32,
    },
    /// The request waits for a slot.
    Queued {
        /// How many requests are ahead of it in the queue, from 0.
        position: u32,
    },
    /// The request has a slot and its prompt is being read.
    Started {
        /// Name of the model that answers.
        model: String,
        /// Length of the prompt in tokens, template included.
        n_prompt: u32,
        /// Room of the context in tokens, for prompt and answer together.
        n_ctx: u32,
        /// What the user should know about how the answer is made.
        notices: Vec<Notice>,
    },
    /// The material is longer than the context and is answered in parts.
    Round(Round),
    /// One of these parts has its answer.
    Part(Part),
    /// How far the prompt has been read.
    Progress {
        /// Prompt tokens computed so far.
        n_done: u32,
        /// Prompt tokens in all.
        n_total: u32,
    },
    /// More of the answer; always whole characters.
    Piece {
        /// The text, with the markers of thoughts and calls in it: raw, as [`crate::Resume`] wants it.
        text: String,
        /// The tokens chosen since the last piece, for [`crate::Resume`].
        tokens: Vec<i32>,
        /// When the engine chose its last token: microseconds of the machine's monotonic clock, which all processes
        /// share.
        sampled_at_us: u64,
        /// The same text taken apart: thoughts, tool calls, what is said. Empty when all of it is said.
        deltas: Vec<Delta>,
        /// One for each of `tokens`, when they were asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// The end of an answer.
    Done {
        /// Why it ended.
        reason: FinishReason,
        /// What it took, in tokens.
        usage: Usage,
        /// What it took, in time.
        timings: Timings,
        /// The stop text that ended it, when the reason is that.
        stop_text: Option<String>,
        /// What no token could follow, in words, when the reason is [`FinishReason::DeadEnd`].
        dead_end: Option<String>,
    },
    /// The end of a request that failed; what was sent before stays valid.
    Failed(WireError),
    /// The daemon's description of itself.
    Status(Box<Status>),
    /// The answers to [`crate::Request::Decide`].
    Decided(Decided),
}

/// A piece of an answer, told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delta {
    /// More of what is said.
    Text(String),
    /// More of what is thought before.
    Reasoning(String),
    /// A call begins.
    Call {
        /// Which, from 0.
        index: u32,
        /// A new one, by which the function's answer refers to it.
        id: String,
        /// The function.
        name: String,
    },
    /// More of the arguments of the call that began last.
    Arguments {
        /// Which.
        index: u32,
        /// More of a JSON object, as text.
        text: String,
    },
}

/// How likely a token was, before any sampler changed that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The one that was chosen.
    pub chosen: Logprob,
    /// The likeliest ones, in order.
    pub top: Vec<Logprob>,
}

/// A token and its log-probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logprob {
    /// Of the model's vocabulary.
    pub token: i32,
    /// Its bytes, which need not be whole characters.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// A round of answers to parts. The first divides the material, each further one the answers of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Which, from 1.
    pub round: u32,
    /// In how many parts.
    pub n_parts: u32,
    /// What they cover, in tokens; where two overlap, counted once.
    pub n_tokens: u64,
}

/// A part that has been answered. Parts are answered side by side and may end in any order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its round, from 1.
    pub round: u32,
    /// Its place among the parts, from 0.
    pub index: u32,
    /// How many parts of this round have been answered, this one included.
    pub n_done: u32,
    /// How many there are.
    pub n_parts: u32,
    /// What it covers of the material (of the answers, from the second round on), in bytes.
    pub span: Span,
    /// The same in tokens.
    pub n_tokens: u32,
    /// How many of these, at its beginning, belong to the part before as well.
    pub n_overlap: u32,
    /// Whether its answer was cut at its token limit.
    pub is_cut: bool,
    /// Its answer.
    pub text: String,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// A stop text appeared.
    StopText,
    /// `max_tokens` is reached: the answer is cut.
    MaxTokens,
    /// The context is full: the answer is cut.
    ContextFull,
    /// The client asked for the end.
    Cancelled,
    /// No token goes on with what the grammar or schema has begun, or following it further costs too much: the answer
    /// is cut.
    DeadEnd,
    /// The answer went round in circles: it is cut before that.
    Repetition,
}

impl FinishReason {
    /// Whether the model would have said more.
    pub fn is_cut(self) -> bool {
        matches!(self, FinishReason::MaxTokens | FinishReason::ContextFull | FinishReason::DeadEnd | FinishReason::Repetition)
    }
}

/// Tokens of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub n_prompt: u32,
    /// Prompt tokens that were not computed because they were known already.
    pub n_cached: u32,
    /// Tokens of the answer, the end token not counted.
    pub n_generated: u32,
    /// Tokens that were guessed ahead.
    pub n_drafted: u32,
    /// How many of them were right.
    pub n_accepted: u32,
}

/// Times of one request, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// From the arrival of the request to its slot.
    pub queued_us: u64,
    /// Engine time of the steps that read the prompt, up to the first token.
    pub prefill_us: u64,
    /// From the first token to the last.
    pub decode_us: u64,
    /// From the arrival of the request to the first token (TTFT, as the daemon sees it).
    pub first_token_us: u64,
}

/// Something that the user should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How loud to be.
    pub kind: NoticeKind,
    /// One line.
    pub text: String,
}

/// How loud a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Of interest to a person at a terminal.
    Info,
    /// The answer may not be what was asked for.
    Warning,
}

/// What the daemon is doing on its way to the first answer, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadStage {
    /// From exec to the first line of the loader.
    ProcessStart,
    /// Binding, or taking over, the socket.
    Socket,
    /// Finding the model file; unpacking and checking the built-in one.
    ModelFile,
    /// Reading the weights, and moving them to the GPU where there is one.
    Weights,
    /// Making the context: KV cache and compute buffers.
    Context,
    /// A first prefill and decode, which compile GPU kernels and touch every page.
    WarmUp,
}

impl LoadStage {
    /// What to call it on a terminal.
    pub fn label(self) -> &'static str {
        match self {
            LoadStage::ProcessStart => "process start",
            LoadStage::Socket => "socket",
            LoadStage::ModelFile => "model file",
            LoadStage::Weights => "weights",
            LoadStage::Context => "context and buffers",
            LoadStage::WarmUp => "warm-up",
        }
    }
}

/// A finished stage and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Which.
    pub stage: LoadStage,
    /// How long it took, in microseconds.
    pub us: u64,
}

/// Whether the daemon can answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not yet.
    Loading {
        /// What is being done.
        stage: LoadStage,
        /// How much of this stage is done, 0 to 1.
        fraction: f32,
    },
    /// Yes.
    Ready,
    /// It will not: the model could not be loaded.
    Failed {
        /// Why, and what to do.
        message: String,
    },
    /// It is finishing its last requests.
    Draining,
    /// It will when somebody asks: the model is not in memory.
    Unloaded,
    /// A step of the engine does not come to its end.
    Stalled {
        /// For how long by now, in milliseconds.
        ms: u64,
        /// The requests that are computed in it, by their numbers in the log.
        requests: Vec<u64>,
    },
}

/// The daemon's description of itself.
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
    /// Whether it can answer.
    pub state: State,
    /// Name of the profile in force.
    pub profile: String,
    /// Path of the socket it answers on.
    pub socket: String,
    /// Where it speaks HTTP: addresses with their ports, and the path of a Unix socket; empty when it is off.
    pub http: Vec<String>,
    /// The model that the next load takes, as it is configured: `auto`, `builtin` or a path.
    pub configured: String,
    /// The model; `None` until it is loaded.
    pub model: Option<Model>,
    /// The finished stages of loading, in order.
    pub stages: Vec<Stage>,
    /// How many sequences are worked on at once.
    pub n_slots: u32,
    /// Requests that have a slot.
    pub n_running: u32,
    /// Requests that wait for one.
    pub n_waiting: u32,
    /// KV cells in use.
    pub n_cells_used: u32,
    /// KV cells in all.
    pub n_cells: u32,
    /// Largest step, in tokens.
    pub n_batch: u32,
    /// Prompt tokens computed in one step; a prompt that is alone may take more.
    pub prefill_chunk: u32,
    /// Threads that compute.
    pub n_threads: u32,
    /// Open connections, this one included.
    pub n_connections: u32,
    /// Requests finished since the start, for whatever reason.
    pub n_requests: u64,
    /// Prompt tokens computed since the start.
    pub n_prompt_tokens: u64,
    /// Tokens generated since the start.
    pub n_generated_tokens: u64,
    /// Beginnings of prompts that are kept to be copied.
    pub n_prefixes: u32,
    /// Their tokens, which are KV cells.
    pub n_prefix_tokens: u32,
    /// How often one was copied, since the start.
    pub n_prefix_hits: u64,
    /// Tokens that were therefore not computed, since the start.
    pub n_tokens_saved: u64,
    /// Their states in memory, in bytes.
    pub n_prefix_bytes: u64,
    /// Those kept on disk.
    pub stored: StoredPrefixes,
    /// Guessing ahead.
    pub speculation: SpeculationStatus,
    /// How the engine is set up for this machine.
    pub tuning: Tuning,
    /// Times that a sequence had to give its cells back and start again.
    pub n_preempted: u64,
    /// Engine time spent in steps since the start, in microseconds.
    pub busy_us: u64,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

/// Beginnings of prompts on disk, which survive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoredPrefixes {
    /// How many.
    pub n_entries: u32,
    /// Their files together, in bytes.
    pub n_bytes: u64,
    /// How often one was read back since the start.
    pub n_restored: u64,
}

/// How answers are guessed ahead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SpeculationStatus {
    /// What guesses: `lookup`, `draft`; empty when nothing does.
    pub drafters: Vec<String>,
    /// The draft model's name.
    pub draft_model: Option<String>,
    /// Why nothing guesses, or why less than was asked for.
    pub reason: Option<String>,
    /// Most tokens that can be guessed ahead at once.
    pub n_max: u32,
    /// Tokens guessed since the start.
    pub n_drafted: u64,
    /// How many of them were right.
    pub n_accepted: u64,
}

/// How the engine is set up for this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tuning {
    /// Where this comes from: when and where it was measured, or that it was not.
    pub origin: String,
    /// Whether it was measured on this machine with this model.
    pub is_calibrated: bool,
    /// Whether weights were rearranged for this CPU's instructions.
    pub is_repacked: bool,
    /// Sequences that decode in one step.
    pub decode_width: u32,
}

/// The model that answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name, from the file's metadata, else the file's name.
    pub name: String,
    /// The file.
    pub path: String,
    /// Size of the weights in bytes.
    pub n_bytes: u64,
    /// Number of parameters.
    pub n_params: u64,
    /// Layers, the output layer not counted.
    pub n_layers: u32,
    /// Layers on a GPU, the output layer counted: 31 of 31 for a model of 30 layers.
    pub n_gpu_layers: u32,
    /// Where it runs: `CPU`, `Metal`, `CUDA0` …
    pub backend: String,
    /// Context of one request, in tokens.
    pub n_ctx: u32,
    /// Context that the model was trained for, in tokens.
    pub n_ctx_train: u32,
    /// Whether the file has a chat template.
    pub has_chat_template: bool,
}
