use expect_test::expect;

use super::*;

#[test]
fn the_table_shows_what_was_missed() {
    let rows = [
        Row::new("prefill", "tokens/s", vec![80.0, 90.0, 70.0])
            .beside(vec![50.0])
            .required(Required::RatioAtLeast(0.97)),
        Row::new("decode", "tokens/s", vec![19.0]).beside(vec![20.0]).required(Required::RatioAtLeast(0.97)),
        Row::new("memory", "MB", vec![-3.5]).beside(vec![1450.0]).required(Required::RatioAtMost(1.0)),
        Row::new("status", "ms", vec![2.0, 3.0]).required(Required::AtMost(5.0)),
        Row::new("wake-ups", "", vec![2.0]).required(Required::AtMost(0.0)).note("beastd: 2".into()),
        Row::new("longest", "ms", vec![0.25]),
    ];
    expect![[r#"
        what              beast   llama-server  ratio  required       verdict
        prefill   80.0 tokens/s  50.0 tokens/s  1.600  ratio >= 0.97  ok
        decode    19.0 tokens/s  20.0 tokens/s  0.950  ratio >= 0.97  MISSED
        memory         -3.50 MB        1450 MB         ratio <= 1.00  ok
        status          2.50 ms                        <= 5 ms        ok
        wake-ups              2                        <= 0           MISSED  beastd: 2
        longest        0.250 ms
    "#]]
    .assert_eq(&table(["beast", "llama-server"], &rows));
}

#[test]
fn what_was_asked_stands_once_below_the_table() {
    let rows = [
        Row::new("alone", "ms", vec![20.0]).asked("Both: the text."),
        Row::new("again", "x", vec![1.25]).required(Required::AtMost(1.15)).asked("Both: the text."),
        Row::without("draft", "no --draft was given"),
        Row::new("beside", "x", vec![0.7]).required(Required::AtLeast(0.6)).note("8 tokens".into()).asked("Ours: xz."),
    ];
    expect![[r#"
        what       ours  peer  ratio  required   verdict
        alone   20.0 ms                          [1]
        again    1.25 x               <= 1.15 x  MISSED  [1]
        draft                                    not measured: no --draft was given
        beside  0.700 x               >= 0.6 x   ok  [2]  8 tokens

        [1] Both: the text.

        [2] Ours: xz.
    "#]]
    .assert_eq(&table(["ours", "peer"], &rows));
}

#[test]
fn what_is_missing_meets_nothing() {
    let row = Row::new("decode", "tokens/s", vec![19.0]).required(Required::RatioAtLeast(0.97));
    assert_eq!(row.is_met(), Some(false));
    assert_eq!(Row::new("idle", "", Vec::new()).required(Required::AtMost(0.0)).is_met(), Some(false));
}
