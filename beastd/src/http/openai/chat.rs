//! The route `/v1/chat/completions`.

use beast_protocol::{Delta, Event, Generate, Role, TemplateOptions, TokenLogprob, Tools, Usage};
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::{Identity, Streaming, finish_reason, logprobs, timings, tool_call, usage};
use crate::http::answers::{Answer, Answers, deltas_of};
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::live::Live;
use crate::http::models;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::resumable;
use crate::http::stream::{self, Script, data};
use crate::http::vocabulary::hold;

/// Most answers per request.
const MAX_CHOICES: i64 = 64;
/// Most alternatives per token.
const MAX_TOP_LOGPROBS: i64 = 20;

/// Options that affect the response, not the generation.
#[derive(Debug, Clone, Copy)]
struct Wishes {
    n_choices: usize,
    is_stream: bool,
    has_usage: bool,
    has_timings: bool,
    has_logprobs: bool,
    has_progress: bool,
}

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let model = models::named(&asked.client.shared, fields.text("model")?).await?;
    let wishes = wishes(&fields)?;
    let request = Generate { model, priority: super::priority(&asked.headers)?, ..generate(&fields)? };
    let verbose = verbose(&asked, &request).await?;
    let requests = choices(request, wishes.n_choices)?;
    let identity = Identity::new("chatcmpl", "chat.completion", String::new());
    if let Some(id) = resumable::id(&asked.headers)?.filter(|_| wishes.is_stream) {
        let script = Chunks::new(identity.clone(), wishes, verbose);
        return resumable::begin(&asked, id, requests, identity, script).await;
    }
    let answers = Answers::begin(&asked.client.shared, requests).await?;
    if wishes.is_stream {
        return Ok(stream::reply(answers, Chunks::new(identity, wishes, verbose), asked.client.line));
    }
    Ok(stream::whole(&asked.client.line, async move {
        match answers.collect(wishes.n_choices).await {
            Ok(answers) => json_reply(StatusCode::OK, &with_verbose(whole(&identity, &answers, wishes), verbose)),
            Err(error) => Refusal::from(error).reply(Dialect::OpenAi),
        }
    })
    .await)
}

/// The rendered prompt, which llama-server adds to the response for `verbose`.
async fn verbose(asked: &Asked, request: &Generate) -> Result<Option<Value>, Refusal> {
    if !Fields::new(&asked.body).flag("verbose")?.unwrap_or(false) {
        return Ok(None);
    }
    let request = request.clone();
    let held = hold(&asked.client, request.model.as_deref()).await?;
    let prompt = held.beside(move |admission| Ok(admission.rendered(&request)?)).await?;
    Ok(Some(json!({ "prompt": prompt })))
}

fn with_verbose(mut body: Value, verbose: Option<Value>) -> Value {
    if let Some(verbose) = verbose {
        body["__verbose"] = verbose;
    }
    body
}

/// `n` copies of the same request; with a seed, each gets a different one.
///
/// # Errors
/// 400 when the copies would take more memory than any answerable prompt.
pub(super) fn choices(request: Generate, n: usize) -> Result<Vec<Generate>, Refusal> {
    const MAX_COPIED: usize = 64 * 1024 * 1024;
    if n > 1 && request.n_bytes().saturating_mul(n) > MAX_COPIED {
        return Err(Refusal::invalid_field(
            "n",
            "invalid n: too many answers for a request of this size; try: set n to 1",
        ));
    }
    let mut requests = vec![request; n];
    for (n, request) in (0..).zip(&mut requests) {
        request.sampling.seed = request.sampling.seed.map(|seed| seed.wrapping_add(n));
    }
    Ok(requests)
}

/// Builds the script of a streamed answer.
pub(crate) fn script(fields: &Fields<'_>, identity: Identity) -> Result<Chunks, Refusal> {
    Ok(Chunks::new(identity, wishes(fields)?, None))
}

fn wishes(fields: &Fields<'_>) -> Result<Wishes, Refusal> {
    let Streaming { is_stream, has_usage } = super::streaming(fields)?;
    Ok(Wishes {
        n_choices: usize::try_from(fields.integer("n", 1..=MAX_CHOICES)?.unwrap_or(1)).unwrap_or(1),
        is_stream,
        has_usage,
        has_timings: fields.flag("timings_per_token")?.unwrap_or(false),
        has_logprobs: fields.flag("logprobs")?.unwrap_or(false),
        has_progress: fields.flag("return_progress")?.unwrap_or(false),
    })
}

