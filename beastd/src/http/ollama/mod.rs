//! Ollama's dialect: what its routes share. Knows no other dialect.

pub(crate) mod chat;
pub(crate) mod embed;
pub(crate) mod generate;
mod keep_alive;
mod lines;
pub(crate) mod models;
mod options;

use std::time::SystemTime;

use beast_protocol::{Constraint, TemplateOptions};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::body::{Reply, json_reply, reply};
use super::fields::Fields;
use super::refusal::Refusal;

/// The Ollama version whose API this implements: it has levels of `think`, and `logprobs`. VS Code's Copilot rejects
/// versions below 0.6.4.
const API: &str = "0.12.11";

/// Media type of streams: each line is one JSON document.
const NDJSON: &str = "application/x-ndjson";

/// `GET /`, which Ollama clients use to check that it is running.
pub(crate) fn root() -> Reply {
    reply(StatusCode::OK, "text/plain; charset=utf-8", "Ollama is running")
}

pub(crate) fn version() -> Reply {
    json_reply(StatusCode::OK, &json!({ "version": API }))
}

/// A complete document: a stream of one line, or plain JSON.
fn single(value: &Value, is_stream: bool) -> Reply {
    let mut reply = json_reply(StatusCode::OK, value);
    if is_stream {
        *reply.body_mut() = super::body::Body::Whole(Some(Bytes::from(format!("{value}\n"))));
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    }
    reply
}

/// A time in Go's format.
fn rfc_3339(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(time).to_string()
}

/// Reads `think`: a boolean or a level.
fn think(fields: &Fields<'_>) -> Result<TemplateOptions, Refusal> {
    let (thinking, variables) = match fields.value("think") {
        None => (None, String::new()),
        Some(Value::Bool(wanted)) => (Some(*wanted), String::new()),
        Some(Value::String(level)) if matches!(level.as_str(), "low" | "medium" | "high") => {
            (Some(true), json!({ "reasoning_effort": level }).to_string())
        }
        Some(_) => return Err(fields.wrong("think", "true, false, low, medium or high")),
    };
    Ok(TemplateOptions { thinking, variables, continue_last: false })
}

/// Reads `format`: `json` or a schema.
fn format(fields: &Fields<'_>) -> Result<Option<Constraint>, Refusal> {
    match fields.value("format") {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text == "json" => {
            Ok(Some(Constraint::Schema(json!({ "type": "object" }).to_string())))
        }
        Some(schema @ Value::Object(_)) => Ok(Some(Constraint::Schema(schema.to_string()))),
        Some(_) => Err(fields.wrong("format", "json or a JSON schema")),
    }
}

/// Refuses images.
fn refuse_images(fields: &Fields<'_>) -> Result<(), Refusal> {
    match fields.list("images")? {
        Some(images) if !images.is_empty() => {
            let text = "unsupported images: this model reads text only; try: leave them out";
            Err(Refusal::invalid_field("images", text))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
