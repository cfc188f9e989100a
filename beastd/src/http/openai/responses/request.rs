//! Requests of the Responses API, except the conversation itself.

use beast_protocol::{Constraint, Function, Generate, TemplateOptions, ToolChoice, Tools};
use serde_json::{Value, json};

use super::input;
use crate::http::fields::Fields;
use crate::http::openai::{self, chat};
use crate::http::refusal::Refusal;

/// Most alternatives per token.
const MAX_TOP_LOGPROBS: i64 = 20;
/// Most entries of `include`.
const MAX_INCLUDES: usize = 64;

/// Options that affect the response, not the generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    pub(super) has_logprobs: bool,
    /// Whether to add llama-server's `timings` to the events.
    pub(super) has_timings: bool,
    pub(super) has_progress: bool,
}

pub(super) fn wishes(fields: &Fields<'_>) -> Result<Wishes, Refusal> {
    Ok(Wishes {
        has_logprobs: logprobs(fields)?.is_some(),
        has_timings: fields.flag("timings_per_token")?.unwrap_or(false),
        has_progress: fields.flag("return_progress")?.unwrap_or(false),
    })
}

pub(crate) fn generate(fields: &Fields<'_>) -> Result<Generate, Refusal> {
    refuse_state(fields)?;
    Ok(Generate {
        messages: input::messages(fields)?,
        tools: tools(fields)?,
        sampling: openai::sampling(fields, 2.0)?,
        max_tokens: chat::max_tokens(fields, &["max_output_tokens"])?,
        template: TemplateOptions { thinking: thinking(fields)?, ..TemplateOptions::default() },
        constraint: constraint(fields)?,
        stop: chat::stop(fields)?,
        logprobs: logprobs(fields)?,
        ..Generate::default()
    })
}

/// Refuses requests that refer to an earlier response, because nothing is stored.
fn refuse_state(fields: &Fields<'_>) -> Result<(), Refusal> {
    if fields.has("prompt") {
        let text =
            "prompt is not supported: it names a template that OpenAI stores; try: send its text in instructions";
        return Err(Refusal::invalid_field("prompt", text));
    }
    for name in ["previous_response_id", "conversation"] {
        if fields.has(name) {
            let text =
                format!("{name} is not supported: responses are not stored; try: send the whole conversation in input");
            return Err(Refusal::invalid_field(name, text));
        }
    }
    if fields.flag("background")?.unwrap_or(false) {
        let text = "background is not supported: responses are not stored; try: leave it out, and set stream to true";
        return Err(Refusal::invalid_field("background", text));
    }
    match fields.text("truncation")? {
        None | Some("disabled" | "auto") => Ok(()),
        Some(_) => Err(fields.wrong("truncation", "disabled or auto")),
    }
}

/// Reads the functions and skips hosted tools, which run on OpenAI's servers and which clients offer by default.
fn tools(fields: &Fields<'_>) -> Result<Tools, Refusal> {
    let list = fields.list("tools")?.map_or(&[][..], Vec::as_slice);
    let is_function = |tool: &&Value| match tool.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "function",
        // `flat_functions` reports it as invalid.
        None => true,
    };
    let functions: Vec<Value> = list.iter().filter(is_function).cloned().collect();
    let object = json!({ "tools": functions });
    let object = object.as_object().expect("it is one");
    let mut functions = openai::flat_functions(&Fields::new(object))?;
    let choice = choice(fields, &mut functions)?;
    Ok(Tools { functions, choice, only_one: fields.flag("parallel_tool_calls")? == Some(false) })
}

fn choice(fields: &Fields<'_>, functions: &mut Vec<Function>) -> Result<ToolChoice, Refusal> {
    let Some(Value::Object(object)) = fields.value("tool_choice") else { return openai::choice(fields) };
    let inner = Fields::within(object, "tool_choice.");
    match inner.text("type")? {
        Some("function") => openai::choice(fields),
        Some("allowed_tools") => {
            let allowed = inner.list("tools")?.ok_or_else(|| inner.wrong("tools", "an array of functions"))?;
            let names: Vec<_> = allowed.iter().filter_map(|tool| tool.get("name")?.as_str()).collect();
            functions.retain(|function| names.contains(&&*function.name));
            match inner.text("mode")? {
                None | Some("auto") => Ok(ToolChoice::Auto),
                Some("required") => Ok(ToolChoice::Required),
                Some(_) => Err(inner.wrong("mode", "auto or required")),
            }
        }
        _ => Err(inner.wrong("type", "function or allowed_tools")),
    }
}

fn thinking(fields: &Fields<'_>) -> Result<Option<bool>, Refusal> {
    let Some(reasoning) = fields.object("reasoning")? else { return Ok(None) };
    let reasoning = Fields::within(reasoning, "reasoning.");
    match reasoning.text("effort")? {
        None => Ok(None),
        Some("none" | "minimal") => Ok(Some(false)),
        Some("low" | "medium" | "high" | "xhigh" | "max") => Ok(Some(true)),
        Some(_) => Err(reasoning.wrong("effort", "none, minimal, low, medium, high or xhigh")),
    }
}

/// Reads `text.format`, which is the chat route's `response_format` with the schema one level up.
fn constraint(fields: &Fields<'_>) -> Result<Option<Constraint>, Refusal> {
    let Some(text) = fields.object("text")? else { return Ok(None) };
    let Some(format) = Fields::within(text, "text.").object("format")? else { return Ok(None) };
    let format = Fields::within(format, "text.format.");
    match format.text("type")? {
        None | Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Constraint::Schema(json!({ "type": "object" }).to_string()))),
        Some("json_schema") => match format.value("schema") {
            Some(schema @ (Value::Object(_) | Value::Bool(true))) => Ok(Some(Constraint::Schema(schema.to_string()))),
            _ => Err(format.wrong("schema", "a JSON schema")),
        },
        Some(_) => Err(format.wrong("type", "text, json_object or json_schema")),
    }
}

fn logprobs(fields: &Fields<'_>) -> Result<Option<u32>, Refusal> {
    let include = fields.texts("include", MAX_INCLUDES)?;
    let n_top = fields.integer("top_logprobs", 0..=MAX_TOP_LOGPROBS)?.and_then(|n| u32::try_from(n).ok());
    // Other entries ask for data that does not exist here: results of hosted tools, encrypted reasoning.
    let is_wanted = include.iter().any(|name| name == "message.output_text.logprobs");
    Ok(is_wanted.then(|| n_top.unwrap_or(0)))
}
