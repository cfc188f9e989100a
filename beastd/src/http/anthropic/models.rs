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

/// The list of models.
pub(crate) fn list(asked: &Asked) -> Reply {
    named(&page(&ModelCard::all(&asked.client.shared)))
}

pub(crate) fn one(asked: &Asked) -> Result<Reply, Refusal> {
    let name = name_in(&asked.path);
    let card = ModelCard::all(&asked.client.shared).into_iter().find(|card| card.is_called(&name));
    card.map(|card| named(&describe(&card))).ok_or_else(|| unknown(&name))
}

fn named(body: &Value) -> Reply {
    let mut reply = json_reply(StatusCode::OK, body);
    name_request(&mut reply, &request_id());
    reply
}

fn page(cards: &[ModelCard]) -> Value {
    let id = |card: Option<&ModelCard>| card.map(|card| card.id.clone());
    json!({
        "data": cards.iter().map(describe).collect::<Vec<_>>(),
        "has_more": false,
        "first_id": id(cards.first()),
        "last_id": id(cards.last()),
    })
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
