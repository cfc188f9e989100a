//! Constrained answers: JSON schemas and grammars, alone, together, and with drafts.

use beast_protocol::{Constraint, ErrorCode, Event, FinishReason, Generate, Request, Sampling, Speculation};
use beast_tests::Beast;
use beast_tests::samples::{TEXT, ask, instructed};
use serde_json::Value;

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "title": { "type": "string", "maxLength": 60 },
        "words": { "type": "array", "items": { "type": "string", "maxLength": 12 }, "minItems": 2, "maxItems": 3 },
        "kind": { "enum": ["server", "library"] },
        "size": { "type": "integer", "minimum": 1, "maximum": 9 }
    },
    "required": ["title", "words", "kind", "size"],
    "additionalProperties": false
}"#;

fn schema(text: &str) -> Option<Constraint> {
    Some(Constraint::Schema(text.into()))
}

fn grammar(text: &str) -> Option<Constraint> {
    Some(Constraint::Grammar(text.into()))
}

#[track_caller]
fn check_object(text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let object = value.as_object().expect("an object");
    // In the order of the schema.
    assert_eq!(object.keys().collect::<Vec<_>>(), ["title", "words", "kind", "size"]);
    assert!(["server", "library"].map(Value::from).contains(&value["kind"]), "{value}");
    assert!((1..=9).contains(&value["size"].as_i64().expect("a number")), "{value}");
    assert!((2..=3).contains(&value["words"].as_array().expect("a list").len()), "{value}");
}

/// At a temperature at which the model would otherwise write anything.
#[test]
fn a_schema_holds_at_any_temperature_and_in_company() {
    let beast = Beast::start();
    beast.ready();
    let mut clients: Vec<_> = (0..8).map(|_| beast.client()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let temp = [0.0, 1.0, 3.0][n % 3];
        let sampling = Sampling { temp: Some(temp), ..Sampling::default() };
        let constraint = schema(SCHEMA);
        let request = Generate { constraint, sampling, max_tokens: Some(400), ..instructed("title", TEXT) };
        client.send(&Request::Generate(request));
    }
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!(answer.done().0, FinishReason::Stop, "{:?}", answer.text);
        check_object(&answer.text);
    }
}

#[test]
fn guessing_ahead_changes_nothing_about_it() {
    let beast = Beast::start();
    beast.ready();
    let request = |speculation| Generate {
        constraint: schema(SCHEMA),
        sampling: Sampling { temp: Some(0.0), ..Sampling::default() },
        max_tokens: Some(400),
        speculation,
        ..instructed("title", r#"{"title": "Redis", "words": ["memory", "server"], "kind": "server", "size": 3}"#)
    };
    let plain = beast.client().ask(&request(Speculation::Off));
    let guessed = beast.client().ask(&request(Speculation::Lookup));
    check_object(&plain.text);
    check_object(&guessed.text);
    assert!(guessed.done().1.n_drafted > 0, "something was guessed");
}

#[test]
fn a_grammar_allows_nothing_else() {
    let beast = Beast::start();
    for (text, answers) in [
        (r#"root ::= "yes" | "no""#, &["yes", "no"][..]),
        ("root ::= [a-c]{3} end\nend ::= \"!\"", &["!"]),
        ("root ::= \"gr\u{fc}\u{df}e 🦀\"", &["gr\u{fc}\u{df}e 🦀"]),
    ] {
        let answer = beast.client().ask(&Generate { constraint: grammar(text), ..ask("Is Redis a server?") });
        assert_eq!(answer.done().0, FinishReason::Stop);
        assert!(answers.iter().any(|end| answer.text.ends_with(end)), "{:?}", answer.text);
    }
}

/// A character class that matches nothing, and a rule that begins with itself: the answer ends with the reason, and
/// the daemon continues.
#[test]
fn a_grammar_that_leads_nowhere_ends_the_answer() {
    let beast = Beast::start();
    for (text, expected) in [("root ::= \"a\" [^\\x00-\\U0010FFFF]", ""), ("root ::= root \"a\"", "")] {
        let answer = beast.client().ask(&Generate { constraint: grammar(text), ..ask("hi") });
        assert_eq!(answer.done().0, FinishReason::DeadEnd, "{text}");
        let why = answer.events.iter().find_map(|event| match event {
            Event::Done { dead_end, .. } => dead_end.clone(),
            _ => None,
        });
        assert_eq!((answer.text.as_str(), why.is_some()), (expected, true), "{text}");
    }
    let answer = beast.client().ask(&Generate { constraint: grammar("root ::= \"a\\x00\""), ..ask("hi") });
    assert_eq!((answer.done().0, answer.text.as_str()), (FinishReason::Stop, "a\0"));
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let beast = Beast::start();
    let request = Generate { constraint: schema(SCHEMA), max_tokens: Some(5), ..instructed("title", TEXT) };
    assert_eq!(beast.client().ask(&request).done().0, FinishReason::MaxTokens);
}

#[test]
fn what_is_no_grammar_and_no_schema_is_refused_and_hurts_nobody() {
    let beast = Beast::start();
    let deep = format!("root ::= {}\"a\"{}", "(".repeat(100_000), ")".repeat(100_000));
    for constraint in [
        grammar("this is no grammar root"),
        grammar("start ::= \"a\""),
        grammar("root ::= undefined"),
        grammar(&deep),
        schema("{"),
        schema("[1]"),
        schema(r#"{"type": "strange"}"#),
        schema(r##"{"$ref": "#/nowhere"}"##),
        schema(r#"{"type": "string", "pattern": "("}"#),
        schema(&format!("{{\"description\": \"{}\"}}", "x".repeat(300_000))),
    ] {
        let error = beast.client().ask(&Generate { constraint: constraint.clone(), ..ask("hi") }).error();
        assert_eq!(error.code, ErrorCode::Invalid, "{constraint:?}");
        assert!(error.message.contains("grammar") || error.message.contains("schema"), "{}", error.message);
    }
    assert_eq!(beast.client().ask(&instructed("summarize", TEXT)).done().0, FinishReason::Stop);
}
