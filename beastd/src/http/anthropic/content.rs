//! Anthropic messages: strings or lists of blocks. Knows nothing of answers.

use beast_protocol::{Message, Role, ToolCall};
use serde_json::Value;

use crate::http::fields::Fields;
use crate::http::refusal::Refusal;

/// Claude Code's system prompt begins with a block that differs in each request: if it stayed, no prefix could be
/// reused.
const BILLING: &str = "x-anthropic-billing-header:";

/// The content of a turn.
enum Block {
    Text(String),
    Thinking(String),
    Call(ToolCall),
    Result {
        call: Option<String>,
        text: String,
    },
    /// A block that this model cannot read.
    Nothing,
}

pub(super) fn system(fields: &Fields<'_>) -> Result<Option<Message>, Refusal> {
    let Some(value) = fields.value("system") else { return Ok(None) };
    let texts = blocks(fields, "system", value)?.into_iter().filter_map(|block| match block {
        Block::Text(text) => without_billing(text),
        _ => None,
    });
    let text = texts.collect::<Vec<_>>().join("\n\n");
    Ok((!text.is_empty()).then(|| Message::new(Role::System, text)))
}

fn without_billing(text: String) -> Option<String> {
    if !text.trim_start().starts_with(BILLING) {
        return Some(text);
    }
    // The client may have joined this block with the next one.
    text.trim_start().split_once('\n').map(|(_, rest)| rest.trim_start().to_owned()).filter(|rest| !rest.is_empty())
}

pub(super) fn messages(fields: &Fields<'_>) -> Result<Vec<Message>, Refusal> {
    let expected = "an array of at least one message";
    let list = fields.list("messages")?.filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| fields.wrong("messages", expected))?;
    let mut messages = Vec::new();
    for (n, value) in list.iter().enumerate() {
        let path = format!("messages[{n}].");
        let object = value.as_object().ok_or_else(|| fields.wrong(&format!("messages[{n}]"), "an object"))?;
        for message in turn(&Fields::within(object, &path))? {
            join(&mut messages, message);
        }
    }
    Ok(messages)
}

/// Merges consecutive turns of one role, as Anthropic does: some templates reject two in a row.
fn join(messages: &mut Vec<Message>, message: Message) {
    match messages.last_mut() {
        Some(last)
            if last.role == message.role
                && last.tool_calls.is_empty()
                && matches!(last.role, Role::User | Role::Assistant) =>
        {
            append(&mut last.content, &message.content);
            append(&mut last.reasoning, &message.reasoning);
            last.tool_calls = message.tool_calls;
        }
        _ => messages.push(message),
    }
}

fn append(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}

fn turn(fields: &Fields<'_>) -> Result<Vec<Message>, Refusal> {
    let role = match fields.text("role")? {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => return Err(fields.wrong("role", "user or assistant")),
    };
    let expected = "a string or an array of blocks";
    let value = fields.value("content").ok_or_else(|| fields.wrong("content", expected))?;
    let blocks = blocks(fields, "content", value)?;
    Ok(if role == Role::Assistant { vec![assistants(blocks)] } else { others(role, blocks) })
}

fn assistants(blocks: Vec<Block>) -> Message {
    let mut message = Message::new(Role::Assistant, "");
    for block in blocks {
        match block {
            Block::Text(text) => append(&mut message.content, &text),
            Block::Thinking(text) => append(&mut message.reasoning, &text),
            Block::Call(call) => message.tool_calls.push(call),
            Block::Result { .. } | Block::Nothing => {}
        }
    }
    message
}

/// Messages for the blocks of a turn; each tool result becomes one of its own, in order.
fn others(role: Role, blocks: Vec<Block>) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for block in blocks {
        match block {
            Block::Text(text) => match messages.last_mut() {
                Some(last) if last.role == role => append(&mut last.content, &text),
                _ => messages.push(Message::new(role, text)),
            },
            Block::Result { call, text } => {
                messages.push(Message { tool_call_id: call, ..Message::new(Role::Tool, text) });
            }
            Block::Thinking(_) | Block::Call(_) | Block::Nothing => {}
        }
    }
    if messages.is_empty() { vec![Message::new(role, "")] } else { messages }
}

