use beast_protocol::{ErrorCode, Sizes, Timings, ToolCall, WireError};
use expect_test::{Expect, expect};

use super::*;

fn started() -> Event {
    Event::Started { model: "cub".into(), n_prompt: 20, n_ctx: 4096, notices: Vec::new() }
}

fn piece(deltas: Vec<Delta>) -> Event {
    Event::Piece { text: String::new(), tokens: Vec::new(), sampled_at_us: 0, deltas, logprobs: Vec::new() }
}

fn done(reason: FinishReason, stop_text: Option<&str>) -> Event {
    let usage = Usage { n_prompt: 20, n_cached: 16, n_generated: 5, ..Usage::default() };
    Event::Done { reason, usage, timings: Timings::default(), stop_text: stop_text.map(str::to_owned), dead_end: None }
}

fn tell(events: Vec<Event>) -> String {
    let mut told = Told::new("msg_1".into(), "req_1".into());
    let mut out = Vec::new();
    for event in events {
        told.event(0, event, &mut out);
    }
    told.end(&mut out);
    String::from_utf8(out).expect("text")
}

fn check(events: Vec<Event>, expected: Expect) {
    expected.assert_eq(&tell(events));
}

#[test]
fn a_text() {
    let text = Event::Piece {
        text: "Hel".into(),
        tokens: vec![1],
        sampled_at_us: 0,
        deltas: Vec::new(),
        logprobs: Vec::new(),
    };
    let progress = |n_done| Event::Progress { n_done, n_total: 20 };
    let events = vec![
        started(),
        progress(16),
        progress(20),
        text,
        piece(vec![Delta::Text("lo".into())]),
        done(FinishReason::Stop, None),
    ];
    check(
        events,
        expect![[r#"
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"cub","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":16,"output_tokens":0}}}

        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":0}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":16,"output_tokens":5}}

        event: message_stop
        data: {"type":"message_stop"}

    "#]],
    );
}

#[test]
fn thoughts_a_text_and_two_calls() {
    let call = |index, name: &str| Delta::Call { index, id: format!("toolu_{index}"), name: name.into() };
    let arguments = |index, text: &str| Delta::Arguments { index, text: text.into() };
    let events = vec![
        started(),
        piece(vec![Delta::Reasoning("h".into()), Delta::Reasoning("m".into()), Delta::Text("I look.".into())]),
        piece(vec![Delta::Text(String::new()), call(0, "read"), arguments(0, "{\"path\":")]),
        piece(vec![arguments(0, "\"/x\"}"), call(1, "now"), arguments(1, "{}")]),
        done(FinishReason::Stop, None),
    ];
    check(
        events,
        expect![[r#"
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"cub","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"m"}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":""}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":0}

        event: content_block_start
        data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I look."}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":1}

        event: content_block_start
        data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_0","name":"read","input":{}}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"path\":"}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"/x\"}"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":2}

        event: content_block_start
        data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_1","name":"now","input":{}}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":3}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":16,"output_tokens":5}}

        event: message_stop
        data: {"type":"message_stop"}

    "#]],
    );
}

#[test]
fn nothing_is_said() {
    check(
        vec![started(), done(FinishReason::Stop, None)],
        expect![[r#"
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"cub","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":16,"output_tokens":0}}}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":16,"output_tokens":5}}

        event: message_stop
        data: {"type":"message_stop"}

    "#]],
    );
}

#[test]
fn why_it_ended() {
    let reason = |reason| stop_reason(Some(reason), false);
    assert_eq!(reason(FinishReason::Stop), "end_turn");
    assert_eq!(reason(FinishReason::StopText), "stop_sequence");
    assert_eq!(reason(FinishReason::MaxTokens), "max_tokens");
    assert_eq!(reason(FinishReason::ContextFull), "max_tokens");
    assert_eq!(stop_reason(Some(FinishReason::MaxTokens), true), "max_tokens", "a call that was cut is no call");
    assert_eq!(stop_reason(Some(FinishReason::Stop), true), "tool_use");
    let told = tell(vec![started(), done(FinishReason::StopText, Some("END"))]);
    assert!(told.contains(r#""delta":{"stop_reason":"stop_sequence","stop_sequence":"END"}"#), "{told}");
}

#[test]
fn a_whole_answer() {
    let mut answer = Answer { reasoning: "hm".into(), text: "I look.".into(), ..Answer::default() };
    answer.take(started());
    answer.take(done(FinishReason::Stop, None));
    let call = |id: &str, arguments: &str| ToolCall { id: id.into(), name: "read".into(), arguments: arguments.into() };
    answer.calls = vec![call("toolu_1", r#"{"path":"/x"}"#), call("toolu_2", r#"{"pa"#)];
    let whole = serde_json::to_string_pretty(&whole("msg_1", &answer)).expect("JSON");
    expect![[r#"
        {
          "id": "msg_1",
          "type": "message",
          "role": "assistant",
          "model": "cub",
          "content": [
            {
              "type": "thinking",
              "thinking": "hm",
              "signature": ""
            },
            {
              "type": "text",
              "text": "I look."
            },
            {
              "type": "tool_use",
              "id": "toolu_1",
              "name": "read",
              "input": {
                "path": "/x"
              }
            },
            {
              "type": "tool_use",
              "id": "toolu_2",
              "name": "read",
              "input": {}
            }
          ],
          "stop_reason": "tool_use",
          "stop_sequence": null,
          "usage": {
            "input_tokens": 4,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 16,
            "output_tokens": 5
          }
        }"#]]
    .assert_eq(&whole);
}

#[test]
fn a_failure_in_mid_stream() {
    let mut out = Vec::new();
    let error = WireError::new(ErrorCode::Engine, "the engine broke");
    Told::new("msg_1".into(), "req_1".into()).failed(&error.into(), &mut out);
    expect![[r#"
        event: error
        data: {"type":"error","error":{"type":"api_error","message":"the engine broke"},"request_id":"req_1"}

    "#]]
    .assert_eq(&String::from_utf8(out).expect("text"));
}

#[test]
fn claude_code_reads_that_a_prompt_is_too_long() {
    let sizes = Sizes { n_prompt: 5000, n_ctx: 4096 };
    let error = WireError { code: ErrorCode::TooLong, message: "longer".into(), sizes: Some(sizes) };
    let json = Refusal::from(error).json(Dialect::Anthropic);
    assert_eq!(json["error"]["message"], "prompt is too long: 5000 tokens > 4096 maximum");
}
