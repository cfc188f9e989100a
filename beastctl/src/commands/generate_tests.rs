use clap::Parser;

use super::*;
use crate::cli::{Cli, Verb};

fn options(arguments: &[&str]) -> Options {
    let cli = Cli::try_parse_from([&["beastctl", "summarize"], arguments].concat()).unwrap();
    match cli.verb {
        Verb::Summarize { options, .. } => options,
        other => panic!("{other:?}"),
    }
}

fn prompt() -> Prompt {
    Prompt { system: "Do it.".into(), description: None, max_tokens: Some(9) }
}

#[test]
fn instruction_and_material_have_a_turn_each() {
    let request =
        generate(prompt(), "text".into(), &options(&["--top-k", "40", "--seed", "7", "--stop", "a", "--stop", "b"]));
    let turns: Vec<_> = request.messages.iter().map(|message| (message.role, message.content.as_str())).collect();
    assert_eq!(turns, [(Role::System, "Do it."), (Role::User, "text")]);
    assert_eq!((request.sampling.top_k, request.sampling.seed, request.sampling.temp), (Some(40), Some(7), None));
    assert_eq!(request.stop, ["a", "b"]);
}

#[test]
fn the_command_line_is_stronger_than_the_prompt() {
    assert_eq!(generate(prompt(), String::new(), &options(&[])).max_tokens, Some(9));
    assert_eq!(generate(prompt(), String::new(), &options(&["--max-tokens", "20"])).max_tokens, Some(20));
}

#[test]
fn an_empty_instruction_is_no_turn() {
    let prompt = Prompt { system: " ".into(), ..prompt() };
    assert_eq!(generate(prompt, "text".into(), &options(&[])).messages.len(), 1);
}
