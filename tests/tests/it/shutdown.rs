//! The end of a daemon: orderly, within a limited time, and without leftovers.

use beast_protocol::{ErrorCode, FinishReason, Request, State};
use beast_tests::samples::{BABBLE, TEXT, ask, babble};
use beast_tests::{Beast, eventually, run};
use rustix::process::Signal;

#[track_caller]
fn has_left_nothing(beast: &Beast) {
    assert!(!beast.socket().exists(), "the socket is gone");
    let output = beast.run(&["status"]);
    assert!(output.failure(3).contains("(not running)"), "{output}");
}

fn drains(beast: &Beast) {
    eventually(|| beast.status().state == State::Draining);
}

#[test]
fn sigterm_lets_a_running_request_finish_and_takes_no_new_one() {
    let mut beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(1000));
    let mut idle = beast.client();
    beast.signal(Signal::TERM);
    drains(&beast);

    assert_eq!(idle.ask(&ask(TEXT)).error().code, ErrorCode::ShuttingDown);
    let output = run(&mut beast.ctl(&["summarize"]), TEXT);
    assert!(output.failure(75).contains("shutting down"), "{output}");

    let (reason, usage) = client.answer().done();
    assert_eq!((reason, usage.n_generated), (FinishReason::MaxTokens, 1000));
    assert_eq!(beast.exit(), Some(0));
    has_left_nothing(&beast);
}

#[test]
fn sigterm_to_an_idle_daemon_ends_it_whoever_is_connected() {
    let mut beast = Beast::start();
    beast.ready();
    let mut client = beast.client();
    client.status();
    beast.signal(Signal::TERM);
    assert_eq!(client.last_words(), None);
    assert_eq!(beast.exit(), Some(0));
    has_left_nothing(&beast);
}

#[test]
fn sigint_ends_it_like_sigterm() {
    let mut beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(300));
    beast.signal(Signal::INT);
    assert_eq!(client.answer().done().0, FinishReason::MaxTokens);
    assert_eq!(beast.exit(), Some(0));
    has_left_nothing(&beast);
}

#[test]
fn what_still_runs_when_the_time_is_over_is_given_up() {
    let mut beast = Beast::with(&["drain_timeout=100ms", "n_slots=1"]);
    let mut running = beast.client();
    running.begin(&babble(3900));
    let mut waiting = beast.client();
    waiting.send(&Request::Generate(ask(TEXT)));
    eventually(|| beast.status().n_waiting == 1);
    beast.signal(Signal::TERM);
    for client in [&mut running, &mut waiting] {
        assert_eq!(client.answer().error().code, ErrorCode::ShuttingDown);
        assert_eq!(client.event(), None);
    }
    assert_eq!(beast.exit(), Some(0));
    has_left_nothing(&beast);
}

#[test]
fn without_any_time_to_drain_a_pipeline_keeps_what_came_and_may_try_again() {
    let mut beast = Beast::with(&["drain_timeout=0"]);
    let mut running = beast.begin(&[&BABBLE[..], &["--no-start"]].concat());
    running.wait_for_output();
    beast.signal(Signal::TERM);
    let output = running.finish();
    assert_eq!(output.code, Some(75), "{output}");
    assert!(output.stdout.len() > 1 && output.stdout.ends_with('\n'), "{output}");
    assert!(output.stderr.contains("shutting down"), "{output}");
    assert_eq!(beast.exit(), Some(0));
}

/// A started answer justifies starting another daemon.
#[test]
fn without_any_time_to_drain_an_answer_goes_on_with_the_next_daemon() {
    let mut beast = Beast::with(&["drain_timeout=0"]);
    let mut running = beast.begin(&[&BABBLE[..], &["--max-tokens", "600"]].concat());
    running.wait_for_output();
    beast.signal(Signal::TERM);
    let output = running.finish();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(beast.exit(), Some(0));
    assert_eq!(beast.run(&["stop"]).code, Some(0), "the client has started another one");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    // Several times: a process that ends while the engine is computing must not crash on its way out.
    for _ in 0..5 {
        let mut beast = Beast::with(&["drain_timeout=1h"]);
        let mut client = beast.client();
        client.begin(&babble(3900));
        beast.signal(Signal::TERM);
        drains(&beast);
        beast.signal_again(Signal::TERM);
        assert_eq!(beast.exit(), Some(1));
        while let Ok(Some(_)) = beast_protocol::read_frame(&mut client.stream) {}
        has_left_nothing(&beast);
        assert!(beast.stderr().contains("stopped by a second signal"), "{}", beast.stderr());
    }
}

/// As timeout(1) does it, which signals the daemon and its process group.
#[test]
fn a_signal_that_comes_twice_at_once_lets_answers_end() {
    let mut beast = Beast::start();
    let mut running = beast.begin(&[&BABBLE[..], &["--max-tokens", "100"]].concat());
    running.wait_for_output();
    beast.signal(Signal::TERM);
    beast.signal(Signal::TERM);
    assert_eq!(running.finish().code, Some(0));
    assert_eq!(beast.exit(), Some(0));
}

#[test]
fn stop_waits_until_the_daemon_has_ended() {
    let mut beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(600));
    let (output, answer) = std::thread::scope(|scope| {
        let stop = scope.spawn(|| beast.run(&["stop"]));
        let answer = client.answer();
        (stop.join().expect("it ends"), answer)
    });
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""));
    assert_eq!(answer.done().0, FinishReason::MaxTokens, "what runs is finished first");
    has_left_nothing(&beast);
    assert_eq!(beast.exit(), Some(0));
}

/// A client that connects at the moment of the end is disconnected without an answer.
#[test]
fn many_at_once_may_want_the_end() {
    for _ in 0..6 {
        let beast = Beast::start();
        beast.ready();
        let stops: Vec<_> = (0..3).map(|_| beast.begin(&["stop"])).collect();
        let status = beast.run(&["status"]);
        for stop in stops {
            let output = stop.finish();
            assert_eq!(output.code, Some(0), "{output}");
        }
        assert!(status.code == Some(0) || status.failure(3).contains("(not running"), "{status}");
    }
}

#[test]
fn stop_has_a_time_limit_of_its_own() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(3900));
    let output = beast.run(&["stop", "--timeout", "200ms"]);
    assert!(output.failure(1).contains("did not exit within 200ms"), "{output}");
    assert_eq!(beast.status().state, State::Draining);
}

#[test]
fn the_log_tells_of_the_end() {
    let mut beast = Beast::start();
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    beast.signal(Signal::TERM);
    assert_eq!(beast.exit(), Some(0));
    let log = beast.log_files();
    for part in ["listening", "loaded stage=\"weights\"", "accepted", "done", "received a signal, shutting down"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains("Redis"), "nobody's text is in the log: {log}");
}
