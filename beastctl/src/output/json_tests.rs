use beast_protocol::{LoadStage, Part, Round, Span};
use expect_test::expect;

use super::*;

#[test]
fn each_event_on_the_way_has_its_line() {
    let span = Span { start: 0, end: 400 };
    let events = [
        Event::Loading { stage: LoadStage::ModelFile, fraction: 0.1 },
        Event::Queued { position: 2 },
        Event::Started { model: "cub".into(), n_prompt: 9, n_ctx: 4096, notices: Vec::new() },
        Event::Progress { n_done: 5, n_total: 9 },
        Event::Round(Round { round: 1, n_parts: 2, n_tokens: 150 }),
        Event::Part(Part {
            round: 1,
            index: 1,
            n_done: 1,
            n_parts: 2,
            span,
            n_tokens: 100,
            n_overlap: 5,
            is_cut: true,
            text: "two\nlines".into(),
        }),
    ];
    let lines: String = events.iter().map(|event| json_line(&event_object(event).unwrap())).collect();
    expect![[r#"
        {"type":"loading","stage":"model_file","fraction":0.1}
        {"type":"queued","position":2}
        {"type":"started","model":"cub","n_prompt":9,"n_ctx":4096,"notices":[]}
        {"type":"progress","n_done":5,"n_total":9}
        {"round":1,"n_parts":2,"n_tokens":150,"type":"round"}
        {"round":1,"index":1,"n_done":1,"n_parts":2,"span":{"start":0,"end":400},"n_tokens":100,"n_overlap":5,"is_cut":true,"text":"two\nlines","type":"part"}
    "#]].assert_eq(&lines);
}

#[test]
fn a_line_has_nothing_that_a_terminal_obeys() {
    let line = json_line(&json!({"text": "a\u{1b}[31m\u{9b}2J\u{7f}\n\té"}));
    expect![[r#"
        {"text":"a\u001b[31m\u009b2J\u007f\n\té"}
    "#]]
    .assert_eq(&line);
    let back: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(back["text"], "a\u{1b}[31m\u{9b}2J\u{7f}\n\té");
}

/// 10.425932 ms, as a product of binary fractions, would have meaningless further digits.
#[test]
fn times_end_with_the_microsecond() {
    assert_eq!(serde_json::json!(ms(Duration::from_nanos(10_425_932))).to_string(), "10.425");
}
