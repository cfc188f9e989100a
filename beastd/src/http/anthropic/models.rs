//! `/v1/models` in Anthropic's format. Does not load the model.

use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::ids::{name_request, request_id};
use crate::http::models::{ModelCard, unknown};
use crate::http::openai::models::name_in;
use crate::http::refusal::Refusal;

/// The list of models, which has one entry.
pub(crate) fn list(asked: &Asked) -> Reply {
    named(&page(&ModelCard::current(&asked.client.shared)))
}

pub(crate) fn one(asked: &Asked) -> Result<Reply, Refusal> {
    let name = name_in(&asked.path);
    let card = ModelCard::current(&asked.client.shared);
    if card.is_called(&name) { Ok(named(&describe(&card))) } else { Err(unknown(&name)) }
}

fn named(body: &Value) -> Reply {
    let mut reply = json_reply(StatusCode::OK, body);
    name_request(&mut reply, &request_id());
    reply
}

fn page(card: &ModelCard) -> Value {
    json!({ "data": [describe(card)], "has_more": false, "first_id": card.id, "last_id": card.id })
}

fn describe(card: &ModelCard) -> Value {
    let created = UNIX_EPOCH + Duration::from_secs(card.created);
    json!({
        "type": "model",
        "id": card.id,
        "display_name": card.id,
        "created_at": humantime::format_rfc3339_seconds(created).to_string(),
    })
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
