//! The route `/api/chat`.

use beast_protocol::{Generate, Message, Role, ToolCall, Tools};
use serde_json::{Value, json};

use super::lines::Shape;
use super::{format, generate, keep_alive, options, refuse_images, think};
use crate::http::asked::Asked;
use crate::http::body::Reply;
use crate::http::fields::Fields;
use crate::http::refusal::Refusal;
use crate::http::{models, openai};

pub(crate) async fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let model = models::named(&asked.client.shared, fields.text("model")?).await?;
    let is_stream = fields.flag("stream")?.unwrap_or(true);
    let messages = messages(&fields)?;
    if messages.is_empty() {
        let empty = ("message", json!({ "role": "assistant", "content": "" }));
        return keep_alive::change_model(&asked, model, empty, is_stream).await;
    }
    let request = chat(&fields, messages, asked.client.shared.config().n_ctx)?;
    super::models::check_thinking(&asked.client, model.as_deref(), &fields, &request.template).await?;
    let request = Generate { model, priority: openai::priority(&asked.headers)?, ..request };
    generate::run(asked.client, request, Shape::Chat, is_stream).await
}

fn chat(fields: &Fields<'_>, messages: Vec<Message>, n_ctx: usize) -> Result<Generate, Refusal> {
    keep_alive::is_over(fields)?;
    // Like Ollama, continues a final assistant message.
    let continue_last = messages.last().is_some_and(|last| last.role == Role::Assistant && last.tool_calls.is_empty());
    let tools = Tools { functions: openai::functions(fields)?, ..Tools::default() };
    let template = beast_protocol::TemplateOptions { continue_last, ..think(fields)? };
    Ok(Generate { messages, tools, template, constraint: format(fields)?, ..options::read(fields, n_ctx)? })
}

fn messages(fields: &Fields<'_>) -> Result<Vec<Message>, Refusal> {
    let Some(list) = fields.list("messages")? else { return Ok(Vec::new()) };
    let read = |(n, value): (usize, &Value)| {
        let path = format!("messages[{n}].");
        let object = value.as_object().ok_or_else(|| fields.wrong(&format!("messages[{n}]"), "an object"))?;
        message(&Fields::within(object, &path))
    };
    list.iter().enumerate().map(read).collect()
}

fn message(fields: &Fields<'_>) -> Result<Message, Refusal> {
    let role = match fields.text("role")? {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => return Err(fields.wrong("role", "system, user, assistant or tool")),
    };
    refuse_images(fields)?;
    let expected = "an array of function calls with objects as arguments";
    let calls = fields.list("tool_calls")?.map_or(&[][..], Vec::as_slice);
    let calls = calls.iter().map(|value| call(value).ok_or_else(|| fields.wrong("tool_calls", expected)));
    Ok(Message {
        role,
        content: fields.text("content")?.unwrap_or_default().to_owned(),
        reasoning: fields.text("thinking")?.unwrap_or_default().to_owned(),
        tool_calls: calls.collect::<Result<_, _>>()?,
        tool_call_id: fields.text("tool_call_id")?.map(str::to_owned),
    })
}

fn call(value: &Value) -> Option<ToolCall> {
    let function = value.get("function")?;
    let arguments = match function.get("arguments") {
        None | Some(Value::Null) => "{}".into(),
        Some(object @ Value::Object(_)) => object.to_string(),
        // Some clients send OpenAI's form, a string.
        Some(Value::String(text)) => match serde_json::from_str(text).ok()? {
            object @ Value::Object(_) => object.to_string(),
            _ => return None,
        },
        Some(_) => return None,
    };
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(ToolCall { id, name: function.get("name")?.as_str()?.to_owned(), arguments })
}

#[cfg(test)]
#[path = "chat_tests.rs"]
mod tests;
