//! A request ends when its client no longer wants it: in the queue, during prefill, while decoding.

use beast_protocol::{Event, FinishReason, Generate, Request, Usage};
use beast_tests::samples::{BABBLE, TEXT, ask, babble, document};
use beast_tests::{Beast, Client, Home, Running, eventually, run};
use rustix::process::Signal;

/// A prompt of about 3,500 tokens, whose prefill takes seconds in small chunks.
fn long_prompt() -> Generate {
    ask(&document(345))
}

/// A daemon whose only slot is taken by a long answer.
fn busy() -> (Beast, Client) {
    let beast = Beast::with(&["n_slots=1"]);
    let mut first = beast.client();
    first.begin(&babble(3900));
    (beast, first)
}

fn wait_in_queue(beast: &Beast) -> Client {
    let mut second = beast.client();
    second.send(&Request::Generate(ask(TEXT)));
    second.until(|event| matches!(event, Event::Queued { .. }));
    second
}

/// A daemon that is in the prefill of a long prompt.
fn reading() -> (Beast, Client, u32) {
    let beast = Beast::with(&["prefill_chunk=16"]);
    let mut client = beast.client();
    client.send(&Request::Generate(long_prompt()));
    let event = client.until(|event| matches!(event, Event::Progress { .. }));
    let Event::Progress { n_done, n_total } = event else { unreachable!("it was waited for") };
    assert!(n_done < n_total && n_total > 3000, "{n_done} of {n_total}");
    (beast, client, n_total)
}

#[track_caller]
fn cancelled(client: &mut Client) -> Usage {
    client.send(&Request::Cancel);
    let (reason, usage) = client.answer().done();
    assert_eq!(reason, FinishReason::Cancelled);
    usage
}

#[track_caller]
fn answers(beast: &Beast) {
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
}

/// All cells are free, except those of cached prefixes.
#[track_caller]
fn nothing_is_left(beast: &Beast) {
    beast.idle();
    let status = beast.status();
    assert_eq!(status.n_cells_used, status.n_prefix_tokens);
}

#[test]
fn a_request_in_the_queue_can_be_cancelled() {
    let (beast, mut first) = busy();
    let mut second = wait_in_queue(&beast);
    assert_eq!(cancelled(&mut second).n_generated, 0);
    eventually(|| beast.status().n_waiting == 0);
    assert_eq!(beast.status().n_running, 1, "the first one goes on");
    cancelled(&mut first);
    assert!(second.ask(&ask(TEXT)).done().1.n_generated > 0, "the connection can be used again");
}

#[test]
fn a_client_that_leaves_the_queue_is_forgotten() {
    let (beast, first) = busy();
    drop(wait_in_queue(&beast));
    eventually(|| beast.status().n_waiting == 0);
    assert_eq!(beast.status().n_running, 1, "the first one goes on");
    drop(first);
    answers(&beast);
}

#[test]
fn the_reading_of_a_prompt_can_be_cancelled() {
    let (beast, mut client, n_prompt) = reading();
    assert_eq!(cancelled(&mut client).n_generated, 0);
    beast.idle();
    assert!(beast.status().n_prompt_tokens < u64::from(n_prompt), "the rest of the prompt is not read");
    answers(&beast);
    nothing_is_left(&beast);
}

#[test]
fn the_reading_of_a_prompt_ends_when_its_client_leaves() {
    let (beast, client, n_prompt) = reading();
    drop(client);
    beast.idle();
    assert!(beast.status().n_prompt_tokens < u64::from(n_prompt), "the rest of the prompt is not read");
    answers(&beast);
}

#[test]
fn an_answer_can_be_cancelled_and_what_came_of_it_counts() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(3900));
    let usage = cancelled(&mut client);
    assert!((1..3900).contains(&usage.n_generated), "{usage:?}");
    beast.idle();
    assert_eq!(beast.status().n_generated_tokens, u64::from(usage.n_generated));
    assert!(client.ask(&ask(TEXT)).done().1.n_generated > 0, "the connection can be used again");
}

