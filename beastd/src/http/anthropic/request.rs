//! Requests in Anthropic's format.

use beast_protocol::{Constraint, Function, Generate, Role, TemplateOptions, ToolChoice, Tools};
use serde_json::Value;

use super::content;
use crate::http::fields::Fields;
use crate::http::openai;
use crate::http::refusal::Refusal;

const MAX_STOPS: usize = 64;
/// This dialect's temperature limit; for Anthropic's own models it is 1.
const MAX_TEMP: f64 = 2.0;

/// Reads the fields that generating and counting share: conversation, tools, and template options.
pub(super) fn conversation(fields: &Fields<'_>) -> Result<Generate, Refusal> {
    let system = content::system(fields)?;
    let messages: Vec<_> = system.into_iter().chain(content::messages(fields)?).collect();
    let continue_last = messages.last().is_some_and(|last| last.role == Role::Assistant && last.tool_calls.is_empty());
    let functions = functions(fields)?;
    let tools = tools(fields, functions)?;
    let template = TemplateOptions { thinking: thinking(fields)?, continue_last, ..TemplateOptions::default() };
    Ok(Generate { messages, tools, template, ..Generate::default() })
}

pub(super) fn generate(fields: &Fields<'_>) -> Result<Generate, Refusal> {
    let max_tokens = fields.integer("max_tokens", 1..=i64::from(u32::MAX))?;
    let max_tokens = max_tokens.ok_or_else(|| fields.wrong("max_tokens", "a number of tokens (required)"))?;
    let mut stop = fields.texts("stop_sequences", MAX_STOPS)?;
    stop.retain(|text| !text.is_empty());
    Ok(Generate {
        sampling: openai::sampling(fields, MAX_TEMP)?,
        max_tokens: u32::try_from(max_tokens).ok(),
        stop,
        constraint: constraint(fields)?,
        ..conversation(fields)?
    })
}

/// `None` if the field is missing: then the template decides.
fn thinking(fields: &Fields<'_>) -> Result<Option<bool>, Refusal> {
    let Some(object) = fields.object("thinking")? else { return Ok(None) };
    let thinking = Fields::within(object, "thinking.");
    thinking.integer("budget_tokens", 0..=i64::from(u32::MAX))?;
    match thinking.text("type")? {
        Some("enabled" | "adaptive") => Ok(Some(true)),
        Some("disabled") => Ok(Some(false)),
        _ => Err(thinking.wrong("type", "enabled, adaptive or disabled")),
    }
}

fn functions(fields: &Fields<'_>) -> Result<Vec<Function>, Refusal> {
    let Some(list) = fields.list("tools")? else { return Ok(Vec::new()) };
    let mut functions = Vec::new();
    for (n, tool) in list.iter().enumerate() {
        let path = format!("tools[{n}].");
        let object = tool.as_object().ok_or_else(|| fields.wrong(&format!("tools[{n}]"), "an object"))?;
        functions.extend(function(&Fields::within(object, &path))?);
    }
    Ok(functions)
}

/// `None` for tools that Anthropic's servers run or define, such as web search: Claude Code offers some and works
/// without them.
fn function(fields: &Fields<'_>) -> Result<Option<Function>, Refusal> {
    let name = fields.text("name")?.filter(|name| !name.is_empty());
    if let Some(kind) = fields.text("type")?.filter(|&kind| kind != "custom") {
        tracing::info!(kind, name, "ignored a tool that only Anthropic's servers run");
        return Ok(None);
    }
    let schema = fields.object("input_schema")?;
    Ok(Some(Function {
        name: name.ok_or_else(|| fields.wrong("name", "the name of a tool"))?.to_owned(),
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        parameters: schema.map(|schema| Value::Object(schema.clone()).to_string()).unwrap_or_default(),
    }))
}

fn tools(fields: &Fields<'_>, functions: Vec<Function>) -> Result<Tools, Refusal> {
    let Some(object) = fields.object("tool_choice")? else { return Ok(Tools { functions, ..Tools::default() }) };
    let wanted = Fields::within(object, "tool_choice.");
    let choice = match wanted.text("type")? {
        Some(kind @ ("any" | "tool")) if functions.is_empty() => {
            // The client insists on a call, but all offered tools were Anthropic's server tools and have been dropped.
            let text = format!(
                "tool_choice {kind} needs a tool that can be called here; try: send tools with an input_schema"
            );
            return Err(Refusal::invalid_field("tool_choice", text));
        }
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => {
            let name = wanted.text("name")?.filter(|&name| functions.iter().any(|function| function.name == name));
            ToolChoice::Named(name.ok_or_else(|| wanted.wrong("name", "the name of one of the tools"))?.to_owned())
        }
        _ => return Err(wanted.wrong("type", "auto, any, tool or none")),
    };
    Ok(Tools { functions, choice, only_one: wanted.flag("disable_parallel_tool_use")?.unwrap_or(false) })
}

/// Structured outputs: `output_config.format`, or `output_format` in their beta.
fn constraint(fields: &Fields<'_>) -> Result<Option<Constraint>, Refusal> {
    let of_config = fields.value("output_config").and_then(|config| config.get("format"));
    let Some(format) = of_config.or_else(|| fields.value("output_format")).and_then(Value::as_object) else {
        return Ok(None);
    };
    let format = Fields::within(format, "output_config.format.");
    match (format.text("type")?, format.value("schema")) {
        (Some("json_schema"), Some(schema @ Value::Object(_))) => Ok(Some(Constraint::Schema(schema.to_string()))),
        (Some("json_schema"), _) => Err(format.wrong("schema", "a JSON schema")),
        _ => Err(format.wrong("type", "json_schema")),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
