//! `keep_alive`: how long a model stays loaded. Only 0 without a prompt has an effect (unload now); otherwise the
//! daemon's own `idle_unload` applies.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::{rfc_3339, single};
use crate::answering::{Change, Which};
use crate::http::asked::Asked;
use crate::http::body::Reply;
use crate::http::fields::Fields;
use crate::http::models::ModelCard;
use crate::http::refusal::Refusal;
use crate::http::vocabulary::change;

/// Whether the request asks to unload the model.
pub(super) fn is_over(fields: &Fields<'_>) -> Result<bool, Refusal> {
    let wrong = || fields.wrong("keep_alive", "seconds or a duration such as 5m");
    match fields.value("keep_alive") {
        None => Ok(false),
        Some(Value::Number(seconds)) => Ok(seconds.as_f64() == Some(0.0)),
        Some(Value::String(text)) => Ok(seconds(text).ok_or_else(wrong)? == 0.0),
        Some(_) => Err(wrong()),
    }
}

/// Parses a duration in Go's format, `1h30m` or `-1s`, or a bare number of seconds.
fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let n_digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..n_digits].parse().ok()?;
        rest = &rest[n_digits..];
        let n_letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..n_letters] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[n_letters..];
    }
    Some(sign * total)
}

/// Answers a request without a prompt, which loads or unloads the model. `empty` is the field that would hold the
/// answer.
pub(super) async fn change_model(
    asked: &Asked,
    model: Option<String>,
    empty: (&str, Value),
    is_stream: bool,
) -> Result<Reply, Refusal> {
    let is_over = is_over(&Fields::new(&asked.body))?;
    let card = ModelCard::named(&asked.client.shared, model.as_deref());
    let wanted = if is_over { Change::Unload(model.map_or(Which::Default, Which::Named)) } else { Change::Load(model) };
    change(&asked.client, wanted).await?;
    let mut body = json!({
        "model": card.tagged(),
        "created_at": rfc_3339(SystemTime::now()),
    });
    body[empty.0] = empty.1;
    body["done"] = true.into();
    body["done_reason"] = if is_over { "unload" } else { "load" }.into();
    Ok(single(&body, is_stream))
}

#[cfg(test)]
#[path = "keep_alive_tests.rs"]
mod tests;
