//! `/v1/completions`: continues a prompt without a chat template.

use beast_protocol::{Delta, Event, Generate, Logprob, RawPrompt, TokenLogprob, Usage};
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::chat::{choices, max_tokens, stop};
use super::{Identity, Streaming, finish_reason, finite, timings, usage};
use crate::http::answers::{Answers, deltas_of};
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::{Fields, whole_number};
use crate::http::models;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::stream::{self, Script, data};

/// Most answers per request: prompts times `n`.
const MAX_CHOICES: usize = 64;
/// Most alternatives per token.
const MAX_LOGPROBS: i64 = 20;

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let model = models::named(&asked.client.shared, fields.text("model")?).await?;
    let Streaming { is_stream, has_usage } = super::streaming(&fields)?;
    let request = Generate { model, priority: super::priority(&asked.headers)?, ..generate(&fields)? };
    let n = usize::try_from(fields.integer("n", 1..=64)?.unwrap_or(1)).unwrap_or(1);
    let prompts = prompts(&fields)?;
    if prompts.len() * n > MAX_CHOICES {
        return Err(Refusal::invalid_field("n", format!("invalid n: at most {MAX_CHOICES} answers per request")));
    }
    let echoes = echoes(&fields, &prompts, n)?;
    let mut requests = Vec::new();
    for prompt in prompts {
        requests.extend(choices(Generate { raw: Some(prompt), ..request.clone() }, n)?);
    }
    let n_answers = requests.len();
    let answers = Answers::begin(&asked.client.shared, requests).await?;
    let identity = Identity::new("cmpl", "text_completion", String::new());
    if is_stream {
        let usages = vec![Usage::default(); n_answers];
        let script = Chunks { identity, has_usage, usages, timings: None, echoes, n_chars: vec![0; n_answers] };
        return Ok(stream::reply(answers, script, asked.client.line));
    }
    Ok(stream::whole(&asked.client.line, async move {
        let answers = match answers.collect(n_answers).await {
            Ok(answers) => answers,
            Err(error) => return Refusal::from(error).reply(Dialect::OpenAi),
        };
        let mut body = Identity { model: answers[0].model.clone(), ..identity }.part();
        let all = answers.iter().zip(&echoes).enumerate().map(|(index, (answer, echo))| {
            let logprobs = logprobs(&answer.logprobs, echo.chars().count());
            choice(index, &format!("{echo}{}", answer.text), logprobs, Some(finish_reason(answer.reason, false)))
        });
        body["choices"] = all.collect();
        body["usage"] = total(&answers.iter().map(|answer| answer.usage).collect::<Vec<_>>(), n);
        body["timings"] = timings(&answers[0].usage, &answers[0].timings);
        json_reply(StatusCode::OK, &body)
    })
    .await)
}

/// Total usage: each prompt counts once, however many answers it gets.
fn total(usages: &[Usage], n: usize) -> Value {
    let mut total = usage(usages);
    let prompt: u32 = usages.iter().step_by(n).map(|usage| usage.n_prompt).sum();
    let generated: u32 = usages.iter().map(|usage| usage.n_generated).sum();
    total["prompt_tokens"] = prompt.into();
    total["total_tokens"] = (prompt + generated).into();
    total
}

fn generate(fields: &Fields<'_>) -> Result<Generate, Refusal> {
    if fields.text("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Refusal::invalid_field("suffix", "suffix is not supported; try: leave it out"));
    }
    Ok(Generate {
        sampling: super::sampling(fields, 2.0)?,
        max_tokens: Some(max_tokens(fields, &["max_tokens", "n_predict"])?.unwrap_or(16)),
        stop: stop(fields)?,
        ignore_eos: fields.flag("ignore_eos")?.unwrap_or(false),
        constraint: super::constraint(fields)?,
        logprobs: match fields.value("logprobs") {
            // Some clients send the chat route's boolean here.
            Some(Value::Bool(wanted)) => wanted.then_some(0),
            _ => fields.integer("logprobs", 0..=MAX_LOGPROBS)?.and_then(|n| u32::try_from(n).ok()),
        },
        ..Generate::default()
    })
}

