//! `/metrics`: Prometheus's text format, with llama-server's names beside ours. Loads no model.
//!
//! Nothing here changes while nothing is asked, not even when the model is unloaded: no clocks, no memory.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use beast_protocol::Status;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use prometheus::{Counter, Encoder, Gauge, Registry, TextEncoder};

use crate::http::asked::Asked;
use crate::http::body::{Reply, reply};
use crate::http::refusal::Refusal;
use crate::metrics::Metrics;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers.
pub(crate) fn answer(asked: &Asked) -> Result<Reply, Refusal> {
    let shared = &asked.client.shared;
    let status = shared.status();
    let text = text(&status, &shared.metrics).map_err(|error| {
        let text = format!("cannot write the metrics: {error}; try: the log of beastd");
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

fn text(status: &Status, metrics: &Metrics) -> prometheus::Result<Vec<u8>> {
    let registry = Registry::new();
    for (name, help, value) in counters(metrics) {
        let counter = Counter::new(name, help)?;
        counter.inc_by(value);
        registry.register(Box::new(counter))?;
    }
    for (name, help, value) in gauges(status, metrics) {
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
        (
            "llamacpp:prompt_tokens_total",
            "Prompt tokens computed, without those from the cache",
            n(&metrics.n_prompt_tokens),
        ),
        ("llamacpp:prompt_tokens_cached_total", "Prompt tokens reused from the cache", n(&answers.n_cached)),
        ("llamacpp:prompt_seconds_total", "Time spent on prompts", seconds(&answers.prefill_us)),
        ("llamacpp:tokens_predicted_total", "Tokens of answers", n(&answers.n_generated)),
        ("llamacpp:tokens_predicted_seconds_total", "Time spent on answers", seconds(&answers.decode_us)),
        ("llamacpp:n_decode_total", "Steps of the engine", n(&metrics.n_steps)),
        ("llamacpp:n_tokens_max", "Tokens of the longest sequence, prompt and answer", n(&metrics.n_longest)),
        ("llamacpp:spec_decode_num_draft_tokens_total", "Draft tokens", n(&metrics.n_drafted)),
        ("llamacpp:spec_decode_num_accepted_tokens_total", "Draft tokens that were accepted", n(&metrics.n_accepted)),
        ("llamacpp:spec_decode_num_drafts_total", "Drafts that were verified", n(&metrics.n_verified)),
        ("beast_requests_total", "Requests that have ended, for whatever reason", n(&metrics.n_requests)),
        ("beast_prefix_hits_total", "Prompts that began with a prefix from the cache", n(&metrics.n_prefix_hits)),
        ("beast_prefix_tokens_saved_total", "Tokens that were therefore not computed", n(&metrics.n_tokens_saved)),
        ("beast_prefixes_restored_total", "Prefixes read back from disk", n(&metrics.n_restored)),
        ("beast_refused_clients_total", "Connections that were refused, or broke the protocol", n(&metrics.n_refused)),
        ("beast_preemptions_total", "Sequences that lost their cells and began again", n(&metrics.n_preempted)),
        ("beast_engine_busy_seconds_total", "Time spent in steps of the engine", seconds(&metrics.busy_us)),
    ]
}

fn gauges(status: &Status, metrics: &Metrics) -> Vec<Row> {
    let rate = |n: u64, us: u64| if us == 0 { 0.0 } else { n as f64 * 1e6 / us as f64 };
    let since = metrics.since_last_look();
    // What is kept for later is not in use: it makes room for whoever needs it.
    let n_used = status.n_cells_used.saturating_sub(status.n_prefix_tokens);
    let n_steps = metrics.n_steps.load(Relaxed).max(1) as f64;
    vec![
        (
            "llamacpp:prompt_tokens_seconds",
            "Prompt tokens a second since the last scrape",
            rate(since.n_prompt, since.prefill_us),
        ),
        (
            "llamacpp:predicted_tokens_seconds",
            "Answer tokens a second since the last scrape",
            rate(since.n_decoded, since.decode_us),
        ),
        ("llamacpp:requests_processing", "Requests that have a slot", f64::from(status.n_running)),
        ("llamacpp:requests_deferred", "Requests that wait for a slot", f64::from(status.n_waiting)),
        (
            "llamacpp:kv_cache_usage_ratio",
            "Share of the KV cells that running requests use",
            f64::from(n_used) / f64::from(status.n_cells.max(1)),
        ),
        (
            "llamacpp:n_busy_slots_per_decode",
            "Slots that worked in a step, on average",
            metrics.n_rows.load(Relaxed) as f64 / n_steps,
        ),
        ("beast_slots", "Requests that are worked on at once", f64::from(status.n_slots)),
    ]
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
