//! How much memory a model takes: its weights, KV cache, states and compute buffers, with its draft model.

use std::fs;
use std::path::{Path, PathBuf};

use beast_protocol::{ErrorCode, WireError};

use super::gpu;
use super::offload::{Need, usable};
use crate::config::Config;
use crate::engine::{self, ContextOptions};
use crate::model_file::{self, names};
use crate::residents::plan::Bytes;

/// Buffers of a model whose file has no sizes, as a divisor of its length.
const UNKNOWN_SHARE: u64 = 4;

/// An estimate before the model of these settings is loaded. Reads the header of its file; nothing if there is none.
pub fn estimate(config: &Config) -> Bytes {
    let Ok(located) = model_file::locate(&config.model) else { return Bytes::default() };
    let is_wanted = config.backend != "cpu" && config.n_gpu_layers != 0;
    let on_gpu = is_wanted && !engine::devices().is_empty();
    let n_layers = match (on_gpu, u32::try_from(config.n_gpu_layers)) {
        (false, _) => 0,
        (true, n_layers) => n_layers.unwrap_or(u32::MAX),
    };
    let context = gpu::plain_context(config, &located.path, on_gpu);
    let draft = match config.n_draft() {
        0 => None,
        _ => model_file::locate_draft(&config.draft, &located, on_gpu).ok().flatten(),
    };
    let own = of(&located.path, &context, n_layers);
    let of_draft = |path: PathBuf| of(&path, &gpu::with_kv_type(context, config, &path, on_gpu), n_layers);
    own + draft.map_or_else(Bytes::default, of_draft)
}

/// The memory of one file with this context, of which the GPU has so many layers.
pub(super) fn of(path: &Path, context: &ContextOptions, n_gpu_layers: u32) -> Bytes {
    let n_file = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let Some(sizes) = engine::sizes(path) else { return Bytes { ram: n_file + n_file / UNKNOWN_SHARE, gpu: 0 } };
    let need = Need::new(&sizes, context);
    if n_gpu_layers == 0 {
        let n_weights = sizes.layers.iter().fold(sizes.output, |sum, layer| sum.saturating_add(layer.weights));
        return Bytes { ram: n_file.saturating_add(need.total().saturating_sub(n_weights)), gpu: 0 };
    }
    let on_gpu = need.plan(u64::MAX, n_gpu_layers).n_bytes;
    Bytes { ram: need.total().saturating_sub(on_gpu), gpu: on_gpu }
}

/// Free memory of the GPU that has most of it, less a reserve; `u64::MAX` without a GPU.
pub fn usable_on_gpu() -> u64 {
    // A model is on one GPU.
    engine::devices().iter().map(usable).max().unwrap_or(u64::MAX)
}

/// Refuses a model that is larger than the configured budget.
///
/// # Errors
/// [`ErrorCode::ModelUnavailable`] with both sizes.
pub(super) fn check(config: &Config) -> Result<(), WireError> {
    let Some(budget) = config.memory_budget() else { return Ok(()) };
    let needed = estimate(config).ram;
    if needed <= budget { Ok(()) } else { Err(too_large(&config.model, needed, budget)) }
}

/// The error for a model that is larger than the memory for all models.
pub fn too_large(model: &str, needed: u64, budget: u64) -> WireError {
    let (model, needed, budget) = (names::label(model), mib(needed), mib(budget));
    let text = format!(
        "the model {model} does not fit: it needs {needed}, and memory_budget is {budget}; try: raise memory_budget, \
         lower n_ctx or n_slots, or use a smaller model"
    );
    WireError::new(ErrorCode::ModelUnavailable, text)
}

/// A size for people.
fn mib(n_bytes: u64) -> String {
    format!("{} MiB", n_bytes.div_ceil(1 << 20))
}
