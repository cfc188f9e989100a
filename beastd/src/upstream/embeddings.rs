//! Embeds texts by a server's `/embeddings`, in batches.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use base64::prelude::*;
use beast_protocol::{Embed, Embedded, ErrorCode, Usage, WireError};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::failure::Fault;
use super::model::{About, Attempt, NotAnswered, Upstream, number};
use super::server::{Asking, Server};
use super::sizes;

/// Most texts and bytes of a batch.
const MAX_TEXTS: usize = 32;
const MAX_BYTES: usize = 256 * 1024;
/// Tokens that a server adds to a text.
const N_ADDED: usize = 8;

/// One batch.
struct Embedding {
    body: String,
    n_texts: usize,
}

/// The vectors of a batch, and its tokens if the server counts them.
type Vectors = (Vec<Vec<f32>>, Option<u32>);

impl Attempt for Embedding {
    type Answer = Vectors;

    async fn ask(&mut self, server: &Server, asking: &Asking<'_>) -> Result<Vectors, Fault> {
        let answer = server.document(asking, "/embeddings", &self.body).await?;
        vectors(&answer, self.n_texts).map_err(Fault::Unexpected)
    }
}

impl Upstream {
    pub(super) async fn embed(self: Arc<Self>, request: Embed) -> Result<Embedded, NotAnswered> {
        self.key()?;
        let about = self.about().await;
        let Embed { mut texts, drop_tail, .. } = request;
        let truncated = if drop_tail { self.truncate(&mut texts, &about).await } else { Vec::new() };
        let batches = batches(&texts);
        let mut found: Vec<Option<Vectors>> = vec![None; batches.len()];
        let mut waiting = batches.iter().cloned().enumerate();
        let (mut running, n_at_once) = (JoinSet::new(), self.n_parallel(&about));
        loop {
            while running.len() < n_at_once
                && let Some((nth, batch)) = waiting.next()
            {
                let input = &texts[batch];
                let body = json!({"model": about.model(), "input": input, "encoding_format": "float"}).to_string();
                let (this, mut batch) = (Arc::clone(&self), Embedding { body, n_texts: input.len() });
                running.spawn(async move { (nth, this.ask(&mut batch).await) });
            }
            let Some(outcome) = running.join_next().await else { break };
            let (nth, vectors) = outcome.map_err(|error| {
                NotAnswered::finally(WireError::new(ErrorCode::Internal, format!("cannot embed: {error}")))
            })?;
            found[nth] = Some(vectors?);
        }
        let (mut vectors, mut n_tokens) = (Vec::with_capacity(texts.len()), 0);
        for ((batch, n), texts) in found.into_iter().flatten().zip(batches.iter().map(|batch| &texts[batch.clone()])) {
            let estimated = || texts.iter().map(|text| sizes::estimate(text.len()) as u64).sum();
            n_tokens += n.map_or_else(estimated, u64::from);
            vectors.extend(batch);
        }
        self.note(Usage { n_prompt: u32::try_from(n_tokens).unwrap_or(u32::MAX), ..Usage::default() });
        let lengths: HashSet<usize> = vectors.iter().map(Vec::len).collect();
        if lengths.len() > 1 {
            let fault = Fault::Unexpected("vectors of different lengths".into());
            return Err(NotAnswered::finally(fault.told(&self.config.name, &self.config.urls.join(", "), None)));
        }
        let (model, fingerprint) = (self.full_name(&about), fingerprint(&self.config.urls, &about));
        Ok(Embedded { model, fingerprint, vectors, n_tokens, truncated, notices: Vec::new() })
    }

    /// Drops the ends of texts that are longer than the context; returns which ones.
    async fn truncate(self: &Arc<Self>, texts: &mut [String], about: &About) -> Vec<u32> {
        let Some(n_max) = about.context.map(|n| (n as usize).saturating_sub(N_ADDED)) else { return Vec::new() };
        let mut truncated = Vec::new();
        for (nth, text) in (0..).zip(texts) {
            if sizes::careful_estimate(text) <= n_max {
                continue;
            }
            let ends = Arc::clone(self).token_ends(Arc::new(text.clone())).await;
            if let Some(&end) = ends.get(n_max).and(ends.get(n_max.saturating_sub(1))) {
                text.truncate(text.floor_char_boundary(end));
                truncated.push(nth);
            }
        }
        truncated
    }
}

/// Batches of neighbouring texts.
fn batches(texts: &[String]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut n_bytes = 0;
    for (nth, text) in texts.iter().enumerate() {
        n_bytes += text.len();
        match batches.last_mut() {
            Some(last) if last.len() < MAX_TEXTS && n_bytes <= MAX_BYTES => last.end = nth + 1,
            _ => {
                batches.push(nth..nth + 1);
                n_bytes = text.len();
            }
        }
    }
    batches
}

/// Reads the vectors, in the order of the texts, and makes their lengths 1; the error says what is wrong.
fn vectors(answer: &Value, n_texts: usize) -> Result<Vectors, String> {
    let data = answer["data"].as_array().ok_or("an answer without data")?;
    let mut found = vec![None; n_texts];
    for (nth, one) in data.iter().enumerate() {
        let nth = one["index"].as_u64().and_then(|nth| usize::try_from(nth).ok()).unwrap_or(nth);
        let vector = vector(&one["embedding"]).and_then(normalized).ok_or("a vector that is none")?;
        *found.get_mut(nth).ok_or_else(|| format!("vector {nth} of {n_texts} texts"))? = Some(vector);
    }
    let n_found = found.iter().flatten().count();
    let vectors: Option<Vec<_>> = found.into_iter().collect();
    let vectors = vectors.ok_or_else(|| format!("{n_found} vectors for {n_texts} texts"))?;
    Ok((vectors, number(&answer["usage"]["prompt_tokens"])))
}

/// A vector as numbers, or as base64 of little-endian ones, which some servers always send.
fn vector(embedding: &Value) -> Option<Vec<f32>> {
    if let Some(text) = embedding.as_str() {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        let (numbers, []) = bytes.as_chunks::<4>() else { return None };
        return Some(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect());
    }
    #[expect(clippy::cast_possible_truncation, reason = "the server computes in single precision at most")]
    let number = |number: &Value| number.as_f64().map(|number| number as f32);
    embedding.as_array()?.iter().map(number).collect()
}

/// The same direction with length 1; `None` for a vector without a direction.
fn normalized(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 1")]
    vector.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
    Some(vector)
}

/// Identifies the model by its servers and their name for it, as far as a client can know.
fn fingerprint(urls: &[String], about: &About) -> Option<[u8; 32]> {
    let model = about.model.as_ref()?;
    Some(Sha256::digest([&urls.join("\n"), "\n", model].concat()).into())
}

#[cfg(test)]
#[path = "embeddings_tests.rs"]
mod tests;
