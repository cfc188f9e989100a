use std::collections::HashMap;

use beast_protocol::{Generate, Timings, Usage};
use expect_test::{Expect, expect};
use serde_json::Map;

use super::*;
use crate::http::fields::Fields;
use beast_protocol::WireError;

fn narration() -> Narration {
    let echo = Echo::read(&Fields::new(&Map::new()), &Generate::default()).expect("nothing is wrong");
    Narration::new(echo, Wishes { has_logprobs: true, ..Wishes::default() })
}

fn started() -> Event {
    Event::Started { model: "cub".into(), n_prompt: 3, n_ctx: 64, notices: Vec::new() }
}

fn piece(deltas: Vec<Delta>) -> Event {
    let chosen = Logprob { token: 1, bytes: b"a".to_vec(), logprob: -0.5 };
    let logprobs = vec![TokenLogprob { chosen, top: Vec::new() }];
    Event::Piece { text: "raw".into(), tokens: vec![1], sampled_at_us: 0, deltas, logprobs }
}

fn done(reason: FinishReason) -> Event {
    let usage = Usage { n_prompt: 3, n_cached: 1, n_generated: 4, ..Usage::default() };
    Event::Done { reason, usage, timings: Timings::default(), stop_text: None, dead_end: None }
}

/// The events, one per line, with ids numbered by first use and without the response object.
fn tell(events: Events) -> String {
    let mut ids = HashMap::new();
    let mut text = String::new();
    for (n, (name, mut value)) in events.into_iter().enumerate() {
        assert_eq!(value["sequence_number"], json!(n));
        let fields = value.as_object_mut().expect("an object");
        for field in ["type", "sequence_number", "response"] {
            fields.remove(field);
        }
        let id = value.get("item_id").or(value.get("item").and_then(|item| item.get("id")));
        let mut rest = value.to_string();
        if let Some(id) = id.and_then(Value::as_str) {
            let n = ids.len();
            let n = *ids.entry(id.to_owned()).or_insert(n);
            let prefix = id.split('_').next().unwrap_or_default();
            rest = rest.replace(id, &format!("{prefix}_{n}"));
        }
        text += &format!("{name} {rest}\n");
    }
    text
}

fn check(events: Vec<Event>, expected: Expect) {
    let (mut narration, mut out) = (narration(), Vec::new());
    events.into_iter().for_each(|event| narration.take(event, &mut out));
    expected.assert_eq(&tell(out));
}

