use beast_protocol::{Function, Message, Place, Role, Sampling, Span, Tools};
use expect_test::{Expect, expect};

use super::super::tests::{TEMPLATE, admission, text};
use super::*;

fn raw_text(text: &str) -> Generate {
    Generate { raw: Some(RawPrompt::Text(text.into())), ..Generate::default() }
}

fn raw_tokens(tokens: &[i32]) -> Generate {
    Generate { raw: Some(RawPrompt::Tokens(tokens.to_vec())), ..Generate::default() }
}

fn check_refused(request: &Generate, code: ErrorCode, expected: Expect) {
    let error = admission(Some(TEMPLATE)).admit(request).expect_err("refused");
    assert_eq!(error.code, code);
    expected.assert_eq(&error.message);
}

#[test]
fn the_template_is_left_out_and_control_tokens_are_read() {
    let admitted = admission(Some(TEMPLATE)).admit(&raw_text("once<end>more")).expect("fine").0;
    assert_eq!(text(&admitted.prompt), "once§more");
    let admitted = admission(Some(TEMPLATE)).admit(&raw_tokens(&[97, 256, 98])).expect("fine").0;
    assert_eq!(text(&admitted.prompt), "a§b");
}

#[test]
fn all_but_the_last_token_of_a_long_prompt_is_shared() {
    let long = super::super::tests::admission_of(None, 1000);
    let admitted = long.admit(&raw_text(&"x".repeat(300))).expect("fine").0;
    assert_eq!((admitted.shared, admitted.n_max_tokens), (vec![299], 20));
    assert!(long.admit(&raw_text("short")).expect("fine").0.shared.is_empty());
}

#[test]
fn one_token_must_be_left() {
    assert_eq!(admission(None).admit(&raw_text(&"x".repeat(99))).expect("fine").0.n_max_tokens, 1);
    check_refused(
        &raw_text(&"x".repeat(100)),
        ErrorCode::TooLong,
        expect![
            "the prompt is 100 tokens and the context holds 100, prompt and answer together; try: shorten the prompt, or raise n_ctx"
        ],
    );
    check_refused(
        &raw_tokens(&[97; 101]),
        ErrorCode::TooLong,
        expect![
            "the prompt is 101 tokens and the context holds 100, prompt and answer together; try: shorten the prompt, or raise n_ctx"
        ],
    );
    check_refused(
        &raw_text(&"x".repeat(3_000_000)),
        ErrorCode::TooLong,
        expect![
            "the prompt is about 3000000 tokens and the context holds 100, prompt and answer together; try: shorten the prompt, or raise n_ctx"
        ],
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    check_refused(
        &raw_tokens(&[97, 257]),
        ErrorCode::Invalid,
        expect!["the prompt has token 257; the vocabulary has 257"],
    );
    for token in [-1, i32::MIN, i32::MAX] {
        assert_eq!(admission(None).admit(&raw_tokens(&[token])).expect_err("none").code, ErrorCode::Invalid);
    }
    check_refused(&raw_text(""), ErrorCode::Invalid, expect!["the prompt is empty; try: send some text"]);
    check_refused(&raw_tokens(&[]), ErrorCode::Invalid, expect!["the prompt is empty; try: send some text"]);
    check_refused(
        &Generate { messages: vec![Message::new(Role::User, "a")], ..raw_text("b") },
        ErrorCode::Invalid,
        expect!["the request has a raw prompt and messages; try: send one of them"],
    );
    let overflow = Overflow::Truncate { material: Span { start: 0, end: 1 }, drop: Place::Head };
    check_refused(
        &Generate { overflow, ..raw_text("a") },
        ErrorCode::Invalid,
        expect!["a raw prompt cannot be truncated or split; try: send a message instead"],
    );
    let tools = Tools { functions: vec![Function { name: "f".into(), ..Function::default() }], ..Tools::default() };
    check_refused(
        &Generate { tools, ..raw_text("a") },
        ErrorCode::Invalid,
        expect![
            "cannot offer tools: the prompt does not go through a chat template; try: send messages, and use a model with a chat template"
        ],
    );
}

#[test]
fn logprobs_are_bounded() {
    let with = |logprobs| Generate { logprobs, ..raw_text("a") };
    let n_logprobs = |request: &Generate| admission(None).admit(request).expect("fine").0.n_logprobs;
    assert_eq!([None, Some(0), Some(100)].map(|n| n_logprobs(&with(n))), [None, Some(0), Some(100)]);
    check_refused(&with(Some(101)), ErrorCode::Invalid, expect!["logprobs is 101; it must be at most 100"]);
}

/// The engine allocates memory for every token that the penalties look back at.
#[test]
fn penalties_look_no_further_back_than_the_context() {
    let sampling = Sampling { repeat_last_n: Some(u32::MAX), dry_penalty_last_n: None, ..Sampling::default() };
    let admitted = admission(None).admit(&Generate { sampling, ..raw_text("a") }).expect("fine").0;
    assert_eq!((admitted.sampling.penalties.last_n, admitted.sampling.dry.last_n), (100, 100));
}
