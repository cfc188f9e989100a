//! What an answer took, in words: `--stats`.

use std::time::Duration;

use beast_protocol::{Timings, Usage};

/// What the client itself has measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// From the start of this process to the first piece of the answer.
    pub first_token: Option<Duration>,
    /// From the start of this process to the end of the answer.
    pub total: Duration,
    /// For each piece, in microseconds: from its choice in the engine until it was written here.
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

/// Microseconds as milliseconds, as people and `--json` want them.
pub(super) fn us_to_ms(us: u64) -> f64 {
    // Exact for times below a century.
    us as f64 / 1000.0
}

/// Tokens a second; `None` where there is no time to divide by.
pub(super) fn speed(n_tokens: u32, us: u64) -> Option<f64> {
    (n_tokens > 0 && us > 0).then(|| f64::from(n_tokens) * 1e6 / us as f64)
}

/// Tokens that were computed for the prompt.
pub(super) fn n_computed(usage: Usage) -> u32 {
    usage.n_prompt.saturating_sub(usage.n_cached)
}

/// Tokens between which the time of decoding passed: the first one belongs to the prompt.
pub(super) fn n_decoded(usage: Usage) -> u32 {
    usage.n_generated.saturating_sub(1)
}

/// Two lines about an answer.
pub fn stats_lines(usage: Usage, timings: Timings, measured: &Measured) -> String {
    let at = |speed: Option<f64>| speed.map(|speed| format!(" at {speed:.1} tokens/s")).unwrap_or_default();
    let cached = if usage.n_cached > 0 { format!(" ({} cached)", usage.n_cached) } else { String::new() };
    let first = measured.first_token.map_or("no token".into(), |time| format!("first token {}", ms(time)));
    let lag = measured
        .lag_ms()
        .map(|(median, max)| format!(", delivery lag {median:.1} ms median {max:.1} ms max"))
        .unwrap_or_default();
    format!(
        "{first}, queued {}, total {}{lag}\nprompt {}{cached}{}, answer {}{}\n",
        ms(Duration::from_micros(timings.queued_us)),
        ms(measured.total),
        n_tokens(usage.n_prompt),
        at(speed(n_computed(usage), timings.prefill_us)),
        n_tokens(usage.n_generated),
        at(speed(n_decoded(usage), timings.decode_us)),
    )
}

fn n_tokens(n: u32) -> String {
    if n == 1 { "1 token".into() } else { format!("{n} tokens") }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
