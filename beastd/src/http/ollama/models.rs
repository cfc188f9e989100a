//! `/api/tags`, `/api/show`, `/api/ps`, `/api/pull`: the model in Ollama's format. Changes nothing, and loads a model
//! only if it was never loaded before.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use beast_protocol::TemplateOptions;
use hyper::StatusCode;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{rfc_3339, single};
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::client::Client;
use crate::http::fields::Fields;
use crate::http::models::{self, ModelCard};
use crate::http::refusal::Refusal;
use crate::http::vocabulary::hold;
use crate::loader::ModelFacts;
use crate::residents::Resident;

/// A century: the expiry to report when the model is never unloaded.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long `/api/tags` waits for the first load, which determines the model's name.
const FIRST_LOAD: Duration = Duration::from_secs(5);

/// `/api/tags`.
pub(crate) async fn tags(asked: Asked) -> Reply {
    let shared = &asked.client.shared;
    if models::facts(shared, None).is_none() {
        // If loading fails, the name is that of the file.
        let _ = timeout(FIRST_LOAD, hold(&asked.client, None)).await;
    }
    let all = ModelCard::all(shared).into_iter().enumerate().map(|(n, card)| {
        let facts = models::facts(shared, (n > 0).then_some(card.id.as_str()));
        let mut entry = entry(&card, facts.as_deref());
        entry["modified_at"] = modified_at(&card).into();
        entry["capabilities"] = capabilities(facts.as_deref());
        entry
    });
    json_reply(StatusCode::OK, &json!({ "models": all.collect::<Vec<_>>() }))
}

/// `/api/ps`: loaded models.
pub(crate) fn ps(asked: &Asked) -> Reply {
    let shared = &asked.client.shared;
    let stays = shared.config().idle_unload.min(NEVER);
    let default = shared.residents.default_model();
    let loaded = |resident: Arc<Resident>| {
        let ready = resident.ready()?;
        let is_default = Arc::ptr_eq(&resident, &default);
        let card = ModelCard::named(shared, (!is_default).then_some(resident.name.as_str()));
        let mut entry = entry(&card, Some(&ready.facts));
        let (n_layers, n_on_gpu) = (u64::from(ready.model.n_layers) + 1, u64::from(ready.model.n_gpu_layers));
        entry["expires_at"] = rfc_3339(SystemTime::now() + stays).into();
        entry["size_vram"] = (ready.model.n_bytes / n_layers * n_on_gpu.min(n_layers)).into();
        entry["context_length"] = ready.model.n_ctx.into();
        Some(entry)
    };
    let all: Vec<Value> = shared.residents.all().into_iter().filter_map(loaded).collect();
    json_reply(StatusCode::OK, &json!({ "models": all }))
}

/// `/api/show`.
pub(crate) async fn show(asked: Asked) -> Result<Reply, Refusal> {
    let shared = &asked.client.shared;
    let name = name(&Fields::new(&asked.body))?;
    let model = models::named(shared, Some(&name)).await?;
    let facts = match models::facts(shared, model.as_deref()) {
        Some(facts) => facts,
        None => Arc::clone(&hold(&asked.client, model.as_deref()).await?.ready.facts),
    };
    let facts = &*facts;
    let card = ModelCard::named(shared, model.as_deref());
    let body = json!({
        "license": "",
        "modelfile": format!("# Modelfile of beast\nFROM {}\n", card.tagged()),
        "parameters": parameters(facts),
        "template": facts.chat_template,
        "details": details(Some(facts)),
        "model_info": model_info(facts),
        "capabilities": capabilities(Some(facts)),
        "modified_at": modified_at(&card),
    });
    Ok(json_reply(StatusCode::OK, &body))
}

/// `/api/pull` succeeds for a model that is here. HTTP clients cannot download models.
pub(crate) fn pull(asked: &Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let name = name(&fields)?;
    let is_stream = fields.flag("stream")?.unwrap_or(true);
    if ModelCard::all(&asked.client.shared).iter().any(|card| card.is_called(&name)) {
        Ok(single(&json!({ "status": "success" }), is_stream))
    } else {
        let reason = "models cannot be downloaded over HTTP; try: beastctl models pull";
        Err(Refusal::not_found(format!("model '{}' not found: {reason}", models::excerpt(&name))))
    }
}

/// The model's name: `model`, or `name` from older clients.
fn name(fields: &Fields<'_>) -> Result<String, Refusal> {
    let name = match fields.text("model")?.filter(|name| !name.is_empty()) {
        Some(name) => Some(name),
        None => fields.text("name")?.filter(|name| !name.is_empty()),
    };
    name.map(str::to_owned).ok_or_else(|| fields.wrong("model", "the name of a model"))
}

/// Fields that `/api/tags` and `/api/ps` share.
fn entry(card: &ModelCard, facts: Option<&ModelFacts>) -> Value {
    let name = card.tagged();
    let size = card.model.as_ref().map_or(0, |model| model.n_bytes);
    json!({
        "name": name,
        "model": name,
        "size": size,
        "digest": digest(card, size),
        "details": details(facts),
    })
}

/// A digest that distinguishes files without reading gigabytes: from path, size and time.
fn digest(card: &ModelCard, size: u64) -> String {
    let path = card.model.as_ref().map_or(card.id.as_str(), |model| &model.path);
    let hash = Sha256::digest(format!("{path}\n{size}\n{}", card.created));
    hash.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn modified_at(card: &ModelCard) -> String {
    rfc_3339(UNIX_EPOCH + Duration::from_secs(card.created))
}

fn metadata<'a>(facts: &'a ModelFacts, key: &str) -> Option<&'a str> {
    facts.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

