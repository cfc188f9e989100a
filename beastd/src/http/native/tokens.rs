//! `/tokenize`, `/detokenize`, `/apply-template` and the routes that count prompt tokens.

use beast_protocol::Generate;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::admission::Admission;
use crate::engine::Vocab;
use crate::http::asked::Asked;
use crate::http::body::{Reply, json_reply};
use crate::http::fields::{Fields, whole_number};
use crate::http::openai::{chat, responses};
use crate::http::refusal::Refusal;
use crate::http::vocabulary::{Pieces, hold_named};

pub(crate) async fn tokenize(asked: Asked) -> Result<Reply, Refusal> {
    let held = hold_named(&asked.client, &Fields::new(&asked.body)).await?;
    let tokens = held.beside(move |admission| tokens(&Fields::new(&asked.body), admission.vocab())).await?;
    Ok(json_reply(StatusCode::OK, &json!({ "tokens": tokens })))
}

fn tokens(fields: &Fields<'_>, vocab: &dyn Vocab) -> Result<Value, Refusal> {
    let add_special = fields.flag("add_special")?.unwrap_or(false);
    let parse_special = fields.flag("parse_special")?.unwrap_or(true);
    let wrong = || fields.wrong("content", "a string, or an array of strings and tokens");
    let tokenize = |text: &str, is_first: bool| {
        vocab.tokenize(text, is_first && add_special, parse_special).into_iter().map(|token| token.0)
    };
    let mut tokens: Vec<i32> = Vec::new();
    match fields.value("content") {
        None => {}
        Some(Value::String(text)) => tokens.extend(tokenize(text, true)),
        Some(Value::Array(list)) => {
            for (n, value) in list.iter().enumerate() {
                match value {
                    Value::String(text) => tokens.extend(tokenize(text, n == 0)),
                    value => tokens.push(token(value).ok_or_else(wrong)?),
                }
            }
        }
        Some(_) => return Err(wrong()),
    }
    if !fields.flag("with_pieces")?.unwrap_or(false) {
        return Ok(tokens.into());
    }
    let mut pieces = Pieces::new(vocab);
    let piece = |token: i32| {
        // The bytes of an incomplete character are reported as numbers.
        let piece = String::from_utf8(pieces.bytes(token)?).map_or_else(|error| error.into_bytes().into(), Value::from);
        Ok(json!({ "id": token, "piece": piece }))
    };
    tokens.into_iter().map(piece).collect()
}

fn token(value: &Value) -> Option<i32> {
    i32::try_from(whole_number(value)?).ok()
}

pub(crate) async fn detokenize(asked: Asked) -> Result<Reply, Refusal> {
    let held = hold_named(&asked.client, &Fields::new(&asked.body)).await?;
    let text = move |admission: &Admission| {
        let fields = Fields::new(&asked.body);
        let wrong = || fields.wrong("tokens", "an array of tokens");
        let tokens = fields.list("tokens")?.map_or(&[][..], Vec::as_slice);
        let tokens = tokens.iter().map(|value| token(value).ok_or_else(wrong)).collect::<Result<Vec<_>, _>>()?;
        Pieces::new(admission.vocab()).text(&tokens)
    };
    Ok(json_reply(StatusCode::OK, &json!({ "content": held.beside(text).await? })))
}

/// A conversation as text, rendered for the model.
pub(crate) async fn apply_template(asked: Asked) -> Result<Reply, Refusal> {
    let request = chat::generate(&Fields::new(&asked.body))?;
    let held = hold_named(&asked.client, &Fields::new(&asked.body)).await?;
    let prompt = held.beside(move |admission| Ok(admission.rendered(&request)?)).await?;
    Ok(json_reply(StatusCode::OK, &json!({ "prompt": prompt })))
}

/// Counts the tokens of a conversation in the format of the chat route.
pub(crate) async fn count_chat(asked: Asked) -> Result<Reply, Refusal> {
    let request = chat::generate(&Fields::new(&asked.body))?;
    count(asked, request).await
}

/// Counts the tokens of a request in the format of the Responses API.
pub(crate) async fn count_responses(asked: Asked) -> Result<Reply, Refusal> {
    let request = responses::generate(&Fields::new(&asked.body))?;
    count(asked, request).await
}

async fn count(asked: Asked, request: Generate) -> Result<Reply, Refusal> {
    let held = hold_named(&asked.client, &Fields::new(&asked.body)).await?;
    let n_tokens = held.beside(move |admission| Ok(admission.n_rendered(&request)?)).await?;
    Ok(json_reply(StatusCode::OK, &json!({ "object": "response.input_tokens", "input_tokens": n_tokens })))
}
