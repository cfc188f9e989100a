//! `/v1/models`: the models, and their context under every name that clients look for.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::models::{ModelCard, unknown};
use crate::http::refusal::Refusal;

pub(crate) fn list(asked: &Asked) -> Reply {
    let cards = ModelCard::all(&asked.client.shared);
    let named = |card: &ModelCard| json!({ "name": card.id, "model": card.id, "capabilities": capabilities() });
    let body = json!({
        "object": "list",
        "data": cards.iter().map(|card| describe(card, asked)).collect::<Vec<_>>(),
        // Ollama clients look for `models`, at this path too.
        "models": cards.iter().map(named).collect::<Vec<_>>(),
    });
    json_reply(StatusCode::OK, &body)
}

pub(crate) fn one(asked: &Asked) -> Result<Reply, Refusal> {
    let name = name_in(&asked.path);
    let card = ModelCard::all(&asked.client.shared).into_iter().find(|card| card.is_called(&name));
    card.map(|card| json_reply(StatusCode::OK, &describe(&card, asked))).ok_or_else(|| unknown(&name))
}

/// The model's name in a path.
pub(crate) fn name_in(path: &str) -> String {
    percent_decoded(path.trim_start_matches("/v1").trim_start_matches("/models/"))
}

fn describe(card: &ModelCard, asked: &Asked) -> Value {
    let n_ctx = card.model.as_ref().map_or(asked.client.shared.config().n_ctx, |model| model.n_ctx as usize);
    let model = card.model.as_ref();
    json!({
        "id": card.id,
        "object": "model",
        "created": card.created,
        "owned_by": "beast",
        "status": { "value": card.state },
        "context_length": n_ctx,
        "context_window": n_ctx,
        "max_context_length": n_ctx,
        "max_model_len": n_ctx,
        "capabilities": capabilities(),
        "meta": {
            "n_ctx": n_ctx,
            "n_ctx_train": model.map(|model| model.n_ctx_train),
            "n_params": model.map(|model| model.n_params),
            "size": model.map(|model| model.n_bytes),
        },
    })
}

fn capabilities() -> Value {
    json!(["completion", "chat", "tools", "embedding"])
}

/// Decodes percent escapes: model names contain slashes, which some clients escape.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = (byte == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
