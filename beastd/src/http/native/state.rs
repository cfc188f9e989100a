//! `/health`, `/props` and `/slots`: the state of the daemon. Does not load the model.

use beast_protocol::State;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::settings;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::models::{self, ModelCard};
use crate::http::refusal::Refusal;

/// Healthy means that requests are answered. An unloaded model counts, because the next request reloads it.
pub(crate) fn health(asked: &Asked) -> Result<Reply, Refusal> {
    available(&asked.client.shared.status().state)?;
    Ok(json_reply(StatusCode::OK, &json!({ "status": "ok" })))
}

fn available(state: &State) -> Result<(), Refusal> {
    let unavailable = |text: &str| Refusal {
        retry_after: Some(1),
        ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable_error", text)
    };
    match state {
        State::Ready | State::Unloaded => Ok(()),
        State::Loading { .. } => Err(unavailable("Loading model")),
        State::Failed { message } => Err(unavailable(message)),
        State::Stalled { .. } => Err(unavailable("an engine step does not finish; try: beastctl status")),
        State::Draining => Err(unavailable("the daemon is shutting down; try: repeat the request in a moment")),
    }
}

/// Properties of the model and the daemon.
pub(crate) fn props(asked: &Asked) -> Result<Reply, Refusal> {
    let shared = &asked.client.shared;
    let status = shared.status();
    let facts = models::facts(shared, None);
    if facts.is_none() {
        available(&status.state)?;
    }
    let card = ModelCard::current(shared);
    let n_ctx = card.model.as_ref().map_or(shared.config().n_ctx, |model| model.n_ctx as usize);
    let text = |read: fn(&crate::loader::ModelFacts) -> &String| facts.as_ref().map_or("", |facts| read(facts));
    let defaults = facts.as_ref().map(|facts| facts.sampling);
    let body = json!({
        "default_generation_settings": {
            "params": settings::defaults(defaults, shared.config().max_tokens),
            "n_ctx": n_ctx,
        },
        "total_slots": status.n_slots,
        "model_alias": card.id,
        "model_path": card.model.as_ref().map_or(status.configured, |model| model.path.clone()),
        "modalities": { "vision": false, "video": false, "audio": false },
        "endpoint_slots": true,
        "endpoint_props": false,
        "endpoint_metrics": true,
        "ui": false,
        "chat_template": text(|facts| &facts.chat_template),
        "bos_token": text(|facts| &facts.bos),
        "eos_token": text(|facts| &facts.eos),
        "build_info": format!("beastd {}, {}", status.version, status.engine),
        "is_sleeping": status.state == State::Unloaded,
    });
    Ok(json_reply(StatusCode::OK, &body))
}

/// Slots. Only the number of busy ones is known, so the first ones are shown as busy.
pub(crate) fn slots(asked: &Asked) -> Result<Reply, Refusal> {
    let shared = &asked.client.shared;
    let status = shared.status();
    let card = ModelCard::current(shared);
    let n_ctx = card.model.as_ref().map_or(shared.config().n_ctx, |model| model.n_ctx as usize);
    let is_wanted =
        |pair: &str| pair.split_once('=').is_some_and(|(name, value)| name == "fail_on_no_slot" && !value.is_empty());
    let n_running = status.models.iter().find(|model| model.is_default).map_or(0, |model| model.n_running);
    if n_running >= status.n_slots && asked.query.split('&').any(is_wanted) {
        return Err(Refusal {
            retry_after: Some(1),
            ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable_error", "no slot available")
        });
    }
    let speculative = !status.speculation.drafters.is_empty();
    let slot = |id: u32| {
        let is_processing = id < n_running;
        json!({ "id": id, "n_ctx": n_ctx, "speculative": speculative, "is_processing": is_processing })
    };
    Ok(json_reply(StatusCode::OK, &Value::Array((0..status.n_slots).map(slot).collect())))
}
