//! The first token of an answer, and the likely ones in its place with their log-probabilities.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use beast_protocol::{ErrorCode, Generate, Notice, Usage, WireError};
use serde_json::{Value, json};

use super::body;
use super::failure::Fault;
use super::model::{Attempt, NotAnswered, Upstream};
use super::server::{Asking, Server};
use super::sizes;

/// OpenAI's limit.
const N_TOP: u32 = 20;

/// What a server would write first.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstToken {
    /// The model that computed it.
    pub model: String,
    /// The likeliest tokens with their log-probabilities.
    pub likely: Vec<(String, f32)>,
    pub usage: Usage,
    /// What was dropped of the request.
    pub notice: Option<Notice>,
}

/// One question. A server may not know how to switch thoughts off: then it is asked without that.
struct Asked<'a> {
    body: Value,
    /// Whether the server knows `chat_template_kwargs`.
    takes_kwargs: &'a AtomicBool,
}

impl Attempt for Asked<'_> {
    type Answer = Value;

    async fn ask(&mut self, server: &Server, asking: &Asking<'_>) -> Result<Value, Fault> {
        let path = "/chat/completions";
        if !self.takes_kwargs.load(Relaxed) {
            return server.document(asking, path, &self.body.to_string()).await;
        }
        let mut without_thoughts = self.body.clone();
        without_thoughts["chat_template_kwargs"]["enable_thinking"] = false.into();
        let outcome = server.document(asking, path, &without_thoughts.to_string()).await;
        match &outcome {
            Err(Fault::Refused { status: 400 | 422, words, .. }) if words.contains("chat_template_kwargs") => {
                self.takes_kwargs.store(false, Relaxed);
                server.document(asking, path, &self.body.to_string()).await
            }
            _ => outcome,
        }
    }
}

impl Upstream {
    pub(super) async fn first_token(&self, request: &Generate) -> Result<FirstToken, NotAnswered> {
        self.key()?;
        let about = self.about().await;
        let mut request = Generate { max_tokens: Some(1), ..request.clone() };
        let n_prompt = self.n_prompt(&request, &about).await;
        let notice = sizes::fit(&mut request, n_prompt, about.context, &self.config.name);
        let notice = notice.map_err(NotAnswered::finally)?;
        let mut body = body::body(&request, about.model()).map_err(NotAnswered::finally)?;
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| !name.starts_with("stream"));
            fields.extend([("logprobs".into(), true.into()), ("top_logprobs".into(), json!(N_TOP))]);
        }
        let answer = self.ask(&mut Asked { body, takes_kwargs: &self.takes_kwargs }).await?;
        let likely = likely(&answer).ok_or_else(|| {
            let text = format!(
                "upstream {} ({}) tells no log-probabilities of its first token, which decisions are made of; try: \
                 pass a local model",
                self.config.name,
                self.config.urls.join(", ")
            );
            NotAnswered::finally(WireError::new(ErrorCode::Invalid, text))
        })?;
        let counted = |field: &str| answer["usage"][field].as_u64().and_then(|n| u32::try_from(n).ok());
        let estimated = u32::try_from(n_prompt).unwrap_or(u32::MAX);
        let n_cached = answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0);
        let usage = Usage {
            n_prompt: counted("prompt_tokens").unwrap_or(estimated),
            n_cached: u32::try_from(n_cached).unwrap_or(u32::MAX),
            ..Usage::default()
        };
        self.note(Usage { n_generated: 1, ..usage });
        Ok(FirstToken { model: self.full_name(&about), likely, usage, notice })
    }
}

/// The likeliest first tokens; `None` if the answer has none with a log-probability.
fn likely(answer: &Value) -> Option<Vec<(String, f32)>> {
    let first = &answer["choices"][0]["logprobs"]["content"][0];
    #[expect(clippy::cast_possible_truncation, reason = "the server computes in single precision at most")]
    let of = |one: &Value| Some((one["token"].as_str()?.to_owned(), one["logprob"].as_f64()? as f32));
    let likely: Vec<_> = first["top_logprobs"].as_array()?.iter().filter_map(of).collect();
    (!likely.is_empty()).then_some(likely)
}

#[cfg(test)]
#[path = "first_token_tests.rs"]
mod tests;
