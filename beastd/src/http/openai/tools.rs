//! Functions that a model may call, in OpenAI's words.

use beast_protocol::{Function, ToolChoice};
use serde_json::Value;

use crate::http::fields::Fields;
use crate::http::refusal::Refusal;

/// Reads `tools`.
pub(crate) fn functions(fields: &Fields<'_>) -> Result<Vec<Function>, Refusal> {
    let Some(list) = fields.list("tools")? else { return Ok(Vec::new()) };
    list.iter().enumerate().map(|(n, tool)| function(n, tool)).collect()
}

fn function(n: usize, tool: &Value) -> Result<Function, Refusal> {
    let path = format!("tools[{n}].");
    let wrong = |expected: &str| {
        Refusal::invalid_field(format!("tools[{n}]"), format!("invalid tools[{n}]: expected {expected}"))
    };
    let tool = tool.as_object().ok_or_else(|| wrong("an object"))?;
    if Fields::within(tool, &path).text("type")?.is_some_and(|kind| kind != "function") {
        return Err(wrong("the type 'function'"));
    }
    // The Responses API has no `function` in between.
    let object = tool.get("function").and_then(Value::as_object).unwrap_or(tool);
    let fields = Fields::within(object, &path);
    Ok(Function {
        name: fields.text("name")?.ok_or_else(|| fields.wrong("name", "the name of a function"))?.to_owned(),
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        parameters: fields.object("parameters")?.map(|_| object["parameters"].to_string()).unwrap_or_default(),
    })
}

/// Reads `tool_choice`.
pub(crate) fn choice(fields: &Fields<'_>) -> Result<ToolChoice, Refusal> {
    let expected = "auto, none, required or a function";
    match fields.value("tool_choice") {
        None => Ok(ToolChoice::Auto),
        Some(Value::String(text)) => match text.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            "required" | "any" => Ok(ToolChoice::Required),
            _ => Err(fields.wrong("tool_choice", expected)),
        },
        Some(value) => {
            let function = value.get("function").unwrap_or(value);
            let name = function.get("name").and_then(Value::as_str);
            name.map(|name| ToolChoice::Named(name.to_owned())).ok_or_else(|| fields.wrong("tool_choice", expected))
        }
    }
}
