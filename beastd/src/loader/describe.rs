//! Builds the description of a loaded model, and its admission.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use beast_protocol::{Gpu, Model, Notice, NoticeKind, SpeculationStatus, Tuning};

use super::Ready;
use crate::admission::Admission;
use crate::calibration::temperatures::Temperatures;
use crate::config::Config;
use crate::engine::{Device, LoadedModel, Vocab};
use crate::model_file;
use crate::residents::plan::Bytes;
use crate::sampling::{Dry, SamplingDefaults, Xtc};
use crate::scheduler::Limits;
use crate::template::ChatTemplate;

/// Facts about a model that outlive its loading.
#[derive(Debug)]
pub struct ModelFacts {
    /// The setting that named it.
    pub configured: String,
    pub model: Model,
    /// The source of its chat template; empty without one.
    pub chat_template: String,
    /// Text of the token at the beginning of a sequence.
    pub bos: String,
    /// Text of the end-of-turn token.
    pub eos: String,
    /// Default sampling parameters.
    pub sampling: SamplingDefaults,
    /// Numbers and names from the file's metadata.
    pub metadata: Vec<(String, String)>,
}

/// Metadata keys that clients look for, without the architecture prefix.
const OF_ARCHITECTURE: [&str; 6] =
    ["attention.head_count", "block_count", "embedding_length", "feed_forward_length", "rope.freq_base", "vocab_size"];
/// Metadata keys that clients look for and that have no architecture prefix.
const OF_ALL: [&str; 4] =
    ["general.architecture", "general.file_type", "general.quantization_version", "tokenizer.ggml.model"];

/// The parts of a model's description.
pub(super) struct Description<'a> {
    pub(super) config: &'a Config,
    pub(super) loaded: &'a LoadedModel,
    pub(super) limits: Limits,
    pub(super) n_ctx: usize,
    pub(super) is_builtin: bool,
    pub(super) fingerprint: Option<[u8; 32]>,
    /// The GPU with the model in its memory.
    pub(super) gpu: Option<Device>,
    /// Why a GPU computes less than it could.
    pub(super) problems: &'a [String],
}

impl Description<'_> {
    pub(super) fn ready(
        &self,
        temperatures: Option<Temperatures>,
        vocab: &Arc<dyn Vocab>,
        tuning: Tuning,
        speculation: SpeculationStatus,
        state_bytes: (u64, u64),
        bytes: Bytes,
    ) -> Ready {
        let mut notices = self.notices(&speculation);
        let template = match self.template(vocab) {
            Ok(template) => Some(template),
            Err(notice) => {
                notices.push(notice);
                None
            }
        };
        let model = self.model(template.is_some());
        let defaults = model_file::sampling_defaults(&model.name, |key| self.loaded.meta(key));
        let defaults = configured(defaults, self.config);
        let admission = Admission::new(Arc::clone(vocab), template, defaults, self.n_ctx, self.config.max_tokens);
        let admission = Arc::new(admission);
        let facts = Arc::new(ModelFacts {
            configured: self.config.model.clone(),
            model: model.clone(),
            chat_template: self.loaded.chat_template().unwrap_or_default(),
            bos: vocab.bos_text(),
            eos: vocab.eos_text(),
            sampling: defaults,
            metadata: self.metadata(),
        });
        let told = AtomicBool::new(false);
        let (limits, fingerprint) = (self.limits, self.fingerprint);
        Ready {
            admission,
            model,
            limits,
            tuning,
            speculation,
            state_bytes,
            bytes,
            facts,
            temperatures,
            fingerprint,
            notices,
            told,
        }
    }

    fn metadata(&self) -> Vec<(String, String)> {
        let architecture = self.loaded.meta("general.architecture").unwrap_or_default();
        let of_architecture = OF_ARCHITECTURE.iter().map(|key| format!("{architecture}.{key}"));
        let keys = OF_ALL.iter().map(|&key| key.to_owned()).chain(of_architecture);
        keys.filter_map(|key| self.loaded.meta(&key).map(|value| (key, value))).collect()
    }

    fn notices(&self, speculation: &SpeculationStatus) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut notice = |text: String| notices.push(Notice { kind: NoticeKind::Info, text });
        if self.is_builtin && self.config.model == "auto" {
            notice(model_file::builtin_notice());
        }
        self.problems.iter().cloned().for_each(&mut notice);
        if self.n_ctx < self.config.n_ctx {
            notice(format!("the context is limited to {} tokens, which the model was trained for", self.n_ctx));
        }
        // Only for a draft model that was configured by name.
        if let (Some(reason), false) = (&speculation.reason, matches!(&*self.config.draft, "auto" | "none")) {
            notice(reason.clone());
        }
        notices
    }

    fn template(&self, vocab: &Arc<dyn Vocab>) -> Result<ChatTemplate, Notice> {
        let warning = |text: String| Notice { kind: NoticeKind::Warning, text };
        let Some(source) = self.loaded.chat_template() else {
            return Err(warning("the model has no chat template; prompts are sent as plain text".into()));
        };
        ChatTemplate::new(&source, vocab.bos_text(), vocab.eos_text(), &vocab.special_texts()).map_err(|error| {
            warning(format!("cannot use the model's chat template: {error}; prompts are sent as plain text"))
        })
    }

    fn model(&self, has_chat_template: bool) -> Model {
        let loaded = self.loaded;
        Model {
            name: loaded.name(),
            path: loaded.path().display().to_string(),
            n_bytes: loaded.n_bytes(),
            n_params: loaded.n_params(),
            n_layers: loaded.n_layers(),
            n_gpu_layers: loaded.n_gpu_layers(),
            backend: loaded.backend().to_owned(),
            n_ctx: u32::try_from(self.n_ctx).unwrap_or(u32::MAX),
            n_ctx_train: loaded.n_ctx_train(),
            has_chat_template,
            gpu: self.gpu.as_ref().map(|device| Gpu {
                description: device.description.clone(),
                n_total: device.n_total,
                n_free: device.n_free,
            }),
        }
    }
}

/// The model's sampling defaults, overridden by those in the configuration.
fn configured(of_model: SamplingDefaults, config: &Config) -> SamplingDefaults {
    let or = |value: f32, is_set: bool, of_model: f32| if is_set { value } else { of_model };
    SamplingDefaults {
        repeat_penalty: or(config.repeat_penalty, config.repeat_penalty > 0.0, of_model.repeat_penalty),
        dry: Dry {
            multiplier: config.dry_multiplier,
            base: config.dry_base,
            allowed_length: config.dry_allowed_length,
            last_n: u32::try_from(config.dry_penalty_last_n).unwrap_or(u32::MAX),
        },
        xtc: Xtc {
            probability: or(config.xtc_probability, config.xtc_probability >= 0.0, of_model.xtc.probability),
            threshold: or(config.xtc_threshold, config.xtc_threshold >= 0.0, of_model.xtc.threshold),
        },
        ..of_model
    }
}
