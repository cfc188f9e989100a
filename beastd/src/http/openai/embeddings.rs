//! `/v1/embeddings` in OpenAI's format, `/embeddings` and `/embedding` in llama-server's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use beast_protocol::{RawPrompt, WireError};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::batch::Token;
use crate::engine::Vocab;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::Fields;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::vocabulary::{Held, hold_named};
use crate::http::{prompts, stream};

/// Most texts per request, as in OpenAI's API.
const MAX_INPUTS: usize = 2048;

/// Encoding of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Float,
    /// Little-endian single precision, in base64.
    Base64,
}

/// The format of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    OpenAi,
    Llama,
}

#[derive(Debug, Clone, Copy)]
struct Wishes {
    format: Format,
    n_dimensions: Option<i64>,
    shape: Shape,
}

pub(crate) async fn answer(asked: Asked, shape: Shape) -> Result<Reply, Refusal> {
    let fields = Fields::new(&asked.body);
    let wishes = wishes(&fields, shape)?;
    let held = hold_named(&asked.client, &fields).await?;
    let (client, body) = (asked.client, asked.body);
    let inputs = held.beside(move |admission| inputs(&Fields::new(&body), admission.vocab())).await?;
    let line = client.line;
    let computing = async move {
        let n_tokens: usize = inputs.iter().map(Vec::len).sum();
        let outcome = held.worker.embed(inputs).await.map_err(refusal);
        let body = outcome.and_then(|vectors| body_of(&vectors, n_tokens, &held, wishes));
        match body {
            Ok(body) => json_reply(StatusCode::OK, &body),
            Err(refusal) => refusal.reply(Dialect::OpenAi),
        }
    };
    Ok(stream::whole(&line, computing).await)
}

/// The refusal for a worker's error; with several texts, the worker's message already says which one is too long.
fn refusal(error: WireError) -> Refusal {
    let message = error.message.clone();
    let refusal = Refusal::from(error);
    if refusal.sizes.is_some() { Refusal { message, param: Some("input".into()), ..refusal } } else { refusal }
}

fn wishes(fields: &Fields<'_>, shape: Shape) -> Result<Wishes, Refusal> {
    let format = match fields.text("encoding_format")? {
        None | Some("float") => Format::Float,
        Some("base64") => Format::Base64,
        Some(_) => return Err(fields.wrong("encoding_format", "float or base64")),
    };
    let n_dimensions = fields.integer("dimensions", 1..=i64::from(i32::MAX))?;
    // llama-server's older field `content` implies its older response format.
    let shape = if fields.has("input") { shape } else { Shape::Llama };
    Ok(Wishes { format, n_dimensions, shape })
}

fn inputs(fields: &Fields<'_>, vocab: &dyn Vocab) -> Result<Vec<Vec<Token>>, Refusal> {
    let name = if !fields.has("input") && fields.has("content") { "content" } else { "input" };
    let prompts = prompts::read(name, fields.value(name), MAX_INPUTS, vocab)?;
    let tokens = |prompt| match prompt {
        RawPrompt::Text(text) => vocab.tokenize(&text, true, false),
        RawPrompt::Tokens(tokens) => tokens.into_iter().map(Token).collect(),
    };
    Ok(prompts.into_iter().map(tokens).collect())
}

fn body_of(vectors: &[Vec<f32>], n_tokens: usize, held: &Held, wishes: Wishes) -> Result<Value, Refusal> {
    let n_dimensions = vectors.first().map_or(0, Vec::len);
    if wishes.n_dimensions.is_some_and(|wanted| usize::try_from(wanted) != Ok(n_dimensions)) {
        let text =
            format!("invalid dimensions: embeddings of this model have {n_dimensions}; try: leave dimensions out");
        return Err(Refusal::invalid_field("dimensions", text));
    }
    let each = vectors.iter().enumerate();
    Ok(match wishes.shape {
        Shape::OpenAi => json!({
            "object": "list",
            "data": each.map(|(index, vector)| {
                json!({ "object": "embedding", "index": index, "embedding": written(vector, wishes.format) })
            }).collect::<Vec<_>>(),
            "model": held.ready.model.name,
            "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens },
        }),
        // The array could hold one vector per token; ours is the single pooled one.
        Shape::Llama => each
            .map(|(index, vector)| json!({ "index": index, "embedding": [written(vector, wishes.format)] }))
            .collect(),
    })
}

fn written(vector: &[f32], format: Format) -> Value {
    match format {
        Format::Float => vector.into(),
        Format::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
            STANDARD.encode(bytes).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_asked_for() {
        let vector = [0.5, -1.0];
        assert_eq!(written(&vector, Format::Float), json!([0.5, -1.0]));
        // 0x3f000000 and 0xbf800000, low byte first.
        assert_eq!(written(&vector, Format::Base64), json!("AAAAPwAAgL8="));
    }

    #[test]
    fn wishes_are_checked() {
        let refused = |body: Value| {
            let object = body.as_object().expect("an object").clone();
            wishes(&Fields::new(&object), Shape::OpenAi).expect_err("it is wrong").param
        };
        assert_eq!(refused(json!({ "input": "a", "encoding_format": 1 })).as_deref(), Some("encoding_format"));
        assert_eq!(refused(json!({ "input": "a", "encoding_format": "int8" })).as_deref(), Some("encoding_format"));
        assert_eq!(refused(json!({ "input": "a", "dimensions": 0 })).as_deref(), Some("dimensions"));
    }
}
