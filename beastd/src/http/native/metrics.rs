//! `/metrics`: Prometheus text format, with llama-server's names beside ours. Does not load the model.
//!
//! No value changes while there are no requests, not even when the model is unloaded: there are no clocks and no
//! memory sizes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use beast_protocol::Status;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use prometheus::{Counter, Encoder, Gauge, Registry, TextEncoder};

use crate::http::asked::Asked;
use crate::http::body::{Reply, reply};
use crate::http::refusal::Refusal;
use crate::metrics::{AnswerSums, Metrics};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders the metrics.
pub(crate) fn answer(asked: &Asked) -> Result<Reply, Refusal> {
    let shared = &asked.client.shared;
    let status = shared.status();
    let text = text(&status, &shared.metrics(), &shared.metrics.seen).map_err(|error| {
        let text = format!("cannot write the metrics: {error}; try: beastctl logs");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", text)
    })?;
    let mut reply = reply(StatusCode::OK, CONTENT_TYPE, text);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let started_s = now_ms.saturating_sub(u128::from(status.uptime_ms)) / 1000;
    if let Ok(value) = HeaderValue::from_str(&started_s.to_string()) {
        reply.headers_mut().insert(HeaderName::from_static("process-start-time-unix"), value);
    }
    Ok(reply)
}

fn text(status: &Status, metrics: &Metrics, seen: &Mutex<AnswerSums>) -> prometheus::Result<Vec<u8>> {
    let registry = Registry::new();
    for (name, help, value) in counters(metrics) {
        let counter = Counter::new(name, help)?;
        counter.inc_by(value);
        registry.register(Box::new(counter))?;
    }
    for (name, help, value) in gauges(status, metrics, seen) {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))?;
    }
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

type Row = (&'static str, &'static str, f64);

fn counters(metrics: &Metrics) -> Vec<Row> {
    let n = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let seconds = |counter: &AtomicU64| n(counter) / 1e6;
    let answers = &metrics.answers;
    vec![
        ("llamacpp:prompt_tokens_total", "Prompt tokens processed, excluding cached ones", n(&metrics.n_prompt_tokens)),
        ("llamacpp:prompt_tokens_cached_total", "Prompt tokens reused from the cache", n(&answers.n_cached)),
        ("llamacpp:prompt_seconds_total", "Time spent on prefill", seconds(&answers.prefill_us)),
        ("llamacpp:tokens_predicted_total", "Generated tokens", n(&answers.n_generated)),
        ("llamacpp:tokens_predicted_seconds_total", "Time spent on decoding", seconds(&answers.decode_us)),
        ("llamacpp:n_decode_total", "Engine steps", n(&metrics.n_steps)),
        ("llamacpp:n_tokens_max", "Longest sequence in tokens, prompt and answer", n(&metrics.n_longest)),
        ("llamacpp:spec_decode_num_draft_tokens_total", "Draft tokens", n(&metrics.n_drafted)),
        ("llamacpp:spec_decode_num_accepted_tokens_total", "Draft tokens accepted", n(&metrics.n_accepted)),
        ("llamacpp:spec_decode_num_drafts_total", "Drafts verified", n(&metrics.n_verified)),
        ("beast_requests_total", "Requests finished, for any reason", n(&metrics.n_requests)),
        ("beast_prefix_hits_total", "Prefix cache hits", n(&metrics.n_prefix_hits)),
        ("beast_prefix_tokens_saved_total", "Prompt tokens saved by the prefix cache", n(&metrics.n_tokens_saved)),
        ("beast_prefixes_restored_total", "Prefixes restored from disk", n(&metrics.n_restored)),
        ("beast_refused_clients_total", "Connections refused or ended by a protocol violation", n(&metrics.n_refused)),
        ("beast_preemptions_total", "Sequences preempted", n(&metrics.n_preempted)),
        ("beast_engine_busy_seconds_total", "Time spent in engine steps", seconds(&metrics.busy_us)),
    ]
}

fn gauges(status: &Status, metrics: &Metrics, seen: &Mutex<AnswerSums>) -> Vec<Row> {
    let rate = |n: u64, us: u64| if us == 0 { 0.0 } else { n as f64 * 1e6 / us as f64 };
    let since = metrics.since_last_look(seen);
    // Cells of cached prefixes do not count as used: they are evicted when cells are needed.
    let n_used = status.n_cells_used.saturating_sub(status.n_prefix_tokens);
    let n_steps = metrics.n_steps.load(Relaxed).max(1) as f64;
    vec![
        (
            "llamacpp:prompt_tokens_seconds",
            "Prompt tokens per second since the last scrape",
            rate(since.n_prompt, since.prefill_us),
        ),
        (
            "llamacpp:predicted_tokens_seconds",
            "Generated tokens per second since the last scrape",
            rate(since.n_decoded, since.decode_us),
        ),
        ("llamacpp:requests_processing", "Requests running", f64::from(status.n_running)),
        ("llamacpp:requests_deferred", "Requests in the queue", f64::from(status.n_waiting)),
        (
            "llamacpp:kv_cache_usage_ratio",
            "Share of the KV cells used by running requests",
            f64::from(n_used) / f64::from(status.n_cells.max(1)),
        ),
        (
            "llamacpp:n_busy_slots_per_decode",
            "Busy slots per step, on average",
            metrics.n_rows.load(Relaxed) as f64 / n_steps,
        ),
        ("beast_slots", "Requests that can run at once", f64::from(status.n_slots)),
    ]
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
