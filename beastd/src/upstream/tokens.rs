//! Sizes in tokens, as a server counts them; estimated where it does not.

use std::ops::Range;
use std::sync::Arc;

use beast_protocol::{Counted, ErrorCode, Generate, WireError};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::body;
use super::failure::Fault;
use super::model::{About, NotAnswered, Upstream, number};
use super::sizes;

/// Bytes that are counted at once. Within such a block, tokens count as equally long.
const BLOCK_LEN: usize = 4096;
/// Blocks that are counted at the same time.
const N_AT_ONCE: usize = 8;
/// A prompt estimated at so many contexts is not sent to be counted: it does not fit in any case.
const MOST_CONTEXTS: usize = 4;

impl Upstream {
    /// The answer to `--count-tokens`.
    pub(super) async fn count(&self, request: &Generate) -> Result<Counted, NotAnswered> {
        self.key()?;
        let about = self.about().await;
        body::body(request, about.model()).map_err(NotAnswered::finally)?;
        let counted = self.counted(request, &about).await.map_err(|fault| {
            let (name, url) = (&self.config.name, &self.config.urls[0]);
            NotAnswered::finally(fault.told(name, url, None))
        })?;
        let Some(n_prompt) = counted else {
            let text = format!(
                "upstream {} ({}) has no /tokenize, so its tokens cannot be counted beforehand; try: leave out \
                 --count-tokens, or pass a local model",
                self.config.name,
                self.config.urls.join(", ")
            );
            return Err(NotAnswered::finally(WireError::new(ErrorCode::Invalid, text)));
        };
        let n_prompt = u32::try_from(n_prompt).unwrap_or(u32::MAX);
        // Without a known limit, everything fits.
        let n_ctx = about.context.unwrap_or(u32::MAX);
        Ok(Counted { model: self.full_name(&about), n_prompt, n_ctx, notices: Vec::new() })
    }

    /// Tokens of a whole prompt: counted if it may not fit, else estimated.
    pub(super) async fn n_prompt(&self, request: &Generate, about: &About) -> usize {
        let (estimated, most) = (sizes::n_prompt(request), sizes::careful_n_prompt(request));
        let is_clear = |n_ctx: usize| most <= n_ctx / 2 || estimated > n_ctx * MOST_CONTEXTS;
        if about.context.is_none_or(|n_ctx| is_clear(n_ctx as usize)) {
            return estimated;
        }
        self.counted(request, about).await.ok().flatten().unwrap_or(estimated)
    }

    /// Tokens of a whole prompt with its template, by a server's count; `None` if it cannot count.
    async fn counted(&self, request: &Generate, about: &About) -> Result<Option<usize>, Fault> {
        let Ok(mut chat) = body::body(request, about.model()) else { return Ok(None) };
        if let Some(fields) = chat.as_object_mut() {
            let kept = ["model", "messages", "tools", "chat_template_kwargs"];
            fields.retain(|name, _| kept.contains(&name.as_str()));
            fields.insert("add_generation_prompt".into(), true.into());
        }
        // vLLM renders and counts at once.
        let whole = self.post("/tokenize", &chat).await?;
        if let Some(n) = whole.as_ref().and_then(|counted| number(&counted["count"])) {
            return Ok(Some(n as usize));
        }
        // llama-server renders, then counts.
        let Some(rendered) = self.post("/apply-template", &chat).await? else { return Ok(None) };
        let Some(prompt) = rendered["prompt"].as_str() else { return Ok(None) };
        let text = json!({"model": about.model(), "content": prompt, "add_special": true, "parse_special": true});
        let counted = self.post("/tokenize", &text).await?.unwrap_or_default();
        // Some templates write the token that `add_special` adds, and then it counts only once.
        let is_doubled = matches!(counted["tokens"].as_array().map(Vec::as_slice), Some([one, two, ..]) if one == two);
        Ok(n_tokens(&counted).map(|n| n - usize::from(is_doubled)))
    }

    /// Tokens of a text alone, by a server's count.
    async fn n_of(&self, text: &str) -> Option<usize> {
        let model = self.about().await;
        // vLLM reads `prompt`, llama-server `content`.
        let body = json!({
            "model": model.model(), "prompt": text, "content": text,
            "add_special_tokens": false, "add_special": false,
        });
        self.post("/tokenize", &body).await.ok().flatten().as_ref().and_then(n_tokens)
    }

    /// Byte offsets of the ends of a text's tokens.
    pub(super) async fn token_ends(self: Arc<Self>, text: Arc<String>) -> Vec<usize> {
        let blocks = blocks(&text);
        let mut counts: Vec<Option<usize>> = vec![None; blocks.len()];
        let mut waiting = (0..blocks.len()).peekable();
        let mut running = JoinSet::new();
        // The first one alone: a server without /tokenize need not be asked again.
        let mut n_at_once = 1;
        loop {
            while running.len() < n_at_once
                && let Some(nth) = waiting.next()
            {
                let (this, text, block) = (Arc::clone(&self), Arc::clone(&text), blocks[nth].clone());
                running.spawn(async move { (nth, this.n_of(&text[block]).await) });
            }
            let Some(Ok((nth, n))) = running.join_next().await else { break };
            counts[nth] = n;
            if nth == 0 && n.is_none() {
                break;
            }
            n_at_once = N_AT_ONCE;
        }
        let mut ends = Vec::new();
        for (block, n) in blocks.into_iter().zip(counts) {
            let n = n.unwrap_or_else(|| sizes::careful_estimate(&text[block.clone()])).max(1);
            ends.extend((1..=n).map(|nth| block.start + nth * block.len() / n));
        }
        ends
    }
}

/// The blocks of a text that are counted, in order.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = text.floor_char_boundary(start + BLOCK_LEN);
        blocks.push(start..end);
        start = end;
    }
    blocks
}

/// What `/tokenize` says: vLLM a number, both the tokens.
fn n_tokens(counted: &Value) -> Option<usize> {
    number(&counted["count"]).map(|n| n as usize).or_else(|| counted["tokens"].as_array().map(Vec::len))
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
