use clap::Parser;

use super::*;
use crate::cli::{Cli, Verb};
use crate::prompts::SoftLimit;

fn options(arguments: &[&str]) -> Options {
    let cli = Cli::try_parse_from([&["beastctl", "summarize"], arguments].concat()).unwrap();
    match cli.verb {
        Verb::Summarize { options, .. } => options,
        other => panic!("{other:?}"),
    }
}

fn prompt() -> Prompt {
    Prompt { system: "Do it.".into(), max_tokens: Some(9), ..Prompt::default() }
}

fn text(text: &str) -> Material {
    Material { text: text.into(), ..Material::default() }
}

fn asked(prompt: Prompt, material: Material, options: &Options) -> Generate {
    generate(prompt, material, options).0
}

#[test]
fn instruction_and_material_have_a_turn_each() {
    let request =
        asked(prompt(), text("text"), &options(&["--top-k", "40", "--seed", "7", "--stop", "a", "--stop", "b"]));
    let turns: Vec<_> = request.messages.iter().map(|message| (message.role, message.content.as_str())).collect();
    assert_eq!(turns, [(Role::System, "Do it."), (Role::User, "text")]);
    assert_eq!((request.sampling.top_k, request.sampling.seed, request.sampling.temp), (Some(40), Some(7), None));
    assert_eq!(request.stop, ["a", "b"]);
}

#[test]
fn an_answer_as_long_as_its_input_has_a_limit_that_grows_with_it() {
    let soft = |limit, n_bytes: usize| {
        let prompt = Prompt { soft_limit: Some(limit), ..prompt() };
        asked(prompt, text(&"x".repeat(n_bytes)), &options(&[])).soft_limit
    };
    assert_eq!([0, 7, 10_000].map(|n| soft(SoftLimit::Input, n)), [64, 67, 5064].map(Some));
    assert_eq!(soft(SoftLimit::Tokens(5), 10_000), Some(5));
}

#[test]
fn the_command_line_is_stronger_than_the_prompt() {
    assert_eq!(asked(prompt(), Material::default(), &options(&[])).max_tokens, Some(9));
    assert_eq!(asked(prompt(), Material::default(), &options(&["--max-tokens", "20"])).max_tokens, Some(20));
}

#[test]
fn an_empty_instruction_is_no_turn() {
    let prompt = Prompt { system: " ".into(), ..prompt() };
    assert_eq!(asked(prompt, text("text"), &options(&[])).messages.len(), 1);
}

#[test]
fn a_question_follows_its_material_and_is_no_part_of_it() {
    let material = Material { question: "why?".into(), ..text("a log\n") };
    let request = asked(prompt(), material, &options(&["--truncate", "middle"]));
    assert_eq!(request.messages[1].content, "a log\n\nwhy?");
    let material = Span { start: 0, end: 5 };
    assert_eq!(request.overflow, Overflow::Truncate { material, drop: Place::Middle });
}

#[test]
fn what_is_constant_opens_the_user_turn_and_is_no_part_of_the_material() {
    let prompt = Prompt { instruction: "Rate it:".into(), ..prompt() };
    let material = Material { question: "why?".into(), ..text("a log\n") };
    let request = asked(prompt, material, &options(&["--truncate", "head"]));
    assert_eq!(request.messages[1].content, "Rate it:\n\na log\n\nwhy?");
    let material = Span { start: 10, end: 15 };
    assert_eq!(request.overflow, Overflow::Truncate { material, drop: Place::Head });
}

#[test]
fn the_command_line_chooses_tokens_before_the_prompt_does() {
    let sampling = beast_protocol::Sampling { temp: Some(0.5), top_k: Some(7), ..Default::default() };
    let prompt = Prompt { sampling, schema: Some("{}".into()), ..prompt() };
    let request = asked(prompt, text("x"), &options(&["--temp", "0"]));
    assert_eq!((request.sampling.temp, request.sampling.top_k, request.sampling.seed), (Some(0.0), Some(7), None));
    assert_eq!(request.constraint, Some(Constraint::Schema("{}".into())));
}

#[test]
fn dry_and_xtc_are_the_command_lines_then_the_prompts() {
    let sampling = beast_protocol::Sampling {
        dry_multiplier: Some(0.5),
        dry_base: Some(2.0),
        dry_allowed_length: Some(3),
        dry_penalty_last_n: Some(64),
        xtc_probability: Some(0.25),
        xtc_threshold: Some(0.125),
        ..Default::default()
    };
    let of_prompt = || Prompt { sampling: sampling.clone(), ..prompt() };
    assert_eq!(asked(of_prompt(), text("x"), &options(&[])).sampling, sampling);
    let typed = "--dry-multiplier 0 --dry-base 1 --dry-allowed-length 0 --dry-penalty-last-n 8 --xtc-probability 1 \
                 --xtc-threshold 0.2";
    let typed: Vec<&str> = typed.split_whitespace().collect();
    let expected = beast_protocol::Sampling {
        dry_multiplier: Some(0.0),
        dry_base: Some(1.0),
        dry_allowed_length: Some(0),
        dry_penalty_last_n: Some(8),
        xtc_probability: Some(1.0),
        xtc_threshold: Some(0.2),
        ..Default::default()
    };
    assert_eq!(asked(of_prompt(), text("x"), &options(&typed)).sampling, expected);
}

#[test]
fn what_does_not_fit_is_refused_reduced_or_dropped_as_it_was_asked() {
    let reducing = || Prompt { reduce: Some("Merge.".into()), ..prompt() };
    let overflow = |prompt, arguments: &[&str]| asked(prompt, text("long"), &options(arguments)).overflow;
    let material = Span { start: 0, end: 4 };
    assert_eq!(overflow(prompt(), &[]), Overflow::Refuse);
    assert_eq!(overflow(reducing(), &[]), Overflow::Reduce { material, instruction: "Merge.".into() });
    let truncated = Overflow::Truncate { material, drop: Place::Tail };
    assert_eq!(overflow(reducing(), &["--truncate", "tail"]), truncated);
}
