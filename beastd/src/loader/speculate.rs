//! Sets up speculative decoding: the draft model's file and context, and how it is reported.

use std::sync::Arc;

use beast_protocol::SpeculationStatus;

use super::tuning::Tuning;
use crate::config::Config;
use crate::engine::{self, ContextOptions, DraftModel, Drafter, Engine, LlamaEngine, LoadedModel, ModelOptions, Vocab};
use crate::fingerprint::fingerprint;
use crate::model_file::{self, Located};
use crate::speculation::{Speculation, StepCosts, Wish};
use crate::trial;

/// A draft model in memory, or why there is none. An unusable draft model never keeps the model from answering.
pub(super) struct DraftFile {
    loaded: Option<LoadedModel>,
    reason: Option<String>,
}

/// A drafter and its name, or why there is none.
pub(super) struct Draft<'model> {
    drafter: Option<Box<dyn Drafter + 'model>>,
    name: Option<String>,
    reason: Option<String>,
}

impl DraftFile {
    pub(super) fn load(config: &Config, located: &Located, on_gpu: bool) -> Self {
        let is_wanted = config.n_draft() > 0 && matches!(&*config.speculation, "auto" | "draft");
        let path = if is_wanted { model_file::locate_draft(&config.draft, located, on_gpu) } else { Ok(None) };
        let loaded = path.map_err(|error| error.to_string()).and_then(|path| {
            let Some(path) = path else { return Ok(None) };
            let is_builtin = config.draft == "builtin" || located.is_builtin && config.draft == "auto";
            if !is_builtin {
                let trial = trial::begin(&path, fingerprint(&path).ok(), || false)?;
                trial.map_or(Ok(()), |trial| trial.finish(|| false))?;
            }
            let n_gpu_layers = u32::try_from(config.n_gpu_layers).ok();
            // A small model's weights are not worth a calibration.
            let options =
                ModelOptions { path, n_gpu_layers, mmap: config.mmap, repack: false, kernels: config.kernels };
            engine::load(&options, |_| true).map(Some).map_err(|error| error.to_string())
        });
        match loaded {
            Ok(loaded) => Self { loaded, reason: None },
            Err(error) => Self { loaded: None, reason: Some(format!("no draft model: {error}")) },
        }
    }

    pub(super) fn context<'model>(
        &'model self,
        target: &LoadedModel,
        n_slots: usize,
        options: &ContextOptions,
    ) -> Draft<'model> {
        let none = |reason| Draft { drafter: None, name: None, reason };
        let Some(loaded) = &self.loaded else { return none(self.reason.clone()) };
        match DraftModel::new(loaded, target, n_slots, options) {
            Ok(draft) => Draft { drafter: Some(Box::new(draft)), name: Some(loaded.name()), reason: None },
            Err(error) => none(Some(format!("no draft model: {error}"))),
        }
    }
}

/// Combines the drafters, with their description.
pub(super) fn speculate<'model>(
    config: &Config,
    engine: &LlamaEngine<'_>,
    vocab: &Arc<dyn Vocab>,
    draft: Draft<'model>,
    tuning: &Tuning,
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
    let costs = StepCosts::new(tuning.n_threads).knowing(tuning.verify_costs());
    (Speculation::new(allowed, n_max, Arc::clone(vocab), draft.drafter, costs), status)
}