/// Reads `prompt`: a string, strings, tokens, or arrays of tokens.
fn prompts(fields: &Fields<'_>) -> Result<Vec<RawPrompt>, Refusal> {
    let wrong = || fields.wrong("prompt", "a string, tokens, or an array of those");
    match fields.value("prompt") {
        Some(Value::Array(list)) if !list.is_empty() => {
            if let Some(tokens) = tokens(list) {
                return Ok(vec![RawPrompt::Tokens(tokens)]);
            }
            list.iter().map(|item| prompt(item).ok_or_else(wrong)).collect()
        }
        Some(value) => Ok(vec![prompt(value).ok_or_else(wrong)?]),
        None => Err(wrong()),
    }
}

fn prompt(value: &Value) -> Option<RawPrompt> {
    match value {
        Value::String(text) => Some(RawPrompt::Text(text.clone())),
        Value::Array(list) => tokens(list).map(RawPrompt::Tokens),
        _ => None,
    }
}

fn tokens(list: &[Value]) -> Option<Vec<i32>> {
    list.iter().map(|value| i32::try_from(whole_number(value)?).ok()).collect()
}

fn echoes(fields: &Fields<'_>, prompts: &[RawPrompt], n: usize) -> Result<Vec<String>, Refusal> {
    let is_wanted = fields.flag("echo")?.unwrap_or(false);
    let echo = |prompt: &RawPrompt| match prompt {
        RawPrompt::Text(text) if is_wanted => Ok(text.clone()),
        RawPrompt::Tokens(_) if is_wanted => {
            Err(Refusal::invalid_field("echo", "echo needs a text prompt; try: send a string"))
        }
        _ => Ok(String::new()),
    };
    let each = prompts.iter().map(echo).collect::<Result<Vec<_>, _>>()?;
    Ok(each.into_iter().flat_map(|echo| vec![echo; n]).collect())
}

fn choice(index: usize, text: &str, logprobs: Value, finish: Option<&str>) -> Value {
    json!({ "index": index, "text": text, "logprobs": logprobs, "finish_reason": finish })
}

/// Log-probabilities in the format of this route. `offset` is the position of the first token, in characters of the
/// text.
fn logprobs(all: &[TokenLogprob], mut offset: usize) -> Value {
    if all.is_empty() {
        return Value::Null;
    }
    let text = |logprob: &Logprob| String::from_utf8_lossy(&logprob.bytes).into_owned();
    let (mut tokens, mut values, mut tops, mut offsets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for token in all {
        let chosen = text(&token.chosen);
        offsets.push(offset);
        offset += chosen.chars().count();
        tokens.push(chosen);
        values.push(finite(token.chosen.logprob));
        let top: Map<String, Value> = token.top.iter().map(|top| (text(top), finite(top.logprob).into())).collect();
        tops.push(top);
    }
    json!({ "tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets })
}

struct Chunks {
    identity: Identity,
    has_usage: bool,
    usages: Vec<Usage>,
    timings: Option<Value>,
    echoes: Vec<String>,
    n_chars: Vec<usize>,
}

impl Chunks {
    fn chunk(&self, choice: Value, out: &mut Vec<u8>) {
        let mut part = self.identity.part();
        part["choices"] = json!([choice]);
        if self.has_usage {
            part["usage"] = Value::Null;
        }
        data(out, &part);
    }
}

impl Script for Chunks {
    fn event(&mut self, index: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { model, .. } => {
                self.identity.model = model;
                let echo = std::mem::take(&mut self.echoes[index]);
                self.n_chars[index] = echo.chars().count();
                if !echo.is_empty() {
                    self.chunk(choice(index, &echo, Value::Null, None), out);
                }
            }
            Event::Piece { text, deltas, logprobs: tokens, .. } => {
                let said = deltas_of(text, deltas).into_iter().filter_map(|delta| match delta {
                    Delta::Text(text) => Some(text),
                    _ => None,
                });
                let text: String = said.collect();
                let logprobs = logprobs(&tokens, self.n_chars[index]);
                self.n_chars[index] += text.chars().count();
                self.chunk(choice(index, &text, logprobs, None), out);
            }
            Event::Done { reason, usage, timings: times, .. } => {
                self.usages[index] = usage;
                self.timings = Some(timings(&usage, &times));
                self.chunk(choice(index, "", Value::Null, Some(finish_reason(Some(reason), false))), out);
            }
            _ => {}
        }
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        data(out, &refusal.json(Dialect::OpenAi));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.has_usage {
            let mut part = self.identity.part();
            part["usage"] = total(&self.usages, 1);
            part["timings"] = self.timings.take().unwrap_or_default();
            data(out, &part);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