#[test]
fn an_answer_ends_when_its_client_leaves() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.begin(&babble(3900));
    drop(client);
    beast.idle();
    assert!(beast.status().n_generated_tokens < 3900, "nothing is made for nobody");
    answers(&beast);
    nothing_is_left(&beast);
}

#[test]
fn a_request_for_a_model_that_is_being_loaded_can_be_cancelled() {
    let home = Home::with_own_cache();
    let gate = home.gate();
    let beast = home.start(&[]);
    let mut client = beast.client();
    client.send(&Request::Generate(ask(TEXT)));
    client.until(|event| matches!(event, Event::Loading { .. }));
    client.send(&Request::Cancel);
    let end = client.until(|event| !matches!(event, Event::Loading { .. }));
    assert!(matches!(end, Event::Done { reason: FinishReason::Cancelled, .. }), "{end:?}");
    gate.open();
    answers(&beast);
    assert_eq!(beast.status().n_requests, 1, "the cancelled one was never run");
}

#[test]
fn cancelling_nothing_does_nothing() {
    let beast = Beast::start();
    let mut client = beast.client();
    client.send(&Request::Cancel);
    client.send(&Request::Cancel);
    assert!(client.ask(&ask(TEXT)).done().1.n_generated > 0);
    client.send(&Request::Cancel);
    assert_eq!(client.status().n_requests, 1);
}

/// `beastctl` in the middle of a long answer, on a daemon with one slot.
fn in_the_middle() -> (Beast, Running) {
    let beast = Beast::with(&["n_slots=1"]);
    let mut running = beast.begin(&BABBLE);
    running.wait_for_output();
    (beast, running)
}

#[test]
fn ctrl_c_ends_beastctl_with_130_and_frees_the_slot() {
    let (beast, running) = in_the_middle();
    running.signal(Signal::INT);
    let output = running.finish();
    assert_eq!((output.code, output.stderr.as_str()), (Some(130), ""));
    assert_ne!(output.stdout, "", "what came stays");
    beast.idle();
    answers(&beast);
}

#[test]
fn a_closed_pipe_is_a_quiet_success_and_frees_the_slot() {
    let (beast, mut running) = in_the_middle();
    running.close_stdout();
    let output = running.finish();
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    beast.idle();
    answers(&beast);
}

#[test]
fn a_killed_beastctl_frees_the_slot() {
    let (beast, running) = in_the_middle();
    drop(running);
    beast.idle();
    answers(&beast);
}

#[test]
fn ctrl_c_also_works_in_the_queue_and_while_a_prompt_is_read() {
    let (beast, first) = busy();
    let waiting = beast.begin(&["ask", "What is a socket?"]);
    eventually(|| beast.status().n_waiting == 1);
    waiting.signal(Signal::INT);
    assert_eq!(waiting.finish().code, Some(130));
    eventually(|| beast.status().n_waiting == 0);
    drop((beast, first));

    let beast = Beast::with(&["prefill_chunk=16"]);
    let reading = Running::start(&mut beast.ctl(&["summarize"]), document(345));
    eventually(|| beast.status().n_running == 1);
    reading.signal(Signal::INT);
    let output = reading.finish();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(130), "", ""));
    beast.idle();
}

#[test]
fn a_time_limit_ends_the_answer_and_frees_the_slot() {
    let beast = Beast::with(&["n_slots=1"]);
    beast.ready();
    let mut running = beast.begin(&[&BABBLE[..], &["--timeout", "3s"]].concat());
    running.wait_for_output();
    // Stops the daemon, so that the time limit expires mid-answer on a machine of any speed.
    beast.signal(Signal::STOP);
    let output = running.finish();
    beast.signal(Signal::CONT);
    assert_eq!(output.code, Some(1), "{output}");
    assert_ne!(output.stdout, "", "what came stays");
    assert!(output.stderr.contains("did not finish within 3s"), "{output}");
    beast.idle();
    answers(&beast);
}
