//! Several clients at once: each gets its answer, and the same one as alone.
//!
//! Only answers of which the model is certain are compared, see [`diff`]. Others may differ in a word when computed
//! together, because the sums of a larger batch are rounded in another order.

use std::thread;

use beast_protocol::{FinishReason, Generate, Usage};
use beast_tests::samples::{TEXT, ask, babble, commit_msg, diff, subject};
use beast_tests::{Answer, Beast, run};

/// Even at temperature 1, the model names these in all of 44 tries.
const FUNCTIONS: [&str; 8] = [
    "parse_header",
    "open_socket",
    "count_lines",
    "load_index",
    "send_message",
    "write_header",
    "load_table",
    "find_user",
];

/// Requests of different lengths: the first has about 100 tokens, each further one `step` more lines of diff.
fn requests(n: usize, step: usize) -> Vec<Generate> {
    FUNCTIONS[..n].iter().enumerate().map(|(n, function)| commit_msg(&diff(function, 3 + n * step))).collect()
}

fn together(beast: &Beast, requests: &[Generate]) -> Vec<Answer> {
    thread::scope(|scope| {
        let ask = |request| scope.spawn(move || beast.client().ask(request));
        let threads: Vec<_> = requests.iter().map(ask).collect();
        threads.into_iter().map(|thread| thread.join().expect("the request is answered")).collect()
    })
}

fn alone(beast: &Beast, requests: &[Generate]) -> Vec<Answer> {
    let answers: Vec<_> = requests.iter().map(|request| beast.client().ask(request)).collect();
    for (answer, function) in answers.iter().zip(FUNCTIONS) {
        assert_eq!(answer.text.trim(), subject(function));
    }
    answers
}

#[track_caller]
fn assert_same(answers: &[Answer], expected: &[Answer]) {
    assert_eq!(answers.len(), expected.len());
    for (answer, expected) in answers.iter().zip(expected) {
        assert_eq!(answer.text, expected.text);
        let ((reason, usage), (expected_reason, expected_usage)) = (answer.done(), expected.done());
        assert_eq!(reason, expected_reason);
        // Cached and draft tokens differ; the prompt and its answer are the same.
        let lengths = |usage: Usage| (usage.n_prompt, usage.n_generated);
        assert_eq!(lengths(usage), lengths(expected_usage));
    }
}

#[test]
fn four_requests_at_once_say_what_each_says_alone() {
    let beast = Beast::start();
    let requests = requests(4, 40);
    let expected = alone(&beast, &requests);
    // Each client sends all of them, starting with a different one, so that short and long ones meet in every stage.
    thread::scope(|scope| {
        for n in 0..4 {
            let (beast, requests, expected) = (&beast, &requests, &expected);
            scope.spawn(move || {
                let mut client = beast.client();
                for n in n..n + 8 {
                    let answer = client.ask(&requests[n % 4]);
                    assert_same(&[answer], &expected[n % 4..=n % 4]);
                }
            });
        }
    });
    assert_eq!(beast.status().n_preempted, 0, "there is room for four whole contexts");
}

#[test]
fn two_to_eight_pipelines_at_once_are_all_answered() {
    let beast = Beast::start();
    for n in [2, 4, 8] {
        thread::scope(|scope| {
            let start = |(n, function)| {
                let text = diff(function, 3 + 4 * n);
                let beast = &beast;
                scope.spawn(move || run(&mut beast.ctl(&["commit-msg"]), text))
            };
            let threads: Vec<_> = FUNCTIONS[..n].iter().copied().enumerate().map(start).collect();
            for (thread, function) in threads.into_iter().zip(FUNCTIONS) {
                assert_eq!(thread.join().expect("it ends").answer(), subject(function));
            }
        });
    }
}

#[test]
fn eight_requests_share_four_slots_and_none_is_forgotten() {
    let beast = Beast::start();
    let requests = requests(8, 8);
    let expected = alone(&beast, &requests);
    assert_same(&together(&beast, &requests), &expected);
    beast.idle();
    let status = beast.status();
    assert_eq!(status.n_requests, 16);
    assert_eq!(status.n_cells_used, status.n_prefix_tokens, "nothing is left but what is kept on purpose");
}

#[test]
fn requests_that_do_not_fit_together_take_turns_and_lose_nothing() {
    // At its end each needs about 400 cells of 1,024, so the younger ones are preempted and restart.
    let beast = Beast::with(&["n_ctx=1024", "n_cells=1024"]);
    let long = |request| Generate { max_tokens: Some(300), ignore_eos: true, ..request };
    let requests: Vec<_> = requests(4, 1).into_iter().map(long).collect();
    let answers = together(&beast, &requests);
    for (answer, function) in answers.iter().zip(FUNCTIONS) {
        // The text after the ignored end of the turn is nonsense.
        assert!(answer.text.trim().starts_with(&subject(function)), "{}", answer.text);
        let (reason, usage) = answer.done();
        assert_eq!((reason, usage.n_generated), (FinishReason::MaxTokens, 300));
    }
    assert!(beast.status().n_preempted > 0, "four of them need more than 1,024 cells");
}

#[test]
fn a_short_request_does_not_wait_for_a_long_one() {
    let beast = Beast::start();
    let mut long = beast.client();
    long.begin(&babble(3500));
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    assert_eq!(beast.status().n_running, 1, "the long one goes on");
}

#[test]
fn a_connection_may_ask_many_times() {
    let beast = Beast::start();
    let mut client = beast.client();
    let first = client.ask(&ask("What is git?"));
    assert_ne!(first.text, "");
    for _ in 0..20 {
        let again = client.ask(&ask("What is git?"));
        assert_same(&[again], std::slice::from_ref(&first));
    }
}