fn blocks(fields: &Fields<'_>, name: &str, value: &Value) -> Result<Vec<Block>, Refusal> {
    match value {
        Value::String(text) => Ok(vec![Block::Text(text.clone())]),
        Value::Array(list) => list.iter().map(|value| block(fields, name, value)).collect(),
        _ => Err(fields.wrong(name, "a string or an array of blocks")),
    }
}

fn block(fields: &Fields<'_>, name: &str, value: &Value) -> Result<Block, Refusal> {
    let text_at = |key: &str| value.get(key).and_then(Value::as_str);
    let wrong = |expected: &str| fields.wrong(name, expected);
    match text_at("type") {
        Some("text") => Ok(Block::Text(text_at("text").ok_or_else(|| wrong("text blocks with a text"))?.to_owned())),
        Some("thinking") => Ok(Block::Thinking(text_at("thinking").unwrap_or_default().to_owned())),
        Some("tool_use") => {
            let expected = "tool_use blocks with a name and an object as input";
            call(value).map(Block::Call).ok_or_else(|| wrong(expected))
        }
        Some("tool_result") => {
            let call = text_at("tool_use_id").map(str::to_owned);
            let is_error = value.get("is_error").and_then(Value::as_bool).unwrap_or(false);
            Ok(Block::Result { call, text: result(fields, name, value, is_error)? })
        }
        Some("search_result") => Ok(Block::Text(texts(fields, name, value.get("content"))?)),
        Some("document") => document(fields, name, value),
        Some(kind @ ("image" | "container_upload")) => Err(text_only(name, kind)),
        // Encrypted by Anthropic's servers, or results of tools that they ran.
        Some(kind) => {
            tracing::debug!(kind, "ignored a block of unknown type");
            Ok(Block::Nothing)
        }
        None => Err(wrong("blocks with a type")),
    }
}

fn call(value: &Value) -> Option<ToolCall> {
    let arguments = match value.get("input") {
        None | Some(Value::Null) => "{}".into(),
        Some(object @ Value::Object(_)) => object.to_string(),
        Some(_) => return None,
    };
    let name = value.get("name")?.as_str().filter(|name| !name.is_empty())?.to_owned();
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(ToolCall { id, name, arguments })
}

fn result(fields: &Fields<'_>, name: &str, value: &Value, is_error: bool) -> Result<String, Refusal> {
    let text = texts(fields, name, value.get("content"))?;
    // Templates have no field for `is_error`, and most failed results begin with the word anyway.
    let says_so = text.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"))
        || text.trim_start().starts_with("<tool_use_error>");
    Ok(if is_error && !says_so { format!("Error: {text}") } else { text })
}

/// The text of a string, or of the text blocks in a list.
fn texts(fields: &Fields<'_>, name: &str, value: Option<&Value>) -> Result<String, Refusal> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(String::new()) };
    let texts = blocks(fields, name, value)?.into_iter().filter_map(|block| match block {
        Block::Text(text) => Some(text),
        _ => None,
    });
    Ok(texts.collect::<Vec<_>>().join("\n\n"))
}

fn document(fields: &Fields<'_>, name: &str, value: &Value) -> Result<Block, Refusal> {
    let source = value.get("source");
    let at = |key: &str| source.and_then(|source| source.get(key));
    match at("type").and_then(Value::as_str) {
        Some("text") => Ok(Block::Text(at("data").and_then(Value::as_str).unwrap_or_default().to_owned())),
        Some("content") => Ok(Block::Text(texts(fields, name, at("content"))?)),
        _ => Err(text_only(name, "document")),
    }
}

fn text_only(name: &str, kind: &str) -> Refusal {
    Refusal::invalid_field(name, format!("unsupported {kind} block: this model reads text only; try: leave it out"))
}
