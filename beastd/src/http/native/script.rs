//! Answers of `/completion`, streamed and complete.

use beast_protocol::{Event, FinishReason, Logprob, TokenLogprob};
use serde_json::{Map, Value, json};

use super::request::{Completion, Wishes};
use crate::http::answers::Answer;
use crate::http::live::Live;
use crate::http::openai::{finite, timings};
use crate::http::refusal::{Dialect, Refusal};
use crate::http::stream::{Script, data};

/// llama-server's `id_slot` for "any": slots are internal to the scheduler.
const NO_SLOT: i32 = -1;

pub(super) fn whole(index: usize, completion: &Completion, answer: &Answer, wishes: &Wishes) -> Value {
    let content = if wishes.is_silent { "" } else { &answer.text };
    let tokens = if wishes.has_tokens && !wishes.is_silent { &answer.tokens[..] } else { &[] };
    let mut body = last(index, completion, answer, wishes, content, tokens);
    if !answer.logprobs.is_empty() && !wishes.is_silent {
        body["completion_probabilities"] = probabilities(&answer.logprobs, wishes.has_probabilities);
    }
    wanted(body, &wishes.response_fields)
}

fn last(
    index: usize,
    completion: &Completion,
    answer: &Answer,
    wishes: &Wishes,
    content: &str,
    tokens: &[i32],
) -> Value {
    let n_predicted = if wishes.is_silent { 0 } else { answer.usage.n_generated };
    let stop_type = match answer.reason {
        Some(FinishReason::Stop) => "eos",
        Some(FinishReason::StopText) => "word",
        Some(reason) if reason.is_cut() => "limit",
        _ => "none",
    };
    json!({
        "index": index,
        "content": content,
        "tokens": tokens,
        "id_slot": NO_SLOT,
        "stop": true,
        "model": answer.model,
        "tokens_predicted": n_predicted,
        "tokens_evaluated": answer.usage.n_prompt,
        "generation_settings": completion.settings,
        "prompt": completion.prompt,
        "has_new_line": answer.text.contains('\n'),
        "truncated": answer.reason == Some(FinishReason::ContextFull),
        "stop_type": stop_type,
        "stopping_word": answer.stop_text.as_deref().unwrap_or_default(),
        "tokens_cached": answer.usage.n_prompt + n_predicted,
        "timings": timings(&answer.usage, &answer.timings),
    })
}

/// Keeps only the fields at these paths, each under its full path.
fn wanted(body: Value, paths: &[String]) -> Value {
    if paths.is_empty() {
        return body;
    }
    let find = |path: &String| {
        let value = path.split('/').try_fold(&body, |value, name| value.get(name))?;
        Some((path.clone(), value.clone()))
    };
    Value::Object(paths.iter().filter_map(find).collect::<Map<_, _>>())
}

fn probabilities(tokens: &[TokenLogprob], are_plain: bool) -> Value {
    let one = |logprob: &Logprob| {
        let mut value = json!({
            "id": logprob.token,
            "token": String::from_utf8_lossy(&logprob.bytes),
            "bytes": logprob.bytes,
        });
        if are_plain {
            value["prob"] = logprob.logprob.exp().clamp(f32::MIN_POSITIVE, 1.0).into();
        } else {
            value["logprob"] = finite(logprob.logprob).into();
        }
        value
    };
    let list = tokens.iter().map(|token| {
        let mut value = one(&token.chosen);
        // Banned tokens have probability 0 and are left out.
        let is_told = |top: &&Logprob| !are_plain || top.logprob.exp() > 0.0;
        value[if are_plain { "top_probs" } else { "top_logprobs" }] =
            token.top.iter().filter(is_told).map(one).collect();
        value
    });
    list.collect()
}

pub(super) struct Partials {
    wishes: Wishes,
    choices: Vec<Choice>,
}

struct Choice {
    completion: Completion,
    answer: Answer,
    live: Live,
    n_told: u32,
}

impl Partials {
    pub(super) fn new(wishes: Wishes, completions: Vec<Completion>) -> Self {
        let choice = |completion| Choice { completion, answer: Answer::default(), live: Live::default(), n_told: 0 };
        Self { wishes, choices: completions.into_iter().map(choice).collect() }
    }
}

impl Choice {
    fn partial(&self, index: usize, content: &str, tokens: &[i32], wishes: &Wishes) -> Value {
        let mut partial = json!({
            "index": index,
            "content": content,
            "tokens": tokens,
            "stop": false,
            "id_slot": NO_SLOT,
            "tokens_predicted": self.n_told,
            "tokens_evaluated": self.live.n_prompt(),
        });
        if wishes.has_timings {
            partial["timings"] = self.live.timings();
        }
        partial
    }

    /// With probabilities, one chunk per token as in llama-server; otherwise one per piece.
    fn piece(
        &mut self,
        index: usize,
        text: &str,
        tokens: &[i32],
        logprobs: &[TokenLogprob],
        wishes: &Wishes,
        out: &mut Vec<u8>,
    ) {
        let n_parts = logprobs.len().max(1);
        for part in 0..n_parts {
            let is_last = part + 1 == n_parts;
            let of_part = if is_last { tokens.get(part..) } else { tokens.get(part..=part) }.unwrap_or_default();
            self.n_told += u32::try_from(of_part.len()).unwrap_or(0);
            let mut partial = self.partial(index, if is_last { text } else { "" }, of_part, wishes);
            if let Some(logprob) = logprobs.get(part) {
                partial["completion_probabilities"] =
                    probabilities(std::slice::from_ref(logprob), wishes.has_probabilities);
            }
            data(out, &partial);
        }
    }
}

impl Script for Partials {
    fn event(&mut self, index: usize, event: Event, out: &mut Vec<u8>) {
        let wishes = &self.wishes;
        let choice = &mut self.choices[index];
        choice.live.take(&event);
        match &event {
            Event::Progress { .. } if wishes.has_progress => {
                let mut partial = choice.partial(index, "", &[], wishes);
                partial["prompt_progress"] = choice.live.progress();
                data(out, &partial);
            }
            Event::Piece { text, tokens, logprobs, .. } if !wishes.is_silent => {
                choice.piece(index, text, tokens, logprobs, wishes, out);
            }
            _ => {}
        }
        let is_done = matches!(event, Event::Done { .. });
        choice.answer.take(event);
        if is_done {
            let body = last(index, &choice.completion, &choice.answer, wishes, "", &[]);
            data(out, &wanted(body, &wishes.response_fields));
        }
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        data(out, &refusal.json(Dialect::OpenAi));
    }

    // llama-server's own streams end with the last chunk of the answer.
    fn end(&mut self, _: &mut Vec<u8>) {}
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
