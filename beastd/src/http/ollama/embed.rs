//! The routes `/api/embed` and `/api/embeddings`.

use std::time::Instant;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::keep_alive;
use crate::admission::Admission;
use crate::batch::Token;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::client::Client;
use crate::http::fields::Fields;
use crate::http::models::tagged;
use crate::http::refusal::Refusal;
use crate::http::vocabulary::hold_named;

/// Most texts per request.
const MAX_INPUTS: usize = 2048;

struct Embedded {
    model: String,
    vectors: Vec<Vec<f32>>,
    n_tokens: usize,
    load_ns: u64,
}

/// `/api/embed`: one text or several.
pub(crate) async fn many(asked: Asked) -> Result<Reply, Refusal> {
    let arrived = Instant::now();
    let fields = Fields::new(&asked.body);
    keep_alive::is_over(&fields)?;
    let texts = fields.texts("input", MAX_INPUTS)?;
    let is_truncated = fields.flag("truncate")?.unwrap_or(true);
    let n_dimensions = fields.integer("dimensions", 1..=i64::from(u32::MAX))?.and_then(|n| usize::try_from(n).ok());
    let mut embedded = embed(&asked.client, &fields, texts, is_truncated).await?;
    if let Some(n) = n_dimensions {
        embedded.vectors.iter_mut().for_each(|vector| shorten(vector, n));
    }
    let body = json!({
        "model": tagged(&embedded.model),
        "embeddings": embedded.vectors,
        "total_duration": u64::try_from(arrived.elapsed().as_nanos()).unwrap_or(u64::MAX),
        "load_duration": embedded.load_ns,
        "prompt_eval_count": embedded.n_tokens,
    });
    Ok(json_reply(StatusCode::OK, &body))
}

/// `/api/embeddings`, the older route: one text.
pub(crate) async fn one(asked: Asked) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    keep_alive::is_over(&fields)?;
    let text = fields.text("prompt")?.unwrap_or_default().to_owned();
    let mut embedded = embed(&asked.client, &fields, vec![text], true).await?;
    let vector: Value = embedded.vectors.pop().unwrap_or_default().into();
    Ok(json_reply(StatusCode::OK, &json!({ "embedding": vector })))
}

/// Computes one vector per text, none for an empty one: Ollama clients send an empty text just to load the model.
async fn embed(
    client: &Client,
    fields: &Fields<'_>,
    mut texts: Vec<String>,
    is_truncated: bool,
) -> Result<Embedded, Refusal> {
    let arrived = Instant::now();
    texts.retain(|text| !text.is_empty());
    let held = hold_named(client, fields).await?;
    let load_ns = u64::try_from(arrived.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let inputs = held.beside(move |admission| tokens(admission, &texts, is_truncated)).await?;
    let n_tokens = inputs.iter().map(Vec::len).sum();
    let vectors = if inputs.is_empty() { Vec::new() } else { held.worker.embed(inputs).await? };
    Ok(Embedded { model: held.ready.model.name.clone(), vectors, n_tokens, load_ns })
}

fn tokens(admission: &Admission, texts: &[String], is_truncated: bool) -> Result<Vec<Vec<Token>>, Refusal> {
    let n_ctx = admission.n_ctx();
    let one = |text: &String| {
        let mut tokens = admission.vocab().tokenize(text, true, false);
        if tokens.len() > n_ctx && !is_truncated {
            let text = format!(
                "the input length {} exceeds the context length {n_ctx}; try: set truncate to true",
                tokens.len()
            );
            return Err(Refusal::invalid_field("input", text));
        }
        tokens.truncate(n_ctx);
        Ok(tokens)
    };
    texts.iter().map(one).collect()
}

/// Keeps the first dimensions and normalizes again.
fn shorten(vector: &mut Vec<f32>, n_dimensions: usize) {
    vector.truncate(n_dimensions);
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}

#[cfg(test)]
#[path = "embed_tests.rs"]
mod tests;
