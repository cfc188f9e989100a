//! Generation options in Ollama's format: `options`; unknown ones are ignored.

use beast_protocol::Generate;

use crate::http::fields::Fields;
use crate::http::openai;
use crate::http::refusal::Refusal;

const MAX_STOPS: usize = 64;
/// Most alternatives per token.
const MAX_TOP_LOGPROBS: i64 = 20;

/// Reads `options`, and `logprobs` beside them. `n_ctx` is the actual context.
pub(super) fn read(fields: &Fields<'_>, n_ctx: usize) -> Result<Generate, Refusal> {
    let empty = serde_json::Map::new();
    let object = fields.object("options")?.unwrap_or(&empty);
    let options = Fields::within(object, "options.");
    let wanted = options.integer("num_ctx", 0..=i64::from(u32::MAX))?.and_then(|n| usize::try_from(n).ok());
    if let Some(num_ctx) = wanted.filter(|&wanted| wanted > n_ctx) {
        tracing::info!(num_ctx, n_ctx, "num_ctx exceeds the context of the loaded model and is ignored");
    }
    let mut stop = options.texts("stop", MAX_STOPS)?;
    stop.retain(|text| !text.is_empty());
    let has_logprobs = fields.flag("logprobs")?.unwrap_or(false);
    let n_top = fields.integer("top_logprobs", 0..=MAX_TOP_LOGPROBS)?.and_then(|n| u32::try_from(n).ok());
    Ok(Generate {
        sampling: openai::sampling(&options, 100.0)?,
        max_tokens: max_tokens(&options)?,
        stop,
        logprobs: has_logprobs.then(|| n_top.unwrap_or(0)),
        ..Generate::default()
    })
}

/// -1 means no limit, as does 0 in Ollama; -2 means the rest of the context.
fn max_tokens(options: &Fields<'_>) -> Result<Option<u32>, Refusal> {
    let n = options.integer("num_predict", -2..=i64::from(i32::MAX))?;
    Ok(n.map(|n| if n > 0 { u32::try_from(n).unwrap_or(u32::MAX) } else { u32::MAX }))
}
