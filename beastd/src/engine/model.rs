//! A loaded model: read from a GGUF file, with its metadata and device.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::constraint::Constraints;
use super::error::LoadError;
use super::kv_type::KvType;
use super::page_repair::Repair;
use super::plugin::Device;
use super::sizes::sizes;
use super::{head, kernels, raw, read_ahead};
use crate::batch::Token;
use llama_cpp_2::gguf::GgufContext;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

/// How to load and run a model.
#[derive(Debug, Clone)]
pub struct ModelOptions {
    /// The GGUF file.
    pub path: PathBuf,
    /// The GPU; `None` for the CPU alone.
    pub device: Option<Device>,
    /// Layers to offload, output layer included; `None` for all.
    pub n_gpu_layers: Option<u32>,
    /// Whether to map weights instead of reading them.
    pub mmap: bool,
    /// Whether to repack weights for the CPU's instructions. They are then read, not mapped: otherwise memory would
    /// hold them twice.
    pub repack: bool,
    /// Use our matrix kernels where available (`kernels`), for all models from now on.
    pub kernels: bool,
}

/// A loaded model. Immutable; sessions read its vocabulary while the worker computes with it.
pub struct LoadedModel {
    /// Of the mapped file; dropped before it is unmapped.
    repair: Option<Repair>,
    pub(super) model: LlamaModel,
    pub(super) constraints: Constraints,
    /// End-of-turn tokens, the usual one first.
    ends: Vec<Token>,
    path: PathBuf,
    n_gpu_layers: u32,
    backend: String,
}

/// Sends llama.cpp's log to tracing; call before any other function of it.
pub fn log_to_tracing() {
    send_logs_to_tracing(LogOptions::default());
}

/// Share of loading that reading the file takes, for progress.
const MOST: f32 = 0.9;

/// Loads a model. `progress` gets the fraction done, 0 to 1, and stops the load by returning false.
///
/// # Errors
/// See [`LoadError`].
pub fn load(options: &ModelOptions, mut progress: impl FnMut(f32) -> bool + 'static) -> Result<LoadedModel, LoadError> {
    let path = options.path.clone();
    head::check(&path)?;
    let n_gpu_layers = if options.device.is_some() { options.n_gpu_layers.unwrap_or(u32::MAX) } else { 0 };
    // Even with no layer offloaded, llama.cpp would still send large batches to the GPU, weights included.
    let gpu = options.device.as_ref().filter(|_| n_gpu_layers > 0);
    let devices: Vec<usize> = gpu.iter().map(|device| device.index).collect();
    let is_mapped = options.mmap && !options.repack;
    // Reading is the slow part; llama.cpp then finds everything in the page cache.
    let mut share_read = 0.0;
    // With all layers on a GPU, the file is read once, and its pages need not stay in memory.
    let is_for_cpu =
        gpu.is_none() || options.n_gpu_layers.is_some_and(|n| n_layers_of(&path).is_none_or(|all| n <= all));
    if is_mapped && is_for_cpu {
        read_ahead::read_in_large_pages(&path, |share| {
            share_read = share * MOST;
            progress(share_read)
        });
    }
    let refused = || LoadError::Refused { path: path.clone() };
    let params = LlamaModelParams::default()
        .with_devices(&devices)
        .map_err(|_| refused())?
        .with_n_gpu_layers(n_gpu_layers)
        .with_use_mmap(is_mapped)
        .with_progress_callback(move |share| progress(share_read + share * (1.0 - share_read)));
    let mut loading = raw::loading();
    raw::set_repack(&mut loading, options.repack);
    kernels::use_ours(options.kernels);
    let model = LlamaModel::load_from_file(backend(), &path, &params).map_err(|_| refused())?;
    drop(loading);
    let n_gpu_layers = n_gpu_layers.min(model.n_layer() + 1);
    let backend = gpu.map_or_else(|| "CPU".to_owned(), |device| device.name.clone());
    let ends = ends(&model);
    let repair = (is_mapped && gpu.is_none()).then(|| Repair::begin(&path));
    Ok(LoadedModel { repair, model, constraints: Constraints::default(), ends, path, n_gpu_layers, backend })
}

/// The end-of-turn tokens of a vocabulary, the usual one first.
fn ends(model: &LlamaModel) -> Vec<Token> {
    let vocab = model.vocab();
    let usual = vocab.eos();
    let others = vocab.tokens().filter(|token| *token != usual && vocab.is_eog(*token));
    std::iter::once(usual).chain(others).map(|token| Token(token.0)).collect()
}

