//! Converts `instructions` and `input` to messages.

use beast_protocol::{Message, Role, ToolCall};
use serde_json::{Map, Value};

use crate::http::fields::Fields;
use crate::http::refusal::Refusal;

/// Reads the whole conversation.
pub(super) fn messages(fields: &Fields<'_>) -> Result<Vec<Message>, Refusal> {
    let mut conversation = Conversation::default();
    if let Some(instructions) = fields.text("instructions")?.filter(|text| !text.is_empty()) {
        conversation.push(Message::new(Role::System, instructions));
    }
    match fields.value("input") {
        Some(Value::String(text)) => conversation.push(Message::new(Role::User, text.clone())),
        Some(Value::Array(items)) if !items.is_empty() => {
            for (n, item) in items.iter().enumerate() {
                let path = format!("input[{n}].");
                let object = item.as_object().ok_or_else(|| {
                    Refusal::invalid_field(format!("input[{n}]"), format!("invalid input[{n}]: expected an object"))
                })?;
                conversation.item(&Fields::within(object, &path))?;
            }
        }
        _ => return Err(fields.wrong("input", "a string or an array of at least one item")),
    }
    Ok(conversation.0)
}

#[derive(Default)]
struct Conversation(Vec<Message>);

impl Conversation {
    fn item(&mut self, fields: &Fields<'_>) -> Result<(), Refusal> {
        match fields.text("type")? {
            None | Some("message") => self.push(message(fields)?),
            Some("function_call") => self.assistants().tool_calls.push(call(fields)?),
            Some("function_call_output") => self.push(Message {
                tool_call_id: fields.text("call_id")?.map(str::to_owned),
                ..Message::new(Role::Tool, content(fields, "output")?)
            }),
            Some("reasoning") => {
                let thoughts = reasoning(fields)?;
                // Reasoning items precede the message that they belong to.
                if self.0.last().is_some_and(|last| last.role == Role::Assistant) {
                    self.0.push(Message::new(Role::Assistant, ""));
                }
                self.assistants().reasoning += &thoughts;
            }
            Some("item_reference") => {
                let text = "item_reference is not supported: responses are not stored; try: send the item itself";
                return Err(Refusal::invalid_field("input", text));
            }
            Some(_) => {
                let expected = "message, function_call, function_call_output or reasoning";
                return Err(fields.wrong("type", expected));
            }
        }
        Ok(())
    }

    fn push(&mut self, message: Message) {
        match self.0.last_mut() {
            // Many templates accept only one system message, at the beginning.
            Some(last) if last.role == Role::System && message.role == Role::System => {
                last.content = format!("{}\n\n{}", last.content, message.content);
            }
            // A reasoning item has already created this message.
            Some(last)
                if message.role == Role::Assistant
                    && last.role == Role::Assistant
                    && last.content.is_empty()
                    && last.tool_calls.is_empty() =>
            {
                last.content = message.content;
            }
            _ => self.0.push(message),
        }
    }

    /// The assistant message that following items are added to.
    fn assistants(&mut self) -> &mut Message {
        if self.0.last().is_none_or(|last| last.role != Role::Assistant) {
            self.0.push(Message::new(Role::Assistant, ""));
        }
        self.0.last_mut().expect("it was pushed")
    }
}

fn message(fields: &Fields<'_>) -> Result<Message, Refusal> {
    let role = match fields.text("role")? {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        _ => return Err(fields.wrong("role", "system, developer, user or assistant")),
    };
    Ok(Message::new(role, content(fields, "content")?))
}

fn content(fields: &Fields<'_>, name: &str) -> Result<String, Refusal> {
    let parts = match fields.value(name) {
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Array(parts)) => parts,
        _ => return Err(fields.wrong(name, "a string or an array of parts")),
    };
    let texts = parts.iter().map(|part| text_of(fields, name, part)).collect::<Result<Vec<_>, _>>()?;
    Ok(texts.join("\n\n"))
}

fn text_of<'a>(fields: &Fields<'_>, name: &str, part: &'a Value) -> Result<&'a str, Refusal> {
    let kind = part.get("type").and_then(Value::as_str);
    let text = match kind {
        Some("input_text" | "output_text" | "text") => part.get("text"),
        Some("refusal") => part.get("refusal"),
        Some("input_image" | "input_file" | "input_audio" | "computer_screenshot") => {
            let text = format!("this model reads text only, not {}; try: leave it out", kind.unwrap_or_default());
            return Err(Refusal::invalid_field("input", text));
        }
        _ => None,
    };
    text.and_then(Value::as_str).ok_or_else(|| fields.wrong(name, "parts of type input_text, output_text or refusal"))
}

fn call(fields: &Fields<'_>) -> Result<ToolCall, Refusal> {
    let arguments = match fields.text("arguments")?.map(str::trim) {
        None | Some("") => "{}",
        Some(text) => text,
    };
    serde_json::from_str::<Map<String, Value>>(arguments)
        .map_err(|_| fields.wrong("arguments", "a JSON object, as a string"))?;
    Ok(ToolCall {
        id: fields.text("call_id")?.unwrap_or_default().to_owned(),
        name: fields.text("name")?.ok_or_else(|| fields.wrong("name", "the name of a function"))?.to_owned(),
        arguments: arguments.to_owned(),
    })
}

/// The text of a reasoning item: the reasoning itself if present, else its summary. Encrypted ones cannot be read.
fn reasoning(fields: &Fields<'_>) -> Result<String, Refusal> {
    for name in ["content", "summary"] {
        let parts = fields.list(name)?.map_or(&[][..], Vec::as_slice);
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        if !texts.is_empty() {
            return Ok(texts.join("\n\n"));
        }
    }
    Ok(String::new())
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
