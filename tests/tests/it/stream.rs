//! Streaming: the events of an answer, and what `beastctl` does with them.

use beast_protocol::{Event, FinishReason, Generate, Sampling};
use beast_tests::samples::{self, BABBLE, TEXT};
use beast_tests::{Beast, eventually, run};

#[test]
fn an_answer_is_started_then_pieces_then_done_and_its_usage_adds_up() {
    let beast = Beast::start();
    beast.ready();
    let answer = beast.client().ask(&samples::instructed("summarize", TEXT));
    let (reason, usage) = answer.done();
    assert_eq!(reason, FinishReason::Stop);

    let rest = answer.events.iter().skip_while(|event| matches!(event, Event::Queued { .. }));
    let mut rest = rest.skip_while(|event| !matches!(event, Event::Started { .. }));
    match rest.next() {
        Some(Event::Started { n_prompt, n_ctx, model, .. }) => {
            assert_eq!((*n_prompt, *n_ctx, model.as_str()), (usage.n_prompt, 4096, "cub"));
        }
        other => panic!("not started: {other:?}"),
    }
    let mut rest: Vec<_> = rest.filter(|event| !matches!(event, Event::Progress { .. })).collect();
    assert!(matches!(rest.pop(), Some(Event::Done { .. })));
    let sampled: Vec<u64> = rest
        .iter()
        .map(|event| match event {
            Event::Piece { sampled_at_us, .. } => *sampled_at_us,
            other => panic!("not a piece: {other:?}"),
        })
        .collect();
    assert!(sampled.len() > 3, "{answer:?}");
    assert!(
        sampled.is_sorted(),
        "pieces come in the order of their tokens; guesses that were right, at one time: {sampled:?}"
    );
    assert!(sampled.len() <= usage.n_generated as usize, "a token makes one piece at most");

    beast.idle();
    let status = beast.status();
    assert_eq!(status.n_requests, 1);
    assert_eq!(status.n_prompt_tokens, u64::from(usage.n_prompt));
    // The end-of-turn token was computed, but is not part of the answer.
    assert_eq!(status.n_generated_tokens, u64::from(usage.n_generated) + 1);
    assert_eq!(status.n_cells_used, status.n_prefix_tokens, "nothing is left but what is kept on purpose");
}

#[test]
fn the_first_pieces_arrive_long_before_the_answer_is_complete() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.begin(&samples::babble(3000));
    // The rest is still being generated.
    eventually(|| beast.status().n_running == 1);

    let mut running = beast.begin(&BABBLE);
    running.wait_for_output();
    eventually(|| beast.status().n_running == 2);
}

#[test]
fn summarize_prints_the_pieces_and_one_newline() {
    let beast = Beast::start();
    let expected = beast.client().ask(&samples::instructed("summarize", TEXT)).text;
    let from_stdin = run(&mut beast.ctl(&["summarize"]), TEXT);
    assert_eq!(from_stdin.answer(), expected.trim());
    assert!(!expected.trim().is_empty());

    let file = beast.write("redis.txt", TEXT);
    let from_file = beast.run(&["summarize", file.to_str().expect("a plain name")]);
    assert_eq!(from_file, from_stdin, "the same text gives the same answer");
    assert_eq!(run(&mut beast.ctl(&["summarize", "--no-stream"]), TEXT), from_stdin);
}

#[test]
fn ask_answers_with_and_without_material() {
    let beast = Beast::start();
    let alone = beast.run(&["ask", "What is a socket?"]);
    assert!(alone.answer().contains("socket"), "{alone}");
    let words = beast.run(&["ask", "What", "is", "a", "socket?"]);
    assert_eq!(words, alone, "a question needs no quotes");
    let with_material = run(&mut beast.ctl(&["ask", "What is this about?"]), TEXT);
    assert_ne!(with_material.answer(), alone.answer());
    assert_ne!(with_material.answer(), "");
}

#[test]
fn commit_msg_writes_the_subject_line_of_a_diff() {
    let beast = Beast::start();
    let output = run(&mut beast.ctl(&["commit-msg"]), samples::diff("parse_header", 2));
    assert_eq!(output.answer(), samples::subject("parse_header"));
}

#[test]
fn run_takes_any_prompt_built_in_or_of_the_users_own() {
    let beast = Beast::start();
    let built_in = run(&mut beast.ctl(&["run", "summarize"]), TEXT);
    assert_eq!(built_in, run(&mut beast.ctl(&["summarize"]), TEXT));
    for name in ["explain", "tldr", "title", "keywords", "fix", "review", "shell", "translate"] {
        assert_eq!(run(&mut beast.ctl(&["run", name]), TEXT).code, Some(0), "{name}");
    }
    beast.write("config/beast/prompts/mine.md", "---\nmax_tokens: 2\n---\nSummarize the text.\n");
    let own = run(&mut beast.ctl(&["run", "mine", "--json"]), TEXT);
    let object: serde_json::Value = serde_json::from_str(&own.stdout).expect("one object");
    assert_eq!(object["usage"]["n_generated"], 2);
}

#[test]
fn json_is_one_object_with_the_same_text() {
    let beast = Beast::start();
    let plain = run(&mut beast.ctl(&["summarize"]), TEXT);
    let json = run(&mut beast.ctl(&["summarize", "--json"]), TEXT);
    let object: serde_json::Value = serde_json::from_str(json.answer()).expect("one object");
    assert_eq!(object["text"], plain.answer());
    assert_eq!(object["finish_reason"], "stop");
    assert_eq!(object["truncated"], false);
    assert_eq!(object["model"], "cub");
    assert!(object["usage"]["n_generated"].as_u64() > Some(3), "{object}");
    assert!(object["timings"]["first_token_ms"].as_f64() > Some(0.0), "{object}");
}

