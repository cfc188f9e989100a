//! Speculative decoding: faster where a text is copied, and never a different text.

use beast_protocol::{Generate, Sampling, Speculation};
use beast_tests::samples::{ask, babble, commit_msg, diff, subject};
use beast_tests::{Answer, Beast, Home, run};

/// A diff of whose subject line the model is certain; the text after its ignored end repeats itself forever.
fn repetitive(speculation: Speculation) -> Generate {
    let request = commit_msg(&diff("parse_header", 5));
    Generate { max_tokens: Some(60), ignore_eos: true, speculation, ..request }
}

fn guessed(answer: &Answer) -> (u32, u32) {
    let usage = answer.done().1;
    assert!(usage.n_accepted <= usage.n_drafted, "{usage:?}");
    (usage.n_drafted, usage.n_accepted)
}

#[test]
fn a_text_that_repeats_itself_is_guessed_and_the_subject_stays_the_same() {
    let beast = Beast::start();
    let mut n_accepted = 0;
    for speculation in [Speculation::Off, Speculation::Lookup, Speculation::Auto, Speculation::Lookup] {
        let answer = beast.client().ask(&repetitive(speculation));
        assert!(answer.text.trim().starts_with(&subject("parse_header")), "{speculation:?}: {}", answer.text);
        assert_eq!(answer.done().1.n_generated, 60);
        let guessed = guessed(&answer);
        if speculation == Speculation::Off {
            assert_eq!(guessed, (0, 0));
        }
        n_accepted += guessed.1;
    }
    assert!(n_accepted > 0, "nothing was guessed right");
    let status = beast.status().speculation;
    assert_eq!(status.n_accepted, u64::from(n_accepted));
    assert_eq!((status.drafters, status.reason), (vec!["lookup".to_owned()], None));
}

#[test]
fn the_draft_model_guesses_and_the_answers_stay_the_same() {
    let beast = Beast::with(&["draft=builtin"]);
    for function in ["parse_header", "open_socket", "read_index"] {
        let request = Generate { speculation: Speculation::Draft, ..commit_msg(&diff(function, 5)) };
        let answer = beast.client().ask(&request);
        assert_eq!(answer.text.trim(), subject(function));
        guessed(&answer);
    }
    let status = beast.status().speculation;
    assert_eq!(status.draft_model.as_deref(), Some("cub-draft"));
    assert_eq!(status.drafters, ["lookup", "draft"]);
    assert!(status.n_drafted > 0, "{status:?}");
}

#[test]
fn a_draft_model_that_cannot_be_used_is_named_and_everything_else_works() {
    let home = Home::new();
    let file = home.write("no-model.gguf", "GGUF, and then nothing");
    let beast = home.start(&[&format!("draft={}", file.display())]);
    let answer = beast.client().ask(&commit_msg(&diff("parse_header", 5)));
    assert_eq!(answer.text.trim(), subject("parse_header"));
    let status = beast.status();
    assert_eq!(status.speculation.drafters, ["lookup"]);
    let reason = status.speculation.reason.expect("there is one");
    assert!(reason.starts_with("no draft model: ") && reason.contains("no-model.gguf"), "{reason}");
    assert!(status.notices.iter().any(|notice| notice.text == reason), "{:?}", status.notices);
}

#[test]
fn what_is_turned_off_guesses_nothing() {
    let beast = Beast::with(&["speculation=off", "draft=builtin"]);
    let answer = beast.client().ask(&repetitive(Speculation::Auto));
    assert_eq!(guessed(&answer), (0, 0));
    let status = beast.status().speculation;
    assert_eq!((status.drafters.len(), status.n_max), (0, 0));
    assert_eq!(status.reason.as_deref(), Some("turned off in the configuration"));
}

#[test]
fn who_gives_a_seed_gets_the_same_text_again() {
    let beast = Beast::with(&["n_prefixes=0"]);
    let first = beast.client().ask(&babble(300));
    let again = beast.client().ask(&babble(300));
    assert_eq!(guessed(&first), (0, 0));
    assert!(first.text == again.text);
}

#[test]
fn several_at_once_guess_together_and_say_what_each_says_alone() {
    let beast = Beast::start();
    std::thread::scope(|scope| {
        for function in ["parse_header", "open_socket", "read_index", "close_file"] {
            let beast = &beast;
            scope.spawn(move || {
                for _ in 0..5 {
                    let request = commit_msg(&diff(function, 5));
                    let request = Generate { max_tokens: Some(40), ignore_eos: true, ..request };
                    let answer = beast.client().ask(&request);
                    assert!(answer.text.trim().starts_with(&subject(function)), "{}", answer.text);
                }
            });
        }
    });
    assert!(beast.status().speculation.n_drafted > 0);
}

#[test]
fn guesses_keep_to_the_limit_of_an_answer() {
    let beast = Beast::start();
    for n in 1..20 {
        let request = Generate { max_tokens: Some(n), ignore_eos: true, ..ask("What is git?") };
        let request = Generate { sampling: Sampling { temp: Some(0.0), ..Sampling::default() }, ..request };
        assert_eq!(beast.client().ask(&request).done().1.n_generated, n);
    }
}

#[test]
fn steps_too_small_for_guesses_guess_less_and_break_nothing() {
    for settings in [["n_batch=6", "n_slots=2"], ["n_batch=2", "n_slots=1"]] {
        let beast = Beast::with(&settings);
        let answer = beast.client().ask(&repetitive(Speculation::Auto));
        assert!(answer.text.trim().starts_with(&subject("parse_header")), "{}", answer.text);
        assert!(beast.status().speculation.n_max <= 4, "{settings:?}");
    }
}

#[test]
fn calibration_is_measured_kept_and_used() {
    let home = Home::new();
    let model = home
        .write("models/small.gguf", std::fs::read(beast_tests::project("models/cub/cub-draft.gguf")).expect("there"));
    let model = model.display().to_string();
    let output = run(&mut home.beastd(&["--calibrate", "--force", "--model", &model, "--set", "n_threads=1"]), "");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let lines: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert!(lines[0]["progress"]["n_total"].as_u64().is_some_and(|n| n > 3), "{}", lines[0]);
    let written = format!("{model}.calibration.json");
    assert_eq!(lines[lines.len() - 1]["written"], written);
    let calibration = &lines[lines.len() - 2]["calibration"];
    assert!(calibration["verify"].as_array().is_some_and(|costs| costs.len() > 8), "{calibration}");
    let chunk = calibration["chosen"]["prefill_chunk"].as_u64().expect("a number");

    let mut beast = home.start(&[&format!("model={model}"), "n_threads=1"]);
    beast.ready();
    let status = beast.status();
    assert!(status.tuning.is_calibrated && status.tuning.origin.starts_with("measured 2"), "{:?}", status.tuning);
    assert_eq!(u64::from(status.prefill_chunk), chunk);

    // The calibration of another model is not used, and `status` says so.
    beast.kill();
    std::fs::copy(beast_tests::project("models/cub/cub.gguf"), &model).expect("writable");
    beast.restart();
    beast.ready();
    let tuning = beast.status().tuning;
    assert!(!tuning.is_calibrated && tuning.origin.contains("is for a different model"), "{tuning:?}");
}
