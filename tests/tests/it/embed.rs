//! Embeddings over the socket: the same as over HTTP, also while an answer is generated and for long texts.

use beast_protocol::{Embed, Embedded, ErrorCode, Event, Generate, Message, Request, Role, WireError};
use beast_tests::http_client::post;
use beast_tests::samples::{TEXT, book};
use beast_tests::{Beast, Client, run};
use serde_json::{Value, json};

fn ask(client: &mut Client, texts: &[&str], drop_tail: bool) -> Result<Embedded, WireError> {
    let texts = texts.iter().map(|&text| text.to_owned()).collect();
    client.send(&Request::Embed(Embed { model: None, texts, drop_tail }));
    loop {
        match client.event().expect("every request ends") {
            Event::Embedded(embedded) => return Ok(embedded),
            Event::Failed(error) => return Err(error),
            _ => {}
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn vectors_are_those_of_http_and_do_not_depend_on_the_texts_beside() {
    let beast = Beast::with_http(&[]);
    let long = book(3_000);
    let mut texts: Vec<&str> = TEXT.lines().filter(|line| !line.is_empty()).collect();
    texts.push(&long);
    let mut client = beast.client();
    let together = ask(&mut client, &texts, false).expect("embedded");
    assert_eq!(together.vectors.len(), texts.len());
    assert!(together.fingerprint.is_some() && together.truncated.is_empty(), "{:?}", together.model);
    assert!(together.n_tokens > texts.len() as u64, "{}", together.n_tokens);
    let body = post(&beast.http(), "/v1/embeddings", &json!({ "input": texts })).json();
    for (nth, (text, vector)) in texts.iter().zip(&together.vectors).enumerate() {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-4);
        let alone = ask(&mut client, &[text], false).expect("embedded");
        assert!(cosine(vector, &alone.vectors[0]) > 0.999, "{nth}: alone");
        let http: Vec<f32> =
            serde_json::from_value::<Vec<f32>>(body["data"][nth]["embedding"].clone()).expect("numbers");
        assert!(cosine(vector, &http) > 0.999, "{nth}: HTTP");
    }
}

/// Chunks are smaller while an answer is generated, and grow once it has ended.
#[test]
fn a_long_text_outlives_an_answer_beside_it() {
    let beast = Beast::start();
    let long = book(6_000);
    let alone = ask(&mut beast.client(), &[&long], true).expect("embedded");
    for max_tokens in [4, 16, 64] {
        let mut answering = beast.client();
        let messages = vec![Message::new(Role::User, "Count to one hundred.")];
        answering.send(&Request::Generate(Generate {
            messages,
            max_tokens: Some(max_tokens),
            ignore_eos: true,
            ..Generate::default()
        }));
        while !matches!(answering.event().expect("it begins"), Event::Piece { .. }) {}
        let beside = ask(&mut beast.client(), &[&long], true).expect("embedded");
        assert!(cosine(&alone.vectors[0], &beside.vectors[0]) > 0.999);
        while !matches!(answering.event().expect("it ends"), Event::Done { .. }) {}
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_or_shortened() {
    let beast = Beast::with(&["n_ctx=256"]);
    let long = book(4_000);
    let mut client = beast.client();
    let error = ask(&mut client, &["short", &long], false).expect_err("too long");
    assert!(error.code == ErrorCode::TooLong && error.message.starts_with("input 1 ("), "{error:?}");
    let embedded = ask(&mut client, &["short", &long], true).expect("embedded");
    assert_eq!((embedded.vectors.len(), embedded.truncated), (2, vec![1]));
    let error = ask(&mut client, &["short", ""], false);
    assert!(error.is_ok() || error.is_err_and(|error| error.code == ErrorCode::Invalid), "a BOS may make it a text");
}

#[test]
fn similar_finds_a_line_by_itself_and_keeps_its_vectors() {
    let beast = Beast::start();
    let text = "the parser fails on an empty line\nbuy milk and bread\nthe train leaves at noon\n";
    let file = beast.write("notes.txt", text);
    for _ in 0..2 {
        let ran = run(beast.ctl(&["similar", "buy milk and bread", "--json"]).arg(&file), "");
        let best: Value = serde_json::from_str(ran.answer().lines().next().expect("a line")).expect("JSON");
        assert_eq!((best["line"].as_u64(), best["text"].as_str()), (Some(2), Some("buy milk and bread")));
        assert!(best["score"].as_f64().expect("a number") > 0.99, "{best}");
    }
}
