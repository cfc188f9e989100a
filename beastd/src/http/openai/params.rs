//! Generation options in OpenAI's format, with llama-server's additions, which clients use beside them.

use beast_protocol::{Constraint, Priority, Sampling};
use hyper::header::HeaderMap;
use serde_json::{Value, json};

use crate::http::fields::{Fields, whole_number};
use crate::http::refusal::Refusal;

/// Reads all sampling parameters; `max_temp` is the dialect's limit.
pub(crate) fn sampling(fields: &Fields<'_>, max_temp: f64) -> Result<Sampling, Refusal> {
    let as_u32 = |n: i64| u32::try_from(n).unwrap_or(0);
    Ok(Sampling {
        temp: fields.number("temperature", 0.0..=max_temp)?,
        // Clients send 0 to ask for greedy sampling.
        top_p: fields.number("top_p", 0.0..=1.0)?.map(|top_p| top_p.max(f32::MIN_POSITIVE)),
        // Other servers read -1 as all tokens.
        top_k: fields.integer("top_k", -1..=i64::from(i32::MAX))?.map(as_u32),
        min_p: fields.number("min_p", 0.0..=1.0)?,
        seed: fields.integer("seed", i64::MIN..=i64::MAX)?.and_then(seed),
        repeat_penalty: match fields.number("repeat_penalty", 0.01..=100.0)? {
            None => fields.number("repetition_penalty", 0.01..=100.0)?,
            penalty => penalty,
        },
        repeat_last_n: last_n(fields, "repeat_last_n")?,
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?,
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?,
        logit_bias: logit_bias(fields)?,
        dry_multiplier: fields.number("dry_multiplier", 0.0..=100.0)?,
        // Others take any, and fall back to their default below 1.
        dry_base: fields.number("dry_base", 0.0..=100.0)?.filter(|base| *base >= 1.0),
        dry_allowed_length: fields.integer("dry_allowed_length", 0..=i64::from(i32::MAX))?.map(as_u32),
        dry_penalty_last_n: last_n(fields, "dry_penalty_last_n")?,
        xtc_probability: fields.number("xtc_probability", 0.0..=1.0)?,
        xtc_threshold: fields.number("xtc_threshold", 0.0..=1.0)?,
    })
}

/// A number of recent tokens; -1 for all.
fn last_n(fields: &Fields<'_>, name: &str) -> Result<Option<u32>, Refusal> {
    let n = fields.integer(name, -1..=i64::from(i32::MAX))?;
    Ok(n.map(|n| u32::try_from(n).unwrap_or(i32::MAX.unsigned_abs())))
}

/// The seed; -1 and llama.cpp's `LLAMA_DEFAULT_SEED` ask for a random one.
fn seed(n: i64) -> Option<u32> {
    const RANDOM: i64 = 0xffff_ffff;
    if n == -1 || n == RANDOM {
        return None;
    }
    // OpenAI accepts any 64-bit seed, so both halves are mixed into ours.
    let [low, high] = [n.cast_unsigned() & 0xffff_ffff, n.cast_unsigned() >> 32];
    u32::try_from(low ^ high).ok()
}

/// Reads `{"15043": -100}`, or llama-server's `[[15043, -1.0], [15044, false]]`.
fn logit_bias(fields: &Fields<'_>) -> Result<Vec<(i32, f32)>, Refusal> {
    let wrong = || fields.wrong("logit_bias", "an object of token ids with numbers from -100 to 100");
    let bias = |token: Option<i64>, value: &Value| {
        let token = i32::try_from(token?).ok()?;
        match value {
            Value::Bool(false) => Some((token, f32::NEG_INFINITY)),
            #[expect(clippy::cast_possible_truncation, reason = "it is small")]
            value => value.as_f64().filter(|n| n.abs() <= 100.0).map(|n| (token, n as f32)),
        }
    };
    match fields.value("logit_bias") {
        None => Ok(Vec::new()),
        Some(Value::Object(object)) => {
            object.iter().map(|(token, value)| bias(token.parse().ok(), value).ok_or_else(wrong)).collect()
        }
        Some(Value::Array(list)) => list
            .iter()
            .map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([token, value]) => bias(whole_number(token), value).ok_or_else(wrong),
                _ => Err(wrong()),
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

pub(crate) struct Streaming {
    pub(crate) is_stream: bool,
    /// Whether the stream's last chunk reports the usage.
    pub(crate) has_usage: bool,
}

/// Reads `stream` and `stream_options`.
pub(crate) fn streaming(fields: &Fields<'_>) -> Result<Streaming, Refusal> {
    let is_stream = fields.flag("stream")?.unwrap_or(false);
    let options = fields.object("stream_options")?;
    if options.is_some() && !is_stream {
        return Err(Refusal::invalid_field("stream_options", "stream_options needs stream: true"));
    }
    let has_usage = match options {
        Some(options) => Fields::within(options, "stream_options.").flag("include_usage")?.unwrap_or(false),
        None => false,
    };
    Ok(Streaming { is_stream, has_usage })
}

/// Reads `response_format`, or llama-server's `json_schema` and `grammar`.
pub(crate) fn constraint(fields: &Fields<'_>) -> Result<Option<Constraint>, Refusal> {
    let of_format = match fields.object("response_format")? {
        None => None,
        Some(format) => {
            let format = Fields::within(format, "response_format.");
            match format.text("type")? {
                Some("text") => None,
                Some("json_object") => Some(schema(&format, format.value("schema"))?),
                Some("json_schema") => {
                    let inner =
                        format.object("json_schema")?.ok_or_else(|| format.wrong("json_schema", "an object"))?;
                    let inner = Fields::within(inner, "response_format.json_schema.");
                    let value = inner.value("schema").ok_or_else(|| inner.wrong("schema", "a JSON schema"))?;
                    Some(schema(&inner, Some(value))?)
                }
                _ => return Err(format.wrong("type", "text, json_object or json_schema")),
            }
        }
    };
    let of_schema = match fields.value("json_schema") {
        Some(value) => Some(schema(fields, Some(value))?),
        None => None,
    };
    let of_grammar = fields.text("grammar")?.filter(|text| !text.is_empty());
    let of_grammar = of_grammar.map(|text| Constraint::Grammar(text.to_owned()));
    let mut all = [of_format, of_schema, of_grammar].into_iter().flatten();
    match (all.next(), all.next()) {
        (_, Some(_)) => {
            Err(Refusal::invalid("response_format, json_schema and grammar exclude each other; try: use one of them"))
        }
        (constraint, None) => Ok(constraint),
    }
}

fn schema(fields: &Fields<'_>, value: Option<&Value>) -> Result<Constraint, Refusal> {
    match value {
        None => Ok(Constraint::Schema(json!({ "type": "object" }).to_string())),
        Some(value @ (Value::Object(_) | Value::Bool(true))) => Ok(Constraint::Schema(value.to_string())),
        Some(_) => Err(fields.wrong("schema", "a JSON schema")),
    }
}

/// Reads the header that marks a request as background work.
pub(crate) fn priority(headers: &HeaderMap) -> Result<Priority, Refusal> {
    match headers.get("x-beast-priority").map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase()) {
        None => Ok(Priority::Normal),
        Some(text) if text == "normal" => Ok(Priority::Normal),
        Some(text) if text == "background" => Ok(Priority::Background),
        Some(_) => Err(Refusal::invalid("invalid header X-Beast-Priority: expected normal or background")),
    }
}
