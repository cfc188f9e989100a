use beast_protocol::{Generate, Timings, Usage};
use expect_test::{Expect, expect};

use super::*;

fn wishes() -> Wishes {
    Wishes {
        is_stream: true,
        has_tokens: false,
        has_timings: false,
        has_progress: false,
        is_silent: false,
        has_probabilities: false,
        response_fields: Vec::new(),
        is_list: false,
    }
}

fn completion() -> Completion {
    Completion { request: Generate::default(), prompt: "Once".into(), settings: json!({ "n_predict": 2 }) }
}

fn started() -> Event {
    Event::Started { model: "cub".into(), n_prompt: 3, n_ctx: 64, notices: Vec::new() }
}

fn token(n: i32, text: &str) -> TokenLogprob {
    let one = |token, bytes: &[u8], logprob| Logprob { token, bytes: bytes.to_vec(), logprob };
    TokenLogprob { chosen: one(n, text.as_bytes(), -0.5), top: vec![one(9, b"z", f32::NEG_INFINITY)] }
}

fn piece(text: &str, tokens: &[i32], logprobs: Vec<TokenLogprob>) -> Event {
    Event::Piece { text: text.into(), tokens: tokens.into(), sampled_at_us: 0, deltas: Vec::new(), logprobs }
}

fn done(reason: FinishReason, stop_text: Option<&str>) -> Event {
    let usage = Usage { n_prompt: 3, n_cached: 1, n_generated: 2, ..Usage::default() };
    let timings = Timings { prefill_us: 4000, decode_us: 2000, ..Timings::default() };
    Event::Done { reason, usage, timings, stop_text: stop_text.map(str::to_owned), dead_end: None }
}

fn told(wishes: Wishes, events: Vec<Event>) -> String {
    let mut script = Partials::new(wishes, vec![completion()]);
    let mut out = Vec::new();
    events.into_iter().for_each(|event| script.event(0, event, &mut out));
    script.end(&mut out);
    String::from_utf8(out).expect("JSON is text")
}

fn check(wishes: Wishes, events: Vec<Event>, expected: Expect) {
    expected.assert_eq(&told(wishes, events));
}

#[test]
fn a_stream_ends_with_the_whole_story_and_no_mark() {
    let events = vec![
        started(),
        Event::Progress { n_done: 1, n_total: 3 },
        piece(" a", &[5], Vec::new()),
        piece("\n", &[6], Vec::new()),
        done(FinishReason::StopText, Some("END")),
    ];
    check(
        wishes(),
        events,
        expect![[r#"
        data: {"index":0,"content":" a","tokens":[5],"stop":false,"id_slot":-1,"tokens_predicted":1,"tokens_evaluated":3}

        data: {"index":0,"content":"\n","tokens":[6],"stop":false,"id_slot":-1,"tokens_predicted":2,"tokens_evaluated":3}

        data: {"index":0,"content":"","tokens":[],"id_slot":-1,"stop":true,"model":"cub","tokens_predicted":2,"tokens_evaluated":3,"generation_settings":{"n_predict":2},"prompt":"Once","has_new_line":true,"truncated":false,"stop_type":"word","stopping_word":"END","tokens_cached":5,"timings":{"cache_n":1,"prompt_n":2,"prompt_ms":4.0,"prompt_per_token_ms":2.0,"prompt_per_second":500.0,"predicted_n":2,"predicted_ms":2.0,"predicted_per_token_ms":2.0,"predicted_per_second":500.0}}

    "#]],
    );
}

#[test]
fn each_token_has_a_chunk_of_its_own_when_probabilities_are_told() {
    let events = vec![started(), piece("ü", &[5, 6], vec![token(5, "\u{c3}"), token(6, "b")])];
    let text = told(wishes(), events);
    let chunks: Vec<Value> = text
        .split_terminator("\n\n")
        .map(|chunk| serde_json::from_str(chunk.trim_start_matches("data: ")).expect("JSON"))
        .collect();
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[0]["content"], "");
    assert_eq!(chunks[0]["tokens"], json!([5]));
    assert_eq!(chunks[1]["content"], "ü");
    assert_eq!(chunks[1]["tokens"], json!([6]));
    for chunk in &chunks {
        assert_eq!(chunk["completion_probabilities"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(chunks[1]["completion_probabilities"][0]["top_logprobs"][0]["logprob"], json!(-9999.0));
}

#[test]
fn impossible_tokens_have_no_probability() {
    let value = probabilities(&[token(5, "a")], true);
    assert_eq!(value[0]["top_probs"], json!([]));
    assert!((value[0]["prob"].as_f64().expect("a number") - 0.6065).abs() < 1e-4);
}

#[test]
fn wanted_fields_keep_their_whole_path() {
    let mut answer = Answer::default();
    for event in [started(), piece("a", &[5], Vec::new()), done(FinishReason::ContextFull, None)] {
        answer.take(event);
    }
    let paths = ["content", "generation_settings/n_predict", "truncated", "nothing/there"];
    let wishes = Wishes { response_fields: paths.map(str::to_owned).into(), ..wishes() };
    let body = whole(0, &completion(), &answer, &wishes);
    assert_eq!(body, json!({ "content": "a", "generation_settings/n_predict": 2, "truncated": true }));
}
