//! OpenAI's dialect: what its routes share.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
mod messages;
pub(crate) mod models;
mod params;
pub(crate) mod responses;
mod tools;

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use beast_protocol::{FinishReason, Logprob, Timings, TokenLogprob, ToolCall, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use messages::messages;
pub(crate) use params::{Streaming, constraint, priority, sampling, streaming};
pub(crate) use tools::{choice, flat_functions, functions};

/// The id and names that all parts of an answer repeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    id: String,
    created: u64,
    object: Cow<'static, str>,
    /// The actual name of the model, known once the answer starts.
    pub(crate) model: String,
}

impl Identity {
    pub(crate) fn new(prefix: &str, object: &'static str, model: String) -> Self {
        Self { id: format!("{prefix}-{}", super::ids::random_id(24)), created: now_s(), object: object.into(), model }
    }

    /// A chunk or answer without its choices.
    pub(crate) fn part(&self) -> Value {
        json!({
            "id": self.id,
            "object": self.object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": fingerprint(),
            "choices": [],
        })
    }
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// `system_fingerprint`. It starts with a `b`, as clients of llama-server expect.
pub(crate) fn fingerprint() -> String {
    format!("beast-{}", crate::shared::VERSION)
}

/// OpenAI's name for a finish reason.
pub(crate) fn finish_reason(reason: Option<FinishReason>, has_calls: bool) -> &'static str {
    match reason {
        Some(reason) if reason.is_cut() => "length",
        _ if has_calls => "tool_calls",
        _ => "stop",
    }
}

/// Total usage of all answers; their common prompt counts once, because it is computed once.
pub(crate) fn usage(usages: &[Usage]) -> Value {
    let prompt = usages.first().map_or(0, |usage| usage.n_prompt);
    let cached = usages.first().map_or(0, |usage| usage.n_cached);
    let generated: u32 = usages.iter().map(|usage| usage.n_generated).sum();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": generated,
        "total_tokens": prompt + generated,
        "prompt_tokens_details": { "cached_tokens": cached },
    })
}

/// llama-server's `timings`: milliseconds, and tokens per second.
pub(crate) fn timings(usage: &Usage, timings: &Timings) -> Value {
    let ms = |us: u64| us as f64 / 1000.0;
    let n_prompt = usage.n_prompt.saturating_sub(usage.n_cached);
    let (prompt_ms, predicted_ms) = (ms(timings.prefill_us), ms(timings.decode_us));
    let per_token = |ms: f64, n: u32| if n == 0 { 0.0 } else { ms / f64::from(n) };
    let per_second = |ms: f64, n: u32| if ms > 0.0 { 1000.0 / ms * f64::from(n) } else { 0.0 };
    // The last prefill step yields the first token; decoding starts after it.
    let n_decoded = usage.n_generated.saturating_sub(1);
    let mut value = json!({
        "cache_n": usage.n_cached,
        "prompt_n": n_prompt,
        "prompt_ms": prompt_ms,
        "prompt_per_token_ms": per_token(prompt_ms, n_prompt),
        "prompt_per_second": per_second(prompt_ms, n_prompt),
        "predicted_n": usage.n_generated,
        "predicted_ms": predicted_ms,
        "predicted_per_token_ms": per_token(predicted_ms, n_decoded),
        "predicted_per_second": per_second(predicted_ms, n_decoded),
    });
    if usage.n_drafted > 0 {
        value["draft_n"] = usage.n_drafted.into();
        value["draft_n_accepted"] = usage.n_accepted.into();
    }
    value
}

/// The log-probabilities of chat answers.
pub(crate) fn logprobs(tokens: &[TokenLogprob]) -> Value {
    let one = |logprob: &Logprob| {
        json!({
            "token": String::from_utf8_lossy(&logprob.bytes),
            "bytes": logprob.bytes,
            "logprob": finite(logprob.logprob),
        })
    };
    let content: Vec<Value> = tokens
        .iter()
        .map(|token| {
            let mut value = one(&token.chosen);
            value["top_logprobs"] = token.top.iter().map(one).collect();
            value
        })
        .collect();
    json!({ "content": content, "refusal": null })
}

/// Replaces infinities, which JSON lacks: OpenAI writes -9999 for a nearly impossible token.
pub(crate) fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() { logprob.min(0.0) } else { -9999.0 }
}

/// A complete function call.
pub(crate) fn tool_call(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}
