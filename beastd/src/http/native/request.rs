//! Parses the body of `/completion` into requests.

use beast_protocol::{Generate, RawPrompt};
use serde_json::{Map, Value, json};

use super::settings;
use crate::admission::Admission;
use crate::batch::Token;
use crate::engine::Vocab;
use crate::http::fields::{Fields, whole_number};
use crate::http::openai::{self, chat};
use crate::http::prompts;
use crate::http::refusal::Refusal;
use crate::http::vocabulary::Pieces;
use crate::sampling::SamplingDefaults;

/// Most prompts per request; each becomes a request in the queue.
const MAX_PROMPTS: usize = 64;
/// Most alternatives per token.
const MAX_PROBS: i64 = 100;
/// Far above any meaningful temperature, because llama-server accepts such values.
const MAX_TEMP: f64 = 1e6;

/// Options that affect the response, not the generation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wishes {
    pub(super) is_stream: bool,
    pub(super) has_tokens: bool,
    pub(super) has_timings: bool,
    pub(super) has_progress: bool,
    /// Whether to prefill the prompt without generating.
    pub(super) is_silent: bool,
    /// Whether to report probabilities instead of log-probabilities.
    pub(super) has_probabilities: bool,
    /// Paths of the requested fields; empty for all.
    pub(super) response_fields: Vec<String>,
    /// Whether the response is an array.
    pub(super) is_list: bool,
}

/// A request with the values that its response repeats.
#[derive(Debug, Clone)]
pub(super) struct Completion {
    pub(super) request: Generate,
    /// The prompt as text, including control tokens.
    pub(super) prompt: String,
    pub(super) settings: Value,
}

#[derive(Debug)]
pub(super) struct Completions {
    pub(super) wishes: Wishes,
    pub(super) all: Vec<Completion>,
}

/// Reads a body. Takes time proportional to its text.
pub(super) fn read(
    body: &Map<String, Value>,
    admission: &Admission,
    defaults: SamplingDefaults,
    max_tokens: usize,
) -> Result<Completions, Refusal> {
    let vocab = admission.vocab();
    let body = with_token_biases(body, vocab)?;
    let fields = Fields::new(&body);
    let asked = max_predict(&fields)?;
    let request = generate(&fields, asked)?;
    let prompts = prompts::read("prompt", fields.value("prompt"), MAX_PROMPTS, vocab)?;
    let wishes = wishes(&fields, asked == Some(0), &prompts)?;
    let n_predict = asked.unwrap_or_else(|| i64::try_from(max_tokens).unwrap_or(-1));
    let mut settings = settings::of(&request, defaults, n_predict, &never(&request, vocab));
    settings["stream"] = wishes.is_stream.into();
    settings["timings_per_token"] = wishes.has_timings.into();
    settings["post_sampling_probs"] = wishes.has_probabilities.into();
    let mut pieces = Pieces::new(vocab);
    let mut completion = |raw: RawPrompt| {
        let prompt = match &raw {
            RawPrompt::Text(text) if vocab.adds_bos() && !text.starts_with(&vocab.bos_text()) => {
                vocab.bos_text() + text
            }
            RawPrompt::Text(text) => text.clone(),
            RawPrompt::Tokens(tokens) => pieces.text(tokens)?,
        };
        Ok(Completion { request: Generate { raw: Some(raw), ..request.clone() }, prompt, settings: settings.clone() })
    };
    let all = prompts.into_iter().map(&mut completion).collect::<Result<_, Refusal>>()?;
    Ok(Completions { wishes, all })
}

fn generate(fields: &Fields<'_>, asked: Option<i64>) -> Result<Generate, Refusal> {
    let n_probs = fields.integer("n_probs", 0..=MAX_PROBS)?.unwrap_or(0);
    Ok(Generate {
        sampling: openai::sampling(fields, MAX_TEMP)?,
        max_tokens: asked.map(|n| match n {
            // Limited only by the context.
            -1 => u32::MAX,
            n => u32::try_from(n).unwrap_or(u32::MAX).max(1),
        }),
        stop: chat::stop(fields)?,
        ignore_eos: fields.flag("ignore_eos")?.unwrap_or(false),
        constraint: openai::constraint(fields)?,
        logprobs: (n_probs > 0).then(|| u32::try_from(n_probs).unwrap_or(0)),
        ..Generate::default()
    })
}

fn max_predict(fields: &Fields<'_>) -> Result<Option<i64>, Refusal> {
    for name in ["n_predict", "max_tokens"] {
        // Both -2 and -1 mean "until the context is full".
        if let Some(n) = fields.integer(name, -2..=i64::from(i32::MAX))? {
            return Ok(Some(n.max(-1)));
        }
    }
    Ok(None)
}

fn wishes(fields: &Fields<'_>, is_silent: bool, prompts: &[RawPrompt]) -> Result<Wishes, Refusal> {
    const MAX_FIELDS: usize = 64;
    Ok(Wishes {
        is_stream: fields.flag("stream")?.unwrap_or(false),
        has_tokens: fields.flag("return_tokens")?.unwrap_or(false),
        has_timings: fields.flag("timings_per_token")?.unwrap_or(false),
        has_progress: fields.flag("return_progress")?.unwrap_or(false),
        is_silent,
        has_probabilities: fields.flag("post_sampling_probs")?.unwrap_or(false),
        response_fields: fields.texts("response_fields", MAX_FIELDS)?,
        is_list: prompts.len() > 1,
    })
}

/// End-of-turn tokens to ban, for a request with `ignore_eos`.
fn never(request: &Generate, vocab: &dyn Vocab) -> Vec<i32> {
    if !request.ignore_eos {
        return Vec::new();
    }
    let n_tokens = i32::try_from(vocab.n_tokens()).unwrap_or(i32::MAX);
    (0..n_tokens).filter(|&token| vocab.is_end(Token(token))).collect()
}

/// llama-server's biases may name strings: the bias then applies to each token of the string.
fn with_token_biases(body: &Map<String, Value>, vocab: &dyn Vocab) -> Result<Map<String, Value>, Refusal> {
    let wrong =
        || Refusal::invalid_field("logit_bias", "invalid logit_bias: expected pairs of a token or text and a number");
    let pairs: Vec<(Value, Value)> = match body.get("logit_bias") {
        Some(Value::Object(object)) => {
            object.iter().map(|(name, bias)| (Value::String(name.clone()), bias.clone())).collect()
        }
        Some(Value::Array(list)) => {
            let pair = |item: &Value| match item.as_array().map(Vec::as_slice) {
                Some([name, bias]) => Ok((name.clone(), bias.clone())),
                _ => Err(wrong()),
            };
            list.iter().map(pair).collect::<Result<_, _>>()?
        }
        _ => return Ok(body.clone()),
    };
    let mut biases = Vec::new();
    for (name, bias) in pairs {
        match name {
            Value::String(text) if text.parse::<i32>().is_ok() => {
                biases.push(json!([text.parse::<i32>().unwrap_or(0), bias]));
            }
            Value::String(text) => {
                let tokens = vocab.tokenize(&text, false, false);
                biases.extend(tokens.into_iter().map(|token| json!([token.0, bias.clone()])));
            }
            token if whole_number(&token).is_some() => biases.push(json!([token, bias])),
            _ => return Err(wrong()),
        }
    }
    // Strings may share tokens; the last bias of a token counts.
    let mut body = body.clone();
    let mut seen = std::collections::HashSet::new();
    biases.reverse();
    biases.retain(|pair| seen.insert(pair[0].to_string()));
    biases.reverse();
    body.insert("logit_bias".into(), biases.into());
    Ok(body)
}
