//! The times and speeds of an answer, for `--stats`.

use std::time::Duration;

use beast_protocol::{Timings, Usage};

use super::units::count;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// From the start of this process to the first piece of the answer.
    pub first_token: Option<Duration>,
    pub total: Duration,
    /// For each piece, in microseconds: from sampling in the engine to writing here.
    pub lags_us: Vec<u64>,
}

impl Measured {
    /// Median and longest delivery lag, in milliseconds.
    pub fn lag_ms(&self) -> Option<(f64, f64)> {
        let mut lags = self.lags_us.clone();
        lags.sort_unstable();
        let median = *lags.get(lags.len() / 2)?;
        Some((us_to_ms(median), us_to_ms(*lags.last()?)))
    }
}

/// Converts microseconds to milliseconds, the unit for people and `--json`.
pub fn us_to_ms(us: u64) -> f64 {
    // Exact for times below a century.
    us as f64 / 1000.0
}

/// Computed prompt tokens per second; `None` if the time is 0.
pub fn prompt_speed(usage: Usage, timings: Timings) -> Option<f64> {
    speed(usage.n_prompt.saturating_sub(usage.n_cached), timings.prefill_us)
}

/// Answer tokens per second. The first token belongs to the prefill: decoding time begins after it.
pub fn answer_speed(usage: Usage, timings: Timings) -> Option<f64> {
    speed(usage.n_generated.saturating_sub(1), timings.decode_us)
}

fn speed(n_tokens: u32, us: u64) -> Option<f64> {
    (n_tokens > 0 && us > 0).then(|| f64::from(n_tokens) * 1e6 / us as f64)
}

pub fn stats_lines(usage: Usage, timings: Timings, measured: &Measured) -> String {
    let at = |speed: Option<f64>| speed.map(|speed| format!(" at {speed:.1} tokens/s")).unwrap_or_default();
    let cached = if usage.n_cached > 0 { format!(" ({} cached)", usage.n_cached) } else { String::new() };
    let first = measured.first_token.map_or("no token".into(), |time| format!("first token {}", ms(time)));
    let lag = measured
        .lag_ms()
        .map(|(median, max)| format!(", delivery lag {median:.1} ms median {max:.1} ms max"))
        .unwrap_or_default();
    let guessed = match usage.n_drafted {
        0 => String::new(),
        n => format!(", {} of {} accepted", usage.n_accepted, count(n.into(), "draft token")),
    };
    format!(
        "{first}, queued {}, total {}{lag}\nprompt {}{cached}{}, answer {}{}{guessed}\n",
        ms(Duration::from_micros(timings.queued_us)),
        ms(measured.total),
        count(usage.n_prompt.into(), "token"),
        at(prompt_speed(usage, timings)),
        count(usage.n_generated.into(), "token"),
        at(answer_speed(usage, timings)),
    )
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
