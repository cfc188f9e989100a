use expect_test::expect;

use super::*;

fn call(index: u32, name: &str) -> Delta {
    Delta::Call { index, id: format!("call_{index}"), name: name.into() }
}

fn more(index: u32, text: &str) -> Delta {
    Delta::Arguments { index, text: text.into() }
}

#[test]
fn calls_are_put_together() {
    let mut calls = Calls::default();
    assert!(calls.is_empty() && calls.reasoning().is_none());
    let deltas = [
        Delta::Reasoning("\nLet me ".into()),
        Delta::Text("Well.".into()),
        Delta::Reasoning("see.\n".into()),
        call(0, "now"),
        call(1, "at"),
        more(1, r#"{"b":"#),
        more(1, r#"1,"a":[]}"#),
        call(2, "cut"),
        more(2, r#"{"b"#),
    ];
    deltas.into_iter().for_each(|delta| calls.take(delta));
    assert_eq!(calls.reasoning(), Some("Let me see."));
    let lines: String = calls.objects().iter().map(|call| format!("{call}\n")).collect();
    expect![[r#"
        {"id":"call_0","name":"now","arguments":{}}
        {"id":"call_1","name":"at","arguments":{"b":1,"a":[]}}
        {"id":"call_2","name":"cut","arguments":"{\"b"}
    "#]]
    .assert_eq(&lines);
}