#[test]
fn thoughts_text_and_calls_are_items_of_their_own() {
    let call = |index, id: &str| Delta::Call { index, id: id.into(), name: "rain".into() };
    let arguments = |index, text: &str| Delta::Arguments { index, text: text.into() };
    let events = vec![
        started(),
        piece(vec![Delta::Reasoning("hm".into())]),
        piece(vec![Delta::Text("I ".into())]),
        piece(vec![Delta::Text("look.".into()), call(0, "c1"), arguments(0, "{")]),
        piece(vec![arguments(0, "}"), call(1, "c2"), arguments(1, "{}")]),
        done(FinishReason::Stop),
    ];
    check(
        events,
        expect![[r#"
        response.created {}
        response.in_progress {}
        response.output_item.added {"output_index":0,"item":{"id":"rs_0","type":"reasoning","summary":[],"content":[],"encrypted_content":null,"status":"in_progress"}}
        response.content_part.added {"part":{"type":"reasoning_text","text":""},"item_id":"rs_0","output_index":0,"content_index":0}
        response.reasoning_text.delta {"delta":"hm","item_id":"rs_0","output_index":0,"content_index":0}
        response.reasoning_text.done {"text":"hm","item_id":"rs_0","output_index":0,"content_index":0}
        response.content_part.done {"part":{"type":"reasoning_text","text":"hm"},"item_id":"rs_0","output_index":0,"content_index":0}
        response.output_item.done {"output_index":0,"item":{"id":"rs_0","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}],"encrypted_content":null,"status":"completed"}}
        response.output_item.added {"output_index":1,"item":{"id":"msg_1","type":"message","role":"assistant","status":"in_progress","content":[]}}
        response.content_part.added {"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]},"item_id":"msg_1","output_index":1,"content_index":0}
        response.output_text.delta {"delta":"I ","logprobs":[{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]}],"item_id":"msg_1","output_index":1,"content_index":0}
        response.output_text.delta {"delta":"look.","logprobs":[{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]}],"item_id":"msg_1","output_index":1,"content_index":0}
        response.output_text.done {"text":"I look.","logprobs":[{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]},{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]}],"item_id":"msg_1","output_index":1,"content_index":0}
        response.content_part.done {"part":{"type":"output_text","text":"I look.","annotations":[],"logprobs":[{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]},{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]}]},"item_id":"msg_1","output_index":1,"content_index":0}
        response.output_item.done {"output_index":1,"item":{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"I look.","annotations":[],"logprobs":[{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]},{"token":"a","bytes":[97],"logprob":-0.5,"top_logprobs":[]}]}]}}
        response.output_item.added {"output_index":2,"item":{"id":"fc_2","type":"function_call","call_id":"c1","name":"rain","arguments":"","status":"in_progress"}}
        response.function_call_arguments.delta {"delta":"{","item_id":"fc_2","output_index":2}
        response.function_call_arguments.delta {"delta":"}","item_id":"fc_2","output_index":2}
        response.function_call_arguments.done {"name":"rain","arguments":"{}","item_id":"fc_2","output_index":2}
        response.output_item.done {"output_index":2,"item":{"id":"fc_2","type":"function_call","call_id":"c1","name":"rain","arguments":"{}","status":"completed"}}
        response.output_item.added {"output_index":3,"item":{"id":"fc_3","type":"function_call","call_id":"c2","name":"rain","arguments":"","status":"in_progress"}}
        response.function_call_arguments.delta {"delta":"{}","item_id":"fc_3","output_index":3}
        response.function_call_arguments.done {"name":"rain","arguments":"{}","item_id":"fc_3","output_index":3}
        response.output_item.done {"output_index":3,"item":{"id":"fc_3","type":"function_call","call_id":"c2","name":"rain","arguments":"{}","status":"completed"}}
        response.completed {}
    "#]],
    );
}

#[test]
fn an_answer_of_nothing_is_an_empty_message() {
    check(
        vec![started(), done(FinishReason::Stop)],
        expect![[r#"
        response.created {}
        response.in_progress {}
        response.output_item.added {"output_index":0,"item":{"id":"msg_0","type":"message","role":"assistant","status":"in_progress","content":[]}}
        response.content_part.added {"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]},"item_id":"msg_0","output_index":0,"content_index":0}
        response.output_text.done {"text":"","logprobs":[],"item_id":"msg_0","output_index":0,"content_index":0}
        response.content_part.done {"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]},"item_id":"msg_0","output_index":0,"content_index":0}
        response.output_item.done {"output_index":0,"item":{"id":"msg_0","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"","annotations":[],"logprobs":[]}]}}
        response.completed {}
    "#]],
    );
}

#[test]
fn a_limit_leaves_item_and_response_incomplete() {
    let (mut narration, mut out) = (narration(), Vec::new());
    for event in [started(), piece(vec![Delta::Reasoning("hm".into())]), done(FinishReason::MaxTokens)] {
        narration.take(event, &mut out);
    }
    let (name, last) = out.pop().expect("it has ended");
    assert_eq!(name, "response.incomplete");
    let response = &last["response"];
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"], json!({ "reason": "max_output_tokens" }));
    assert_eq!(response["output"][0]["status"], "incomplete");
    assert_eq!(response["output"][0]["content"][0]["text"], "hm");
    assert_eq!(response["usage"]["output_tokens_details"]["reasoning_tokens"], 1);
    assert_eq!(response["usage"]["input_tokens_details"]["cached_tokens"], 1);
}

#[test]
fn a_failure_is_told_in_the_response_once_there_is_one() {
    let refusal = Refusal::from(WireError::new(beast_protocol::ErrorCode::Engine, "it broke"));
    let (mut early, mut out) = (narration(), Vec::new());
    early.failed(&refusal, &mut out);
    expect![[r#"
        error {"code":null,"message":"it broke","param":null}
    "#]]
    .assert_eq(&tell(std::mem::take(&mut out)));
    let mut late = narration();
    late.take(started(), &mut out);
    late.failed(&refusal, &mut out);
    let (name, last) = out.pop().expect("it is told");
    assert_eq!(name, "response.failed");
    assert_eq!(last["response"]["error"], json!({ "code": "server_error", "message": "it broke" }));
}
