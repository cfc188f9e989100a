//! Sets up speculative decoding: the draft model's file and context, and how it is reported.

use std::sync::Arc;

use beast_protocol::SpeculationStatus;

use super::gpu::{self, Gpu};
use super::need;
use super::tuning::Tuning;
use crate::batch::Token;
use crate::config::Config;
use crate::engine::{
    self, ContextOptions, DraftModel, Drafter, Engine, EngineError, LlamaEngine, LoadedModel, ModelOptions, Vocab,
};
use crate::fingerprint::fingerprint;
use crate::model_file::{self, Located};
use crate::residents::plan::Bytes;
use crate::speculation::{Speculation, StepCosts, Wish};
use crate::trial;

/// A draft model in memory, or why there is none. An unusable draft model never prevents the model from answering.
pub(super) struct DraftFile {
    loaded: Option<LoadedModel>,
    /// Its context, but for the places.
    context: ContextOptions,
    reason: Option<String>,
}

/// A drafter and its name, or why there is none.
pub(super) struct Draft<'model> {
    drafter: Option<Box<dyn Drafter + 'model>>,
    name: Option<String>,
    reason: Option<String>,
}

impl DraftFile {
    /// Reads the draft model for a model with this context.
    pub(super) fn load(config: &Config, located: &Located, context: ContextOptions, gpu: &Gpu) -> Self {
        let on_gpu = gpu.is_used();
        let is_wanted = config.n_draft() > 0 && matches!(&*config.speculation, "auto" | "draft");
        let path = if is_wanted { model_file::locate_draft(&config.draft, located, on_gpu) } else { Ok(None) };
        let loaded = path.map_err(|error| error.to_string()).and_then(|path| {
            let Some(path) = path else { return Ok(None) };
            let is_builtin = config.draft == "builtin" || located.is_builtin && config.draft == "auto";
            if !is_builtin {
                let trial = trial::begin(&path, fingerprint(&path).ok(), || false)?;
                trial.map_or(Ok(()), |trial| trial.finish(|| false))?;
            }
            let device = gpu.for_draft(&context, &path);
            if on_gpu && device.is_none() {
                return Err("the GPU has no room for it beside the model; try: lower n_ctx or n_slots".into());
            }
            let (mmap, kernels) = (config.mmap, config.kernels);
            // A draft model's weights are too small to calibrate repacking for.
            let options = ModelOptions { path, device, n_gpu_layers: None, mmap, repack: false, kernels };
            engine::load(&options, |_| true).map(Some).map_err(|error| error.to_string())
        });
        let (loaded, reason) = match loaded {
            Ok(loaded) => (loaded, None),
            Err(error) => (None, Some(format!("no draft model: {error}"))),
        };
        let path = loaded.as_ref().map(LoadedModel::path);
        let context = path.map_or(context, |path| gpu::with_kv_type(context, config, path, on_gpu));
        Self { loaded, context, reason }
    }

    /// The memory of the draft model and its context.
    pub(super) fn bytes(&self, on_gpu: bool) -> Bytes {
        let n_layers = if on_gpu { u32::MAX } else { 0 };
        self.loaded.as_ref().map_or_else(Bytes::default, |loaded| need::of(loaded.path(), &self.context, n_layers))
    }

    pub(super) fn context(&self, target: &LoadedModel, n_slots: usize) -> Draft<'_> {
        let none = |reason| Draft { drafter: None, name: None, reason };
        let Some(loaded) = &self.loaded else { return none(self.reason.clone()) };
        match DraftModel::new(loaded, target, n_slots, &self.context) {
            Ok(draft) => Draft { drafter: Some(Box::new(draft)), name: Some(loaded.name()), reason: None },
            Err(error) => none(Some(format!("no draft model: {error}"))),
        }
    }
}

/// Step costs from the calibration.
pub(super) fn costs(tuning: &Tuning) -> StepCosts {
    StepCosts::new(tuning.n_threads).knowing(tuning.verify_costs())
}

/// Sizes of the steps to time on a GPU, in tokens: without drafts, and with each number of drafts that speculation may
/// choose.
const WIDTHS: [usize; 4] = [1, 4, 8, 16];

/// A GPU whose one-token step takes longer is not timed any further.
const SLOW_US: u64 = 20_000;

/// Size of the step that is timed for many sequences, in tokens.
const MANY: usize = 64;
/// Smallest context in which all of these steps are timed.
const LEAST_CONTEXT: usize = 256;

/// Step costs on a GPU: from the calibration and from timing now.
///
/// # Errors
/// Those of the engine.
pub(super) fn timed_costs(
    tuning: &Tuning,
    engine: &mut LlamaEngine<'_>,
    token: Token,
    (n_ctx, n_batch): (usize, usize),
) -> Result<StepCosts, EngineError> {
    let costs = costs(tuning);
    if engine.n_rollback() == 0 || n_ctx < LEAST_CONTEXT {
        return Ok(costs);
    }
    // Timing such a slow GPU would take long, and its driver's overhead does not matter.
    if engine.time_prefill(token, 1)? > SLOW_US {
        return Ok(costs);
    }
    let widths: Vec<usize> = WIDTHS.into_iter().filter(|n| *n <= engine.n_rollback() + 1).collect();
    let (mut usual, change_us) = engine.time_steps(token, &widths)?;
    if n_batch >= MANY {
        usual.push((MANY, engine.time_prefill(token, MANY)? as f64));
    }
    tracing::info!(?usual, change_us, "timed steps with drafts");
    Ok(costs.knowing(usual).changing(change_us))
}

/// Combines the drafters and describes them.
pub(super) fn speculate<'model>(
    config: &Config,
    engine: &LlamaEngine<'_>,
    vocab: &Arc<dyn Vocab>,
    draft: Draft<'model>,
    costs: StepCosts,
) -> (Speculation<'model>, SpeculationStatus) {
    let allowed = match &*config.speculation {
        "lookup" => Wish { lookup: true, draft: false },
        "draft" => Wish { lookup: false, draft: true },
        "off" => Wish::OFF,
        _ => Wish::ANY,
    };
    let n_max = engine.n_rollback();
    let mut drafters = Vec::new();
    if n_max > 0 && allowed.lookup {
        drafters.push("lookup".to_owned());
    }
    if n_max > 0 && allowed.draft && draft.drafter.is_some() {
        drafters.push("draft".to_owned());
    }
    let reason = match () {
        () if config.n_draft() == 0 => Some("turned off in the configuration".to_owned()),
        () if n_max == 0 => Some("this model cannot roll back drafts".to_owned()),
        () => draft.reason,
    };
    let n_max_u32 = u32::try_from(n_max).unwrap_or(u32::MAX);
    let status =
        SpeculationStatus { drafters, draft_model: draft.name, reason, n_max: n_max_u32, ..Default::default() };
    (Speculation::new(allowed, n_max, Arc::clone(vocab), draft.drafter, costs), status)
}
