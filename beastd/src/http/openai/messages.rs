//! Messages of a conversation in OpenAI's format.

use beast_protocol::{Message, Role, ToolCall};
use serde_json::{Map, Value};

use crate::http::fields::Fields;
use crate::http::refusal::Refusal;

pub(crate) fn messages(fields: &Fields<'_>) -> Result<Vec<Message>, Refusal> {
    let list = fields.list("messages")?.ok_or_else(|| fields.wrong("messages", "an array of messages"))?;
    if list.is_empty() {
        return Err(fields.wrong("messages", "at least one message"));
    }
    list.iter().enumerate().map(|(n, value)| message(n, value)).collect()
}

fn message(n: usize, value: &Value) -> Result<Message, Refusal> {
    let path = format!("messages[{n}].");
    let object = value.as_object().ok_or_else(|| {
        Refusal::invalid_field(format!("messages[{n}]"), format!("invalid messages[{n}]: expected an object"))
    })?;
    let fields = Fields::within(object, &path);
    let role = match fields.text("role")? {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        _ => return Err(fields.wrong("role", "system, developer, user, assistant or tool")),
    };
    let tool_calls = tool_calls(&fields)?;
    let content = match fields.value("content") {
        None if role == Role::Assistant => String::new(),
        None => return Err(fields.wrong("content", "a string or an array of parts")),
        Some(value) => content(&fields, value)?,
    };
    let reasoning = match fields.text("reasoning_content")? {
        Some(text) => text,
        None => fields.text("reasoning")?.unwrap_or_default(),
    };
    Ok(Message {
        role,
        content,
        reasoning: reasoning.to_owned(),
        tool_calls,
        tool_call_id: fields.text("tool_call_id")?.map(str::to_owned),
    })
}

fn content(fields: &Fields<'_>, value: &Value) -> Result<String, Refusal> {
    let parts = match value {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) => parts,
        _ => return Err(fields.wrong("content", "a string or an array of parts")),
    };
    let texts = parts.iter().map(|part| text_of(fields, part)).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("\n\n"))
}

fn text_of<'a>(fields: &Fields<'_>, part: &'a Value) -> Result<&'a str, Refusal> {
    let kind = part.get("type").and_then(Value::as_str);
    let text = match kind {
        Some("text" | "input_text" | "output_text") => part.get("text"),
        Some("refusal") => part.get("refusal"),
        Some("image_url" | "input_image" | "input_audio" | "file" | "input_file" | "video_url") => {
            let what = kind.unwrap_or_default().trim_start_matches("input_").trim_end_matches("_url");
            let text = format!("{what} input is not supported by this model; try: send text only");
            return Err(Refusal::invalid_field("messages", text));
        }
        _ => None,
    };
    text.and_then(Value::as_str).ok_or_else(|| fields.wrong("content", "parts of type text"))
}

fn tool_calls(fields: &Fields<'_>) -> Result<Vec<ToolCall>, Refusal> {
    let expected = "an array of function calls";
    let Some(list) = fields.list("tool_calls")? else { return Ok(Vec::new()) };
    list.iter().map(|value| call(value).ok_or_else(|| fields.wrong("tool_calls", expected))).collect()
}

fn call(value: &Value) -> Option<ToolCall> {
    let function = value.get("function")?.as_object()?;
    Some(ToolCall {
        id: value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        name: function.get("name")?.as_str()?.to_owned(),
        arguments: arguments(function)?,
    })
}

/// The arguments of a call: a string in OpenAI's format, an object in Ollama's.
fn arguments(function: &Map<String, Value>) -> Option<String> {
    match function.get("arguments") {
        None | Some(Value::Null) => Some("{}".into()),
        Some(Value::String(text)) if text.trim().is_empty() => Some("{}".into()),
        Some(Value::String(text)) => serde_json::from_str::<Map<String, Value>>(text).ok().map(|_| text.clone()),
        Some(object @ Value::Object(_)) => Some(object.to_string()),
        Some(_) => None,
    }
}
