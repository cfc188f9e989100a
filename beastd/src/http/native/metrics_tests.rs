use std::sync::Mutex;

use beast_protocol::{Timings, Usage};

use super::*;

fn sums() -> Metrics {
    let metrics = Metrics::default();
    let usage = Usage { n_prompt: 12, n_cached: 4, n_generated: 11, ..Usage::default() };
    let timings = Timings { prefill_us: 2_000_000, decode_us: 500_000, ..Timings::default() };
    metrics.answered(&usage, &timings);
    metrics.stepped(3, 1);
    metrics
}

fn rows(rows: Vec<Row>) -> Vec<(&'static str, f64)> {
    rows.into_iter().map(|(name, _, value)| (name, value)).filter(|(_, value)| *value != 0.0).collect()
}

#[test]
fn counters_are_what_answers_took() {
    let expected = [
        ("llamacpp:prompt_tokens_cached_total", 4.0),
        ("llamacpp:prompt_seconds_total", 2.0),
        ("llamacpp:tokens_predicted_total", 11.0),
        ("llamacpp:tokens_predicted_seconds_total", 0.5),
        ("llamacpp:n_decode_total", 1.0),
        ("llamacpp:n_tokens_max", 23.0),
        ("llamacpp:spec_decode_num_drafts_total", 1.0),
    ];
    assert_eq!(rows(counters(&sums())), expected);
}

#[test]
fn rates_are_those_since_the_last_scrape() {
    let (metrics, seen) = (Metrics::default(), Mutex::default());
    metrics.include(&sums());
    let rates = || metrics.since_last_look(&seen);
    let first = rates();
    assert_eq!((first.n_prompt, first.prefill_us, first.n_decoded, first.decode_us), (8, 2_000_000, 10, 500_000));
    assert_eq!(rates(), Default::default(), "nothing has come since");
}
