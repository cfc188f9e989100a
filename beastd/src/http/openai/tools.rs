//! Tools in OpenAI's format.

use beast_protocol::{Function, ToolChoice};
use serde_json::Value;

use crate::http::fields::Fields;
use crate::http::refusal::Refusal;

/// Reads `tools` of the chat route, each with its `function`.
pub(crate) fn functions(fields: &Fields<'_>) -> Result<Vec<Function>, Refusal> {
    read(fields, false)
}

/// Reads `tools` of the Responses API, whose entries are the functions themselves.
pub(crate) fn flat_functions(fields: &Fields<'_>) -> Result<Vec<Function>, Refusal> {
    read(fields, true)
}

fn read(fields: &Fields<'_>, is_flat: bool) -> Result<Vec<Function>, Refusal> {
    let Some(list) = fields.list("tools")? else { return Ok(Vec::new()) };
    list.iter().enumerate().map(|(n, tool)| function(n, tool, is_flat)).collect()
}

fn function(n: usize, tool: &Value, is_flat: bool) -> Result<Function, Refusal> {
    let path = format!("tools[{n}].");
    let wrong = |expected: &str| {
        Refusal::invalid_field(format!("tools[{n}]"), format!("invalid tools[{n}]: expected {expected}"))
    };
    let tool = tool.as_object().ok_or_else(|| wrong("an object"))?;
    let outer = Fields::within(tool, &path);
    if outer.text("type")?.is_some_and(|kind| kind != "function") {
        return Err(wrong("the type 'function'"));
    }
    let inner = format!("{path}function.");
    let (object, path) = match outer.object("function")? {
        Some(object) => (object, &inner),
        None if is_flat => (tool, &path),
        None => return Err(outer.wrong("function", "an object with the name of a function")),
    };
    let fields = Fields::within(object, path);
    Ok(Function {
        name: fields.text("name")?.ok_or_else(|| fields.wrong("name", "the name of a function"))?.to_owned(),
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        parameters: fields.object("parameters")?.map(|_| object["parameters"].to_string()).unwrap_or_default(),
    })
}

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

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
