//! The `--json` object and the `--stream-json` lines. Their field names are stable for scripts.

use std::time::Duration;

use beast_launchd::shown::is_escaped_in_json;
use beast_protocol::{Delta, Event, FinishReason, Notice, Timings, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    parts::Parts,
    stats::{Measured, answer_speed, prompt_speed, us_to_ms},
};

#[derive(Debug)]
pub struct Told<'a> {
    /// The answer, without surrounding whitespace.
    pub text: &'a str,
    pub model: &'a str,
    pub done: (FinishReason, Usage, Timings),
    pub notices: &'a [Notice],
    /// The client's own measurements.
    pub measured: &'a Measured,
    pub parts: &'a Parts,
    /// The thoughts before it.
    pub reasoning: Option<&'a str>,
    pub tool_calls: Vec<Value>,
    /// The answer as JSON, with `--schema`.
    pub value: Option<Value>,
    /// The first code block, if there is one, with `--extract`.
    pub extracted: Option<Option<&'a str>>,
}

pub fn answer_object(told: &Told<'_>) -> Value {
    let (reason, usage, timings) = told.done;
    let (lag_median, lag_max) = told.measured.lag_ms().unzip();
    // The model has ended its turn with calls, and waits for their results.
    let is_called = !told.tool_calls.is_empty() && reason == FinishReason::Stop;
    let mut object = json!({
        "text": told.text,
        "reasoning": told.reasoning,
        "tool_calls": told.tool_calls,
        "model": told.model,
        "finish_reason": if is_called { json!("tool_calls") } else { json!(reason) },
        "truncated": reason.is_cut(),
        "usage": usage,
        "parts": told.parts.object(),
        "timings": {
            "queued_ms": us_to_ms(timings.queued_us),
            "prefill_ms": us_to_ms(timings.prefill_us),
            "decode_ms": us_to_ms(timings.decode_us),
            "first_token_ms": us_to_ms(timings.first_token_us),
            "prompt_tokens_per_second": prompt_speed(usage, timings),
            "answer_tokens_per_second": answer_speed(usage, timings),
        },
        "notices": told.notices,
        "client": {
            "first_token_ms": told.measured.first_token.map(ms),
            "total_ms": ms(told.measured.total),
            "lag_ms_median": lag_median,
            "lag_ms_max": lag_max,
        },
    });
    if let Some(value) = &told.value {
        object["value"] = value.clone();
    }
    if let Some(extracted) = told.extracted {
        object["extracted"] = extracted.into();
    }
    object
}

/// Milliseconds with the precision of the measurement: further digits would come from arithmetic.
fn ms(time: Duration) -> f64 {
    us_to_ms(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// The JSON for an event before the end; `None` for events that have another line of their own.
pub fn event_object(event: &Event) -> Option<Value> {
    let object = match event {
        Event::Loading { stage, fraction } => {
            // Converting the `f32` to `f64` would add meaningless digits.
            let fraction = (f64::from(*fraction) * 1000.0).round() / 1000.0;
            json!({"type": "loading", "stage": stage, "fraction": fraction})
        }
        Event::Queued { position } => json!({"type": "queued", "position": position}),
        Event::Started { model, n_prompt, n_ctx, notices } => {
            json!({"type": "started", "model": model, "n_prompt": n_prompt, "n_ctx": n_ctx, "notices": notices})
        }
        Event::Progress { n_done, n_total } => json!({"type": "progress", "n_done": n_done, "n_total": n_total}),
        Event::Round(round) => of_type("round", json!(round)),
        Event::Part(part) => of_type("part", json!(part)),
        Event::Piece { .. }
        | Event::Done { .. }
        | Event::Failed(_)
        | Event::Status(_)
        | Event::Decided(_)
        | Event::Embedded(_)
        | Event::Counted(_) => return None,
    };
    Some(object)
}

pub fn delta_object(delta: &Delta) -> Value {
    match delta {
        Delta::Text(text) => json!({"type": "piece", "text": text}),
        Delta::Reasoning(text) => json!({"type": "reasoning", "text": text}),
        Delta::Call { index, id, name } => json!({"type": "tool_call", "index": index, "id": id, "name": name}),
        Delta::Arguments { index, text } => json!({"type": "tool_call_arguments", "index": index, "text": text}),
    }
}

pub fn error_object(message: &str, code: &str, exit_code: u8) -> Value {
    json!({"type": "error", "message": message, "code": code, "exit_code": exit_code})
}

/// The last line of a successful `--stream-json` run: the object of `--json` with a type.
pub fn answer_line(object: Value) -> Value {
    of_type("done", object)
}

fn of_type(kind: &str, mut object: Value) -> Value {
    object["type"] = kind.into();
    object
}

/// An object on one line. JSON leaves some control and direction characters unescaped, which a terminal would obey.
pub fn json_line(object: &impl Serialize) -> String {
    let mut line = String::new();
    for c in serde_json::to_string(object).expect("strings and numbers are JSON").chars() {
        if is_escaped_in_json(c) {
            line += &format!("\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
    line + "\n"
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
