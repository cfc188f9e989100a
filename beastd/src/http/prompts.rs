//! Raw prompts in every form that llama-server accepts: text, tokens, both mixed, objects, and arrays of those. Knows
//! no route.

use beast_protocol::RawPrompt;
use serde_json::Value;

use super::fields::whole_number;
use super::refusal::Refusal;
use crate::engine::Vocab;

/// Reads a prompt or a list of at most `max` prompts from the field `name`.
///
/// # Errors
/// 400 for anything else.
pub(crate) fn read(
    name: &str,
    value: Option<&Value>,
    max: usize,
    vocab: &dyn Vocab,
) -> Result<Vec<RawPrompt>, Refusal> {
    let wrong = |expected: &str| Refusal::invalid_field(name, format!("invalid {name}: expected {expected}"));
    let expected = "a string, tokens, a mix of both, or an array of those";
    match value {
        None | Some(Value::Null) => Err(wrong(expected)),
        Some(Value::Array(list)) if list.is_empty() => Err(wrong("at least one prompt")),
        // An array that contains a number is a single prompt.
        Some(Value::Array(list)) if !list.iter().any(Value::is_number) => {
            if list.len() > max {
                return Err(wrong(&format!("at most {max} prompts")));
            }
            list.iter().map(|item| one(item, vocab)?.ok_or_else(|| wrong(expected))).collect()
        }
        Some(value) => Ok(vec![one(value, vocab)?.ok_or_else(|| wrong(expected))?]),
    }
}

fn one(value: &Value, vocab: &dyn Vocab) -> Result<Option<RawPrompt>, Refusal> {
    let prompt = match value {
        Value::String(text) => Some(RawPrompt::Text(text.clone())),
        Value::Array(list) => mixed(list, vocab).map(RawPrompt::Tokens),
        Value::Object(object) => {
            if object.contains_key("multimodal_data") {
                return Err(Refusal::invalid_field(
                    "multimodal_data",
                    "this model reads text only; try: leave media out",
                ));
            }
            match (object.get("prompt_string"), object.get("content")) {
                (Some(Value::String(text)), _) => Some(RawPrompt::Text(text.clone())),
                (Some(Value::Array(list)), _) => mixed(list, vocab).map(RawPrompt::Tokens),
                (None, Some(Value::Array(parts))) => texts(parts).map(RawPrompt::Text),
                _ => None,
            }
        }
        _ => None,
    };
    Ok(prompt)
}

/// A prompt of text and tokens mixed. BOS is added only if it begins with text.
fn mixed(list: &[Value], vocab: &dyn Vocab) -> Option<Vec<i32>> {
    let mut tokens = Vec::new();
    for (n, value) in list.iter().enumerate() {
        match value {
            Value::String(text) => tokens.extend(vocab.tokenize(text, n == 0, true).into_iter().map(|token| token.0)),
            value => tokens.push(i32::try_from(whole_number(value)?).ok()?),
        }
    }
    Some(tokens)
}

fn texts(parts: &[Value]) -> Option<String> {
    let text = |part: &Value| match part.get("type")?.as_str()? {
        "text" | "input_text" => part.get("text")?.as_str().map(str::to_owned),
        _ => None,
    };
    parts.iter().map(text).collect()
}