fn details(facts: Option<&ModelFacts>) -> Value {
    let family = facts.and_then(|facts| metadata(facts, "general.architecture")).unwrap_or_default();
    let file_type = facts.and_then(|facts| metadata(facts, "general.file_type"));
    json!({
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": facts.map_or_else(String::new, |facts| short(facts.model.n_params)),
        "quantization_level": file_type.and_then(|n| n.parse().ok()).map_or("unknown", quantization),
    })
}

/// A parameter count as Ollama writes it: `1.2B`, `268.10M`.
fn short(n: u64) -> String {
    match n {
        1_000_000_000.. => format!("{:.1}B", n as f64 / 1e9),
        1_000_000.. => format!("{:.2}M", n as f64 / 1e6),
        1_000.. => format!("{:.2}K", n as f64 / 1e3),
        _ => n.to_string(),
    }
}

/// The name of a `llama_ftype` of llama.cpp.
fn quantization(file_type: u32) -> &'static str {
    const NAMES: [(u32, &str); 33] = [
        (0, "F32"),
        (1, "F16"),
        (2, "Q4_0"),
        (3, "Q4_1"),
        (7, "Q8_0"),
        (8, "Q5_0"),
        (9, "Q5_1"),
        (10, "Q2_K"),
        (11, "Q3_K_S"),
        (12, "Q3_K_M"),
        (13, "Q3_K_L"),
        (14, "Q4_K_S"),
        (15, "Q4_K_M"),
        (16, "Q5_K_S"),
        (17, "Q5_K_M"),
        (18, "Q6_K"),
        (19, "IQ2_XXS"),
        (20, "IQ2_XS"),
        (21, "Q2_K_S"),
        (22, "IQ3_XS"),
        (23, "IQ3_XXS"),
        (24, "IQ1_S"),
        (25, "IQ4_NL"),
        (26, "IQ3_S"),
        (27, "IQ3_M"),
        (28, "IQ2_S"),
        (29, "IQ2_M"),
        (30, "IQ4_XS"),
        (31, "IQ1_M"),
        (32, "BF16"),
        (36, "TQ1_0"),
        (37, "TQ2_0"),
        (38, "MXFP4"),
    ];
    NAMES.iter().find(|(known, _)| *known == file_type).map_or("unknown", |(_, name)| name)
}

fn model_info(facts: &ModelFacts) -> Value {
    let numbers = facts.metadata.iter().map(|(key, value)| {
        let number = value.parse::<i64>().ok().map(Value::from);
        let number = number.or_else(|| value.parse::<f64>().ok().map(Value::from));
        (key.clone(), number.unwrap_or_else(|| value.as_str().into()))
    });
    let mut info: Map<String, Value> = numbers.collect();
    let architecture = metadata(facts, "general.architecture").unwrap_or("unknown").to_owned();
    info.insert("general.basename".into(), facts.model.name.as_str().into());
    info.insert("general.parameter_count".into(), facts.model.n_params.into());
    // Clients fill the context that this field reports, so it is the actual one, not the training length.
    info.insert(format!("{architecture}.context_length"), facts.model.n_ctx.into());
    info.into()
}

/// Sampling parameters in Modelfile format.
fn parameters(facts: &ModelFacts) -> String {
    let sampling = &facts.sampling;
    let all = [
        ("num_ctx", facts.model.n_ctx.to_string()),
        ("temperature", sampling.temp.to_string()),
        ("top_k", sampling.top_k.to_string()),
        ("top_p", sampling.top_p.to_string()),
        ("min_p", sampling.min_p.to_string()),
        ("repeat_penalty", sampling.repeat_penalty.to_string()),
    ];
    all.map(|(name, value)| format!("{name:<30} {value}")).join("\n")
}

fn capabilities(facts: Option<&ModelFacts>) -> Value {
    let mut capabilities = vec!["completion", "tools", "embedding"];
    if facts.is_some_and(thinks) {
        capabilities.push("thinking");
    }
    capabilities.into()
}

/// Whether the model's template supports thinking.
fn thinks(facts: &ModelFacts) -> bool {
    let template = &facts.chat_template;
    ["enable_thinking", "<think>", "reasoning_content"].iter().any(|word| template.contains(word))
}

/// Checks whether this request may enable thinking; loads a model that was never loaded.
///
/// # Errors
/// 400 in Ollama's words when the model does not support it.
pub(super) async fn check_thinking(
    client: &Client,
    model: Option<&str>,
    fields: &Fields<'_>,
    options: &TemplateOptions,
) -> Result<(), Refusal> {
    if options.thinking != Some(true) {
        return Ok(());
    }
    let facts = match models::facts(&client.shared, model) {
        Some(facts) => facts,
        None => Arc::clone(&hold(client, model).await?.ready.facts),
    };
    if thinks(&facts) {
        return Ok(());
    }
    let name = fields.text("model")?.map_or_else(|| ModelCard::named(&client.shared, model).tagged(), str::to_owned);
    let name = models::excerpt(&name);
    Err(Refusal::invalid_field("think", format!("\"{name}\" does not support thinking")))
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
