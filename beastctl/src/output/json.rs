//! The one object of `--json`. Its field names are a promise to scripts.

use beast_protocol::{FinishReason, Notice, Timings, Usage};
use serde_json::{Value, json};

use super::stats::{Measured, answer_speed, prompt_speed, us_to_ms};

/// An answer and everything known about it.
pub fn answer_object(
    text: &str,
    model: &str,
    (reason, usage, timings): (FinishReason, Usage, Timings),
    notices: &[Notice],
    measured: &Measured,
) -> Value {
    let (lag_median, lag_max) = measured.lag_ms().unzip();
    json!({
        "text": text,
        "model": model,
        "finish_reason": reason,
        "truncated": reason.is_cut(),
        "usage": usage,
        "timings": {
            "queued_ms": us_to_ms(timings.queued_us),
            "prefill_ms": us_to_ms(timings.prefill_us),
            "decode_ms": us_to_ms(timings.decode_us),
            "first_token_ms": us_to_ms(timings.first_token_us),
            "prompt_tokens_per_second": prompt_speed(usage, timings),
            "answer_tokens_per_second": answer_speed(usage, timings),
        },
        "notices": notices,
        "client": {
            "first_token_ms": measured.first_token.map(|time| time.as_secs_f64() * 1000.0),
            "total_ms": measured.total.as_secs_f64() * 1000.0,
            "lag_ms_median": lag_median,
            "lag_ms_max": lag_max,
        },
    })
}