/// Reads a conversation and its options.
pub(crate) fn generate(fields: &Fields<'_>) -> Result<Generate, Refusal> {
    let messages = super::messages(fields)?;
    let has_logprobs = fields.flag("logprobs")?.unwrap_or(false);
    let n_top = fields.integer("top_logprobs", 0..=MAX_TOP_LOGPROBS)?;
    if n_top.is_some_and(|n| n > 0) && !has_logprobs {
        return Err(Refusal::invalid_field("top_logprobs", "top_logprobs needs logprobs: true"));
    }
    let template = template(fields, &messages)?;
    Ok(Generate {
        messages,
        template,
        tools: Tools {
            functions: super::functions(fields)?,
            choice: super::choice(fields)?,
            only_one: fields.flag("parallel_tool_calls")? == Some(false),
        },
        sampling: super::sampling(fields, 2.0)?,
        max_tokens: max_tokens(fields, &["max_completion_tokens", "max_tokens", "n_predict"])?,
        stop: stop(fields)?,
        ignore_eos: fields.flag("ignore_eos")?.unwrap_or(false),
        constraint: super::constraint(fields)?,
        logprobs: has_logprobs.then(|| n_top.and_then(|n| u32::try_from(n).ok()).unwrap_or(0)),
        ..Generate::default()
    })
}

/// Stop strings; empty ones are ignored.
pub(crate) fn stop(fields: &Fields<'_>) -> Result<Vec<String>, Refusal> {
    const MAX_STOPS: usize = 64;
    let mut stop = fields.texts("stop", MAX_STOPS)?;
    stop.retain(|text| !text.is_empty());
    Ok(stop)
}

/// The first of these fields that is present; -1 means limited only by the context.
pub(crate) fn max_tokens(fields: &Fields<'_>, names: &[&str]) -> Result<Option<u32>, Refusal> {
    for name in names {
        match fields.integer(name, -1..=i64::from(i32::MAX))? {
            None => {}
            Some(-1) => return Ok(Some(u32::MAX)),
            Some(0) => return Err(fields.wrong(name, "at least 1")),
            Some(n) => return Ok(u32::try_from(n).ok()),
        }
    }
    Ok(None)
}

fn template(fields: &Fields<'_>, messages: &[beast_protocol::Message]) -> Result<TemplateOptions, Refusal> {
    let is_assistants =
        |message: &beast_protocol::Message| message.role == Role::Assistant && message.tool_calls.is_empty();
    if let [.., one, last] = messages
        && is_assistants(one)
        && is_assistants(last)
    {
        return Err(Refusal::invalid_field("messages", "only one assistant message can be continued"));
    }
    let continues = fields.flag("continue_final_message")?;
    if continues == Some(true) && fields.flag("add_generation_prompt")? == Some(true) {
        return Err(Refusal::invalid("continue_final_message and add_generation_prompt exclude each other"));
    }
    let is_last = messages.last().is_some_and(is_assistants);
    if continues == Some(true) && !is_last {
        return Err(Refusal::invalid_field("continue_final_message", "the last message is not an assistant message"));
    }
    let mut variables = fields.object("chat_template_kwargs")?.cloned().unwrap_or_default();
    // The client wants the conversation rendered as it is, even if its last message is the assistant's.
    let is_finished = fields.flag("add_generation_prompt")? == Some(false);
    if is_finished {
        variables.insert("add_generation_prompt".into(), false.into());
    }
    let thinking = match fields.text("reasoning_effort")? {
        Some("none" | "minimal") => Some(false),
        Some("low" | "medium" | "high" | "xhigh") => Some(true),
        Some(_) => return Err(fields.wrong("reasoning_effort", "none, minimal, low, medium, high or xhigh")),
        None => None,
    };
    let in_variables = variables.get("enable_thinking").and_then(Value::as_bool);
    Ok(TemplateOptions {
        thinking: in_variables.or(thinking),
        variables: if variables.is_empty() { String::new() } else { Value::Object(variables).to_string() },
        continue_last: continues.unwrap_or(is_last && !is_finished),
    })
}

fn whole(identity: &Identity, answers: &[Answer], wishes: Wishes) -> Value {
    let mut body = Identity { model: answers[0].model.clone(), ..identity.clone() }.part();
    body["choices"] = answers.iter().enumerate().map(|(n, answer)| choice(n, answer, wishes)).collect();
    body["usage"] = usage(&answers.iter().map(|answer| answer.usage).collect::<Vec<_>>());
    body["timings"] = timings(&answers[0].usage, &answers[0].timings);
    body
}

fn choice(index: usize, answer: &Answer, wishes: Wishes) -> Value {
    let has_calls = !answer.calls.is_empty();
    let content = if has_calls && answer.text.is_empty() { Value::Null } else { answer.text.clone().into() };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = answer.reasoning.clone().into();
        message["reasoning"] = answer.reasoning.clone().into();
    }
    if has_calls {
        message["tool_calls"] = answer.calls.iter().map(tool_call).collect();
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": if wishes.has_logprobs { logprobs(&answer.logprobs) } else { Value::Null },
        "finish_reason": finish_reason(answer.reason, has_calls),
    })
}

