use beast_protocol::Span;
use expect_test::expect;

use super::*;

fn part(round: u32, is_cut: bool) -> Part {
    let (index, n_done, n_parts, n_tokens, n_overlap) = (0, 1, 2, 100, 0);
    Part { round, index, n_done, n_parts, span: Span::default(), n_tokens, n_overlap, is_cut, text: String::new() }
}

#[test]
fn rounds_and_parts_are_summed_up() {
    let mut parts = Parts::default();
    assert_eq!((parts.object(), parts.summary(), parts.loss()), (Value::Null, None, None));
    parts.begin(&Round { round: 1, n_parts: 12, n_tokens: 38_211 });
    assert_eq!(parts.loss(), None);
    parts.end(&part(1, true));
    parts.end(&part(1, false));
    parts.begin(&Round { round: 2, n_parts: 2, n_tokens: 3000 });
    expect!["1 of 14 parts was truncated at the token limit; something may be missing"]
        .assert_eq(&parts.loss().unwrap());
    parts.end(&part(2, true));
    expect!["2 of 14 parts were truncated at the token limit; something may be missing"]
        .assert_eq(&parts.loss().unwrap());
    expect!["read in 12 parts, 38,211 tokens"].assert_eq(&parts.summary().unwrap());
    expect![[r#"{"n_rounds":2,"n_parts":12,"n_tokens":38211,"n_merges":2,"n_cut":2}"#]]
        .assert_eq(&parts.object().to_string());
}

/// The next daemon starts over.
#[test]
fn what_a_daemon_that_ended_had_done_does_not_count() {
    let mut parts = Parts::default();
    for n_done in [2, 1] {
        parts.begin(&Round { round: 1, n_parts: 4, n_tokens: 100 });
        (0..n_done).for_each(|_| parts.end(&part(1, true)));
    }
    expect!["1 of 4 parts was truncated at the token limit; something may be missing"]
        .assert_eq(&parts.loss().unwrap());
}