impl fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedModel").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LoadedModel {
    /// Name from the file's metadata, else the file name.
    pub fn name(&self) -> String {
        let file_name = || self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.meta("general.name").filter(|name| !name.is_empty()).unwrap_or_else(file_name)
    }

    /// A value of the file's metadata, as text.
    pub fn meta(&self, key: &str) -> Option<String> {
        self.model.meta_val_str(key).ok()
    }

    /// The chat template, in Jinja.
    pub fn chat_template(&self) -> Option<String> {
        self.model.chat_template(None).ok()?.to_string().ok()
    }

    /// Computes; the file's pages are moved only while nothing does.
    pub(super) fn during<T>(&self, compute: impl FnOnce() -> T) -> T {
        match &self.repair {
            Some(repair) => repair.pause(compute),
            None => compute(),
        }
    }

    /// End-of-turn tokens, at least one, the usual one first.
    pub(super) fn ends(&self) -> &[Token] {
        &self.ends
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the weights in bytes.
    pub fn n_bytes(&self) -> u64 {
        self.model.size()
    }

    /// Number of parameters.
    pub fn n_params(&self) -> u64 {
        self.model.n_params()
    }

    /// Tokens of the vocabulary.
    pub fn n_vocab(&self) -> i32 {
        self.model.n_vocab()
    }

    /// Layers, the output layer not counted.
    pub fn n_layers(&self) -> u32 {
        self.model.n_layer()
    }

    /// Offloaded layers, output layer included.
    pub fn n_gpu_layers(&self) -> u32 {
        self.n_gpu_layers
    }

    /// Most past states that a context may keep per sequence. llama.cpp sizes its graph by the number of tensors
    /// (`graph_max_nodes`) and aborts when keeping states takes more nodes: three for each state and layer that has
    /// one, besides about 33 for each layer of LFM2, and 12 for each layer of attention whose cache is of 8 bits, which
    /// rotates heads (`llama_mul_mat_hadamard`). A little more is counted here. Found by experiment, in steps of four
    /// sequences: the most are 17 states with the 2.6B, 21 with the 350M and 44 with cub; with 8 bits 15, 18 and 41.
    pub fn max_states(&self, kv_type: KvType) -> usize {
        const NODES_OF_A_LAYER: usize = 34;
        const NODES_OF_ROTATION: usize = 20;
        const NODES_OF_A_STATE: usize = 3;
        const N_INPUTS: usize = 16;
        if !self.model.is_recurrent() && !self.model.is_hybrid() {
            return usize::MAX;
        }
        if self.meta("general.architecture").as_deref() != Some("lfm2") {
            // Other architectures are untested.
            return 5;
        }
        let n_layers = self.model.n_layer() as usize;
        let file = GgufContext::from_file(&self.path);
        let n_tensors = file.map_or(0, |file| usize::try_from(file.n_tensors()).unwrap_or(0));
        // An attention layer has 11 tensors, a convolution layer 8; two belong to no layer.
        let n_convolutions = ((11 * n_layers + 2).saturating_sub(n_tensors) / 3).clamp(1, n_layers.max(1));
        let n_rotating = if kv_type == KvType::Q8_0 { n_layers.saturating_sub(n_convolutions) } else { 0 };
        let n_taken = NODES_OF_A_LAYER * n_layers + NODES_OF_ROTATION * n_rotating + N_INPUTS;
        let n_most = (8 * n_tensors).max(1024);
        // Its table of nodes has room for as many, rounded up to a power of two, and also takes weights and inputs.
        let n_in_table = n_most.next_power_of_two().saturating_sub(n_tensors + N_INPUTS);
        let n_nodes = n_most.min(n_in_table).saturating_sub(n_taken);
        (n_nodes / (NODES_OF_A_STATE * n_convolutions)).max(1)
    }

    /// Context length that the model was trained with, in tokens.
    pub fn n_ctx_train(&self) -> u32 {
        self.model.n_ctx_train()
    }

    /// Device: `CPU`, `Metal`, `CUDA0` …
    pub fn backend(&self) -> &str {
        &self.backend
    }
}

/// Layers in the file, the output layer not counted.
fn n_layers_of(path: &Path) -> Option<u32> {
    u32::try_from(sizes(path)?.layers.len()).ok()
}

/// llama.cpp's backend, initialized once per process.
pub(super) fn backend() -> &'static LlamaBackend {
    static BACKEND: OnceLock<LlamaBackend> = OnceLock::new();
    BACKEND.get_or_init(|| LlamaBackend::init().expect("only initialized here"))
}
