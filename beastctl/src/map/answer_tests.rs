use beast_protocol::Timings;
use clap::Parser;

use super::*;
use crate::cli::{Cli, Verb};

fn task(arguments: &[&str]) -> Task {
    let cli = Cli::parse_from([&["beastctl", "map", "summarize", "file"], arguments].concat());
    let Verb::Map(options) = cli.verb else { panic!("it is map") };
    Task::new(&options).unwrap()
}

fn piece(text: &str, deltas: Vec<Delta>) -> Event {
    Event::Piece { text: text.into(), tokens: vec![1], sampled_at_us: 1, deltas, logprobs: Vec::new() }
}

fn heard(pieces: &[&str], reason: FinishReason) -> Heard {
    let mut heard = Heard::default();
    let notice = |kind, text: &str| Notice { kind, text: text.into() };
    let notices = vec![notice(NoticeKind::Info, "small"), notice(NoticeKind::Warning, "the middle is dropped")];
    heard.take(Event::Started { model: "cub".into(), n_prompt: 9, n_ctx: 4096, notices }).unwrap();
    for text in pieces {
        heard.take(piece(text, Vec::new())).unwrap();
    }
    let (usage, timings) = (Usage { n_generated: 3, ..Usage::default() }, Timings::default());
    heard.take(Event::Done { reason, usage, timings, stop_text: None, dead_end: None }).unwrap();
    assert!(heard.is_done());
    heard
}

fn answer(heard: Heard, arguments: &[&str]) -> Result<Answer> {
    let task = task(arguments);
    let form = arguments.contains(&"--schema").then_some(Form::Json);
    heard.answer(&task, None, form, vec!["3 bytes were replaced".into()])
}

#[test]
fn the_line_has_the_answer_and_all_that_was_lost() {
    let object = answer(heard(&[" It is", " a text.\n"], FinishReason::MaxTokens), &[]).unwrap().object;
    assert_eq!(object["text"], "It is a text.");
    assert_eq!((&object["model"], &object["finish_reason"]), (&json!("cub"), &json!("max_tokens")));
    assert_eq!((&object["truncated"], &object["usage"]["n_generated"]), (&json!(true), &json!(3)));
    let notices: Vec<_> = object["notices"].as_array().unwrap().iter().map(|notice| &notice["text"]).collect();
    let cut = "the answer is truncated at 3 tokens (--max-tokens)";
    assert_eq!(notices, ["the middle is dropped", "3 bytes were replaced", cut]);
}

#[test]
fn thoughts_are_no_part_of_it() {
    let mut heard = heard(&[], FinishReason::Stop);
    let deltas = vec![Delta::Reasoning("Hm.".into()), Delta::Text("Yes.".into())];
    heard.take(piece("<think>Hm.</think>Yes.", deltas)).unwrap();
    assert_eq!(heard.got().text, "<think>Hm.</think>Yes.");
    assert_eq!(answer(heard, &[]).unwrap().object["text"], "Yes.");
}

#[test]
fn values_and_code_stand_for_the_text() {
    let schema = &["--schema", "name text"];
    let object = answer(heard(&[r#"{"name": "x"}"#], FinishReason::Stop), schema).unwrap().object;
    assert_eq!((&object["value"]["name"], object.get("text")), (&json!("x"), None));
    let cut = answer(heard(&[r#"{"name": "#], FinishReason::MaxTokens), schema).unwrap_err();
    assert!(matches!(cut.find(), Some(TurnError::Withheld(_))), "{cut:?}");
    let object = answer(heard(&["See:\n```\nls\n```\n"], FinishReason::Stop), &["-x"]).unwrap().object;
    assert_eq!(object["text"], "ls\n");
    let strict = answer(heard(&["It"], FinishReason::MaxTokens), &["--strict"]).unwrap_err();
    assert!(matches!(strict.find(), Some(TurnError::Cut(_))), "{strict:?}");
}
