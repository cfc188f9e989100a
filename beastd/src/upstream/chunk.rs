//! The chunks of a stream as our events. Pure: neither sockets nor clocks.

use beast_protocol::{Delta, Event, FinishReason, Usage};
use serde::Deserialize;
use serde_json::Value;

use super::failure::{Fault, words_of};

/// What a server has said of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) reason: Option<FinishReason>,
    /// The stop string that ended it, if the server says which.
    pub(super) stop_text: Option<String>,
    pub(super) usage: Option<Usage>,
    /// Bytes of everything that was generated, to estimate its tokens if the server does not count.
    pub(super) n_bytes: usize,
    /// Whether `[DONE]` has come.
    pub(super) is_done: bool,
    /// Indexes of the calls that have begun.
    calls: Vec<u32>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Counts>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    delta: Option<More>,
    finish_reason: Option<String>,
    /// vLLM's: a stop string, or the number of a token.
    stop_reason: Option<Value>,
}

#[derive(Default, Deserialize)]
struct More {
    content: Option<String>,
    refusal: Option<String>,
    /// Servers use one of two names; some send both.
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<CallPart>>,
}

#[derive(Deserialize)]
struct CallPart {
    #[serde(default)]
    index: u32,
    id: Option<String>,
    function: Option<FunctionPart>,
}

#[derive(Deserialize)]
struct FunctionPart {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
    prompt_tokens_details: Option<Cached>,
}

#[derive(Deserialize)]
struct Cached {
    cached_tokens: Option<u32>,
}

impl Said {
    /// Takes the data of an event; returns the piece of the answer in it.
    ///
    /// # Errors
    /// [`Fault`], also for an error that the server reports within its stream.
    pub(super) fn take(&mut self, data: &str, now_us: u64) -> Result<Option<Event>, Fault> {
        if data.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(None);
        }
        if self.is_done {
            return Ok(None);
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| Fault::NotJson(error.to_string()))?;
        if let Some(error) = &chunk.error {
            return Err(Fault::Reported(words_of(error).unwrap_or_else(|| error.to_string())));
        }
        if let Some(counts) = chunk.usage {
            let n_cached = counts.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
            let (n_prompt, n_generated) = (counts.prompt_tokens, counts.completion_tokens);
            self.usage = Some(Usage { n_prompt, n_cached, n_generated, ..Usage::default() });
        }
        // Only one answer was asked for.
        let Some(choice) = chunk.choices.into_iter().find(|choice| choice.index == 0) else { return Ok(None) };
        // The answer has ended.
        if self.reason.is_some() {
            return Ok(None);
        }
        let (text, deltas) = self.deltas(choice.delta.unwrap_or_default());
        if let Some(reason) = choice.finish_reason {
            self.reason = Some(finish_reason(&reason)?);
            self.stop_text = choice.stop_reason.and_then(|text| text.as_str().map(str::to_owned));
        }
        if text.is_empty() && deltas.is_empty() {
            return Ok(None);
        }
        Ok(Some(Event::Piece { text, tokens: Vec::new(), sampled_at_us: now_us, deltas, logprobs: Vec::new() }))
    }

    /// The content, and its parts if not all of it is content.
    fn deltas(&mut self, more: More) -> (String, Vec<Delta>) {
        let text = more.content.unwrap_or_default() + &more.refusal.unwrap_or_default();
        let reasoning = more.reasoning_content.or(more.reasoning).unwrap_or_default();
        self.n_bytes += text.len() + reasoning.len();
        let mut deltas = Vec::new();
        if !reasoning.is_empty() {
            deltas.push(Delta::Reasoning(reasoning));
        }
        for CallPart { index, id, function } in more.tool_calls.unwrap_or_default() {
            let FunctionPart { name, arguments } = function.unwrap_or(FunctionPart { name: None, arguments: None });
            if !self.calls.contains(&index) {
                self.calls.push(index);
                let id = id.unwrap_or_else(|| format!("call_{index}"));
                deltas.push(Delta::Call { index, id, name: name.unwrap_or_default() });
            }
            let text = arguments.unwrap_or_default();
            self.n_bytes += text.len();
            if !text.is_empty() {
                deltas.push(Delta::Arguments { index, text });
            }
        }
        if !deltas.is_empty() && !text.is_empty() {
            deltas.push(Delta::Text(text.clone()));
        }
        (text, deltas)
    }
}

fn finish_reason(word: &str) -> Result<FinishReason, Fault> {
    match word {
        "stop" | "tool_calls" | "function_call" => Ok(FinishReason::Stop),
        "length" => Ok(FinishReason::MaxTokens),
        other => Err(Fault::Reported(format!("it ended the answer with finish_reason {other}"))),
    }
}

#[cfg(test)]
#[path = "chunk_tests.rs"]
mod tests;
