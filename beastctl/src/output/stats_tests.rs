use expect_test::expect;

use super::*;

#[test]
fn the_lines_say_what_they_know() {
    let usage = Usage { n_prompt: 512, n_cached: 128, n_generated: 101, ..Usage::default() };
    let timings = Timings { queued_us: 1500, prefill_us: 2_000_000, decode_us: 4_000_000, first_token_us: 2_001_500 };
    let measured = Measured {
        first_token: Some(Duration::from_millis(2010)),
        total: Duration::from_millis(6015),
        lags_us: vec![90, 4000, 100, 110, 95],
    };
    expect![[r#"
        first token 2010.0 ms, queued 1.5 ms, total 6015.0 ms, delivery lag 0.1 ms median 4.0 ms max
        prompt 512 tokens (128 cached) at 192.0 tokens/s, answer 101 tokens at 25.0 tokens/s
    "#]]
    .assert_eq(&stats_lines(usage, timings, &measured));
    expect![[r#"
        no token, queued 0.0 ms, total 0.0 ms
        prompt 1 token, answer 0 tokens
    "#]]
    .assert_eq(&stats_lines(Usage { n_prompt: 1, ..Usage::default() }, Timings::default(), &Measured::default()));
}

#[test]
fn what_was_guessed_is_said_when_something_was() {
    let usage = Usage { n_prompt: 9, n_generated: 70, n_drafted: 80, n_accepted: 60, ..Usage::default() };
    expect![[r#"
        no token, queued 0.0 ms, total 0.0 ms
        prompt 9 tokens, answer 70 tokens, 60 of 80 draft tokens accepted
    "#]]
    .assert_eq(&stats_lines(usage, Timings::default(), &Measured::default()));
}