#[test]
fn a_cut_answer_says_so_and_fails_only_when_that_is_wanted() {
    let beast = Beast::start();
    let whole = run(&mut beast.ctl(&["summarize"]), TEXT);
    let cut = run(&mut beast.ctl(&["summarize", "--max-tokens", "3"]), TEXT);
    assert_eq!(cut.code, Some(0));
    assert_eq!(cut.stderr, "beastctl: warning: the answer is truncated at 3 tokens (--max-tokens)\n");
    let beginning = cut.stdout.trim_end();
    assert!(!beginning.is_empty() && whole.answer().starts_with(beginning), "{cut}\n{whole}");

    let strict = run(&mut beast.ctl(&["summarize", "--max-tokens", "3", "--strict"]), TEXT);
    assert_eq!((strict.code, &strict.stdout), (Some(5), &cut.stdout), "{strict}");
    assert!(strict.stderr.contains("truncated at 3 tokens"), "{strict}");

    let quiet = run(&mut beast.ctl(&["summarize", "--max-tokens", "3", "--quiet"]), TEXT);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_answer_that_fills_the_context_says_so() {
    let beast = Beast::with(&["n_ctx=256"]);
    let answer = beast.client().ask(&samples::babble(4000));
    let (reason, usage) = answer.done();
    assert_eq!(reason, FinishReason::ContextFull);
    assert_eq!(usage.n_prompt + usage.n_generated, 256);

    let output = beast.run(&BABBLE);
    assert_eq!(output.code, Some(0));
    assert!(output.stderr.contains("the context of 256 tokens is full"), "{output}");
}

#[test]
fn an_answer_ends_before_a_stop_text() {
    let beast = Beast::start();
    let whole = run(&mut beast.ctl(&["summarize"]), TEXT);
    let word = whole.answer().split_whitespace().nth(2).expect("an answer has words");
    let stopped = run(&mut beast.ctl(&["summarize", "--stop", word]), TEXT);
    let (before, _) = whole.answer().split_once(word).expect("the word is from there");
    assert_eq!(stopped.answer(), before.trim_end());
}

#[test]
fn a_seed_gives_the_same_answer_again_and_another_seed_another() {
    let beast = Beast::start();
    let answer = |seed| {
        let sampling = Sampling { temp: Some(2.0), seed: Some(seed), ..Sampling::default() };
        let request = Generate { sampling, ..samples::babble(30) };
        beast.client().ask(&request).text
    };
    assert_eq!(answer(7), answer(7));
    assert_ne!(answer(7), answer(8));
}

#[test]
fn the_same_text_gives_the_same_answer_after_a_restart() {
    let mut beast = Beast::start();
    let first = run(&mut beast.ctl(&["summarize"]), TEXT);
    beast.kill();
    beast.restart();
    assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT), first);
}

#[test]
fn stats_go_to_stderr_and_change_nothing_else() {
    let beast = Beast::start();
    let plain = run(&mut beast.ctl(&["summarize"]), TEXT);
    let stats = run(&mut beast.ctl(&["summarize", "--stats"]), TEXT);
    assert_eq!((stats.code, &stats.stdout), (Some(0), &plain.stdout));
    for part in ["first token", "queued", "prompt", "tokens/s", "delivery lag"] {
        assert!(stats.stderr.contains(part), "{part} in {stats}");
    }
}

#[test]
fn status_and_version_describe_the_running_daemon() {
    let beast = Beast::start();
    beast.ready();
    let json = beast.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(json.answer()).expect("one object");
    assert_eq!(status["state"], "ready");
    assert_eq!(status["pid"], beast.pid());
    assert_eq!(status["model"]["name"], "cub");
    assert_eq!(status["model"]["has_chat_template"], true);
    assert_eq!(status["socket"], beast.socket().to_str().expect("a plain path"));

    let text = beast.run(&["status"]);
    assert!(text.answer().starts_with("state     ready\n"), "{text}");
    let version = beast.run(&["version"]);
    assert!(version.answer().contains(&format!("process {}", beast.pid())), "{version}");
}

#[test]
fn control_tokens_in_a_text_stay_text() {
    let beast = Beast::start();
    let n_prompt = |text: &str| beast.client().ask(&samples::ask(text)).done().1.n_prompt;
    // As a control token, each of these would be a single token.
    let marks = "<|im_end|><|im_start|>";
    assert!(n_prompt(&format!("Hello{marks}")) > n_prompt("Hello") + 6, "the marks are read letter by letter");
}

/// Greedy text of a model that goes in circles, because two tokens are likelier than all others.
fn circling(beast: &Beast, soft_limit: Option<u32>) -> (FinishReason, String) {
    let likely = [300, 301].map(|token| (token, 14.0));
    let sampling = Sampling { temp: Some(0.0), logit_bias: likely.into(), ..Sampling::default() };
    let request = Generate { sampling, max_tokens: Some(600), soft_limit, ..samples::ask("What is a lock?") };
    let answer = beast.client().ask(&request);
    (answer.done().0, answer.text)
}

#[test]
fn an_answer_that_repeats_itself_is_brought_to_its_end_where_that_is_wanted() {
    let beast = Beast::start();
    let (reason, text) = circling(&beast, None);
    assert_eq!(reason, FinishReason::Repetition, "{text}");
    let (reason, closed) = circling(&beast, Some(600));
    assert_eq!(reason, FinishReason::Closed, "{closed}");
    assert!(closed.starts_with(&text), "{text:?}, then {closed:?}");
    assert_eq!(circling(&beast, Some(600)).1, closed, "greedy text repeats");
}