pub(crate) struct Chunks {
    identity: Identity,
    wishes: Wishes,
    has_begun: Vec<bool>,
    has_calls: Vec<bool>,
    usages: Vec<Usage>,
    timings: Option<Value>,
    live: Vec<Live>,
    /// The rendered prompt, sent with the first chunk.
    verbose: Option<Value>,
}

impl Chunks {
    fn new(identity: Identity, wishes: Wishes, verbose: Option<Value>) -> Self {
        let n = wishes.n_choices;
        Self {
            identity: Identity { object: "chat.completion.chunk".into(), ..identity },
            wishes,
            has_begun: vec![false; n],
            has_calls: vec![false; n],
            usages: vec![Usage::default(); n],
            timings: None,
            live: vec![Live::default(); n],
            verbose,
        }
    }

    fn part(&self) -> Value {
        let mut part = self.identity.part();
        if self.wishes.has_usage {
            part["usage"] = Value::Null;
        }
        part
    }

    fn chunk(&mut self, index: usize, delta: Value, logprobs: Value, finish: Option<&str>, out: &mut Vec<u8>) {
        let mut part = self.part();
        part["choices"] = json!([{ "index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish }]);
        if let Some(timings) = self.timings.as_ref().filter(|_| finish.is_some() && !self.wishes.has_usage) {
            part["timings"] = timings.clone();
        } else if self.wishes.has_timings && self.live[index].n_generated() > 0 && finish.is_none() {
            part["timings"] = self.live[index].timings();
        }
        let verbose = self.verbose.take();
        data(out, &with_verbose(part, verbose));
    }

    fn begin(&mut self, index: usize, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun[index], true) {
            self.chunk(index, json!({ "role": "assistant", "content": "" }), Value::Null, None, out);
        }
    }

    fn piece(&mut self, index: usize, deltas: Vec<Delta>, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        let mut probabilities = if self.wishes.has_logprobs { logprobs(tokens) } else { Value::Null };
        if deltas.is_empty() && !tokens.is_empty() {
            self.chunk(index, json!({ "content": "" }), probabilities.take(), None, out);
        }
        for delta in deltas {
            let delta = match delta {
                Delta::Text(text) => json!({ "content": text }),
                Delta::Reasoning(text) => json!({ "reasoning_content": text, "reasoning": text }),
                Delta::Call { index: call, id, name } => {
                    self.has_calls[index] = true;
                    let function = json!({ "name": name, "arguments": "" });
                    json!({ "tool_calls": [{ "index": call, "id": id, "type": "function", "function": function }] })
                }
                Delta::Arguments { index: call, text } => {
                    json!({ "tool_calls": [{ "index": call, "function": { "arguments": text } }] })
                }
            };
            // The probabilities belong to the piece, not to each of its deltas.
            self.chunk(index, delta, probabilities.take(), None, out);
        }
    }

    fn progress(&mut self, index: usize, out: &mut Vec<u8>) {
        self.begin(index, out);
        let mut part = self.part();
        part["choices"] = json!([{ "index": index, "delta": {}, "logprobs": null, "finish_reason": null }]);
        part["prompt_progress"] = self.live[index].progress();
        if self.wishes.has_timings {
            part["timings"] = self.live[index].timings();
        }
        data(out, &part);
    }
}

impl Script for Chunks {
    fn event(&mut self, choice: usize, event: Event, out: &mut Vec<u8>) {
        self.live[choice].take(&event);
        match event {
            Event::Started { model, .. } => {
                self.identity.model = model;
                self.begin(choice, out);
            }
            Event::Progress { .. } if self.wishes.has_progress => self.progress(choice, out),
            Event::Piece { text, deltas, logprobs, .. } => {
                self.begin(choice, out);
                self.piece(choice, deltas_of(text, deltas), &logprobs, out);
            }
            Event::Done { reason, usage, timings: times, .. } => {
                self.begin(choice, out);
                self.usages[choice] = usage;
                self.timings = Some(timings(&usage, &times));
                let reason = finish_reason(Some(reason), self.has_calls[choice]);
                self.chunk(choice, Value::Object(Map::new()), Value::Null, Some(reason), out);
            }
            _ => {}
        }
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        data(out, &refusal.json(Dialect::OpenAi));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.wishes.has_usage {
            let mut part = self.identity.part();
            part["usage"] = usage(&self.usages);
            if let Some(timings) = self.timings.take() {
                part["timings"] = timings;
            }
            data(out, &part);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
