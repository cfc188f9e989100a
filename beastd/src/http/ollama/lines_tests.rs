use beast_protocol::{ErrorCode, WireError};
use expect_test::{Expect, expect};

use super::*;

fn clock() -> Clock {
    Clock { arrived: Instant::now(), loading: Duration::from_nanos(7) }
}

fn started() -> Event {
    Event::Started { model: "cub".into(), n_prompt: 20, n_ctx: 4096, notices: Vec::new() }
}

fn piece(deltas: Vec<Delta>) -> Event {
    Event::Piece { text: String::new(), tokens: Vec::new(), sampled_at_us: 0, deltas, logprobs: Vec::new() }
}

fn done(reason: FinishReason) -> Event {
    let usage = Usage { n_prompt: 20, n_cached: 16, n_generated: 5, ..Usage::default() };
    let timings = Timings { prefill_us: 3, decode_us: 4, ..Timings::default() };
    Event::Done { reason, usage, timings, stop_text: None, dead_end: None }
}

/// Replaces durations and times, which differ in each run.
fn without_times(line: &str) -> String {
    let mut line: Value = serde_json::from_str(line).expect("each line is whole JSON");
    let object = line.as_object_mut().expect("an object");
    let created = object.shift_remove("created_at");
    if let Some(created) = created {
        let created = created.as_str().expect("text").to_owned();
        assert!(created.ends_with('Z') && humantime::parse_rfc3339(&created).is_ok(), "{created}");
    }
    if let Some(total) = object.shift_remove("total_duration") {
        assert!(total.as_u64().is_some(), "{total}");
    }
    line.to_string() + "\n"
}

fn check(shape: Shape, events: Vec<Event>, expected: Expect) {
    let mut lines = Lines::new(shape, clock());
    let mut out = Vec::new();
    for event in events {
        lines.event(0, event, &mut out);
    }
    lines.end(&mut out);
    let told = String::from_utf8(out).expect("text");
    assert!(told.ends_with('\n') && !told.contains("\n\n"), "{told:?}");
    expected.assert_eq(&told.lines().map(without_times).collect::<String>());
}

#[test]
fn a_chat() {
    let text = |text: &str| piece(vec![Delta::Text(text.into())]);
    let nothing = piece(Vec::new());
    let events = vec![started(), text("Hel"), nothing, text("lo"), done(FinishReason::Stop)];
    check(
        Shape::Chat,
        events,
        expect![[r#"
        {"model":"cub:latest","message":{"role":"assistant","content":"Hel"},"done":false}
        {"model":"cub:latest","message":{"role":"assistant","content":"lo"},"done":false}
        {"model":"cub:latest","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","load_duration":7,"prompt_eval_count":20,"prompt_eval_duration":3000,"eval_count":5,"eval_duration":4000}
    "#]],
    );
}

#[test]
fn calls_come_whole() {
    let call = |index, name: &str| Delta::Call { index, id: format!("call_{index}"), name: name.into() };
    let arguments = |index, text: &str| Delta::Arguments { index, text: text.into() };
    let events = vec![
        started(),
        piece(vec![Delta::Reasoning("hm".into())]),
        piece(vec![Delta::Text("I look.".into()), call(0, "read"), arguments(0, "{\"path\":")]),
        piece(vec![arguments(0, "\"/x\"}")]),
        piece(vec![call(1, "now")]),
        piece(vec![arguments(1, "{}")]),
        done(FinishReason::Stop),
    ];
    check(
        Shape::Chat,
        events,
        expect![[r#"
        {"model":"cub:latest","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}
        {"model":"cub:latest","message":{"role":"assistant","content":"I look."},"done":false}
        {"model":"cub:latest","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"read","arguments":{"path":"/x"}}}]},"done":false}
        {"model":"cub:latest","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"now","arguments":{}}}]},"done":false}
        {"model":"cub:latest","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","load_duration":7,"prompt_eval_count":20,"prompt_eval_duration":3000,"eval_count":5,"eval_duration":4000}
    "#]],
    );
}

#[test]
fn a_prompt() {
    let thought = piece(vec![Delta::Reasoning("hm".into())]);
    let text = piece(vec![Delta::Text("Hi".into())]);
    check(
        Shape::Generate,
        vec![started(), thought, text, done(FinishReason::MaxTokens)],
        expect![[r#"
        {"model":"cub:latest","response":"","thinking":"hm","done":false}
        {"model":"cub:latest","response":"Hi","done":false}
        {"model":"cub:latest","response":"","done":true,"done_reason":"length","context":[],"load_duration":7,"prompt_eval_count":20,"prompt_eval_duration":3000,"eval_count":5,"eval_duration":4000}
    "#]],
    );
}

#[test]
fn probabilities() {
    let one = |text: &str, logprob| Logprob { token: 1, bytes: text.as_bytes().to_vec(), logprob };
    let logprobs =
        vec![TokenLogprob { chosen: one("Hi", -0.5), top: vec![one("Hi", -0.5), one("Ho", f32::NEG_INFINITY)] }];
    let deltas = Vec::new();
    let hi = Event::Piece { text: "Hi".into(), tokens: vec![1], sampled_at_us: 0, deltas, logprobs };
    check(
        Shape::Chat,
        vec![started(), hi],
        expect![[r#"
        {"model":"cub:latest","message":{"role":"assistant","content":"Hi"},"done":false,"logprobs":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[{"token":"Hi","logprob":-0.5,"bytes":[72,105]},{"token":"Ho","logprob":-9999.0,"bytes":[72,111]}]}]}
    "#]],
    );
}

#[test]
fn a_whole_answer() {
    let call = |arguments: &str| ToolCall { id: "c".into(), name: "read".into(), arguments: arguments.into() };
    let mut answer = Answer { text: "I look.".into(), reasoning: "hm".into(), ..Answer::default() };
    answer.calls = vec![call(r#"{"path":"/x"}"#), call(r#"{"pa"#)];
    answer.take(started());
    answer.take(done(FinishReason::ContextFull));
    let whole = Shape::Chat.whole(answer, clock()).to_string();
    expect![[r#"
        {"model":"cub:latest","message":{"role":"assistant","content":"I look.","thinking":"hm","tool_calls":[{"function":{"name":"read","arguments":{"path":"/x"}}},{"function":{"name":"read","arguments":{}}}]},"done":true,"done_reason":"length","load_duration":7,"prompt_eval_count":20,"prompt_eval_duration":3000,"eval_count":5,"eval_duration":4000}
    "#]].assert_eq(&without_times(&whole));
}

#[test]
fn a_failure_in_mid_stream_is_a_line() {
    let mut out = Vec::new();
    let error = WireError::new(ErrorCode::Engine, "the engine broke");
    Lines::new(Shape::Chat, clock()).failed(&error.into(), &mut out);
    assert_eq!(out, b"{\"error\":\"the engine broke\"}\n");
}
