//! The description of a model that is ready, and the door to it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use beast_protocol::{Model, Notice, NoticeKind, SpeculationStatus, Tuning};

use super::Ready;
use crate::admission::Admission;
use crate::config::Config;
use crate::engine::{LoadedModel, Vocab};
use crate::model;
use crate::scheduler::Limits;
use crate::template::ChatTemplate;

/// What it is made of.
pub(super) struct Description<'a> {
    pub(super) config: &'a Config,
    pub(super) loaded: &'a LoadedModel,
    pub(super) limits: Limits,
    pub(super) n_ctx: usize,
    pub(super) is_builtin: bool,
}

impl Description<'_> {
    pub(super) fn ready(
        &self,
        vocab: &Arc<dyn Vocab>,
        tuning: Tuning,
        speculation: SpeculationStatus,
        state_bytes: (u64, u64),
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
        let defaults = model::sampling_defaults(&model.name, |key| self.loaded.meta(key));
        let admission = Admission::new(Arc::clone(vocab), template, defaults, self.n_ctx, self.config.max_tokens);
        let admission = Arc::new(admission);
        let told = AtomicBool::new(false);
        Ready { admission, model, limits: self.limits, tuning, speculation, state_bytes, notices, told }
    }

    fn notices(&self, speculation: &SpeculationStatus) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut notice = |text: String| notices.push(Notice { kind: NoticeKind::Info, text });
        if self.is_builtin && self.config.model == "auto" {
            notice(model::builtin_notice());
        }
        if self.n_ctx < self.config.n_ctx {
            notice(format!("the context is {} tokens: the model was trained for no more", self.n_ctx));
        }
        // Only what somebody has asked for by name.
        if let (Some(reason), false) = (&speculation.reason, matches!(&*self.config.draft, "auto" | "none")) {
            notice(reason.clone());
        }
        notices
    }

    fn template(&self, vocab: &Arc<dyn Vocab>) -> Result<ChatTemplate, Notice> {
        let warning = |text: String| Notice { kind: NoticeKind::Warning, text };
        let Some(source) = self.loaded.chat_template() else {
            return Err(warning("the model has no chat template: the prompt goes to it as plain text".into()));
        };
        ChatTemplate::new(&source, vocab.bos_text(), vocab.eos_text(), &vocab.special_texts()).map_err(|error| {
            warning(format!("the model's chat template cannot be read ({error}): the prompt goes to it as plain text"))
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
        }
    }
}
