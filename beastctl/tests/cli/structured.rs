//! Output for programs: JSON objects and lines.

use std::{io::Read, sync::mpsc};

use beast_protocol::{ErrorCode, Event, FinishReason, LoadStage, Part, Round, Span, WireError};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Beast, Peer, Ran, feed};

pub(crate) fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A daemon that sends these pieces and ends with this reason.
pub(crate) fn says(beast: &Beast, pieces: &'static [&'static str], reason: FinishReason) {
    beast.daemon(move |peer| {
        peer.generate();
        peer.started();
        peer.say(pieces);
        peer.done(reason);
    });
}

fn in_parts(peer: &mut Peer) {
    peer.send(&Event::Loading { stage: LoadStage::Weights, fraction: 0.5 });
    peer.send(&Event::Queued { position: 1 });
    for (round, n_parts, n_tokens) in [(1, 2, 5000), (2, 1, 80)] {
        peer.send(&Event::Round(Round { round, n_parts, n_tokens }));
        for index in 0..n_parts {
            let (n_done, n_tokens, n_overlap, is_cut) = (index + 1, 40, 0, round == 1 && index == 1);
            let (span, text) = (Span::default(), format!("answer {index}"));
            peer.send(&Event::Part(Part { round, index, n_done, n_parts, span, n_tokens, n_overlap, is_cut, text }));
        }
    }
}

#[test]
fn lines_tell_all_that_happens_and_end_with_the_object() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        in_parts(peer);
        peer.started();
        peer.send(&Event::Progress { n_done: 5, n_total: 9 });
        peer.say(&["\n all", " of\n", "it\n"]);
        peer.done(FinishReason::Stop);
    });
    let ran = beast.run(&["summarize", "--stream-json"], b"text");
    assert_eq!(ran.code, Some(0));
    let mut lines = lines(&ran);
    let done = lines.pop().unwrap();
    let said: String =
        lines.iter().filter(|line| line["type"] == "piece").filter_map(|line| line["text"].as_str()).collect();
    assert_eq!((said.as_str(), &done["text"], &done["type"]), ("all of\nit", &"all of\nit".into(), &"done".into()));
    let types: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    expect!["loading queued round part part round part started progress piece piece piece"].assert_eq(&types.join(" "));
    expect![[r#"{"n_rounds":2,"n_parts":2,"n_tokens":5000,"n_merges":1,"n_cut":1}"#]]
        .assert_eq(&done["parts"].to_string());
    expect![[r#"
        beastctl: warning: 1 of 3 parts was truncated at the token limit; something may be missing
    "#]]
    .assert_eq(&ran.stderr);
    for field in ["model", "finish_reason", "truncated", "usage", "timings", "notices", "client"] {
        assert!(!done[field].is_null(), "{field} in {done}");
    }
}

#[test]
fn each_line_is_out_before_the_next_event() {
    let beast = Beast::new();
    let (go_on, may_go_on) = mpsc::channel();
    beast.daemon(move |peer| {
        peer.generate();
        peer.send(&Event::Queued { position: 3 });
        may_go_on.recv().unwrap();
        peer.answer(&["x"]);
    });
    let mut child = feed(beast.command(&["summarize", "--stream-json"]), b"text");
    let expected = "{\"type\":\"queued\",\"position\":3}\n";
    let mut line = vec![0; expected.len()];
    child.stdout.as_mut().unwrap().read_exact(&mut line).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    go_on.send(()).unwrap();
    assert_eq!(lines(&Ran::of(child, beast.dir.path())).len(), 3);
}

/// The last line of a run that failed, and its stderr.
fn last_error(beast: &Beast, arguments: &[&str], input: &[u8]) -> String {
    let ran = beast.run(arguments, input);
    let mut lines = lines(&ran);
    let error = lines.pop().unwrap();
    assert_eq!(error["exit_code"], ran.code.unwrap());
    assert_eq!(ran.stderr, format!("beastctl: {}\n", error["message"].as_str().unwrap()));
    assert!(lines.iter().all(|line| line["type"] != "error" && line["type"] != "done"));
    format!("{error}\n")
}

#[test]
fn every_failure_is_one_last_line() {
    let arguments = &["summarize", "--stream-json", "--no-start"];
    let mut said = last_error(&Beast::new(), &["ask", "--stream-json", "--tmep", "1"], b"");
    said += &last_error(&Beast::new(), arguments, b"");
    said += &last_error(&Beast::new(), arguments, b"text");
    said += &last_error(&Beast::new(), &["run", "nothing", "--stream-json"], b"text");
    said += &last_error(&Beast::new(), &["ask", "--stream-json", "--schema", "none.json", "x"], b"");
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.send(&Event::Failed(WireError::new(ErrorCode::Overloaded, "the queue is full; try: again later")));
    });
    said += &last_error(&beast, arguments, b"text");
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["half"]);
    });
    said += &last_error(&beast, arguments, b"text");
    expect![[r#"
        {"type":"error","message":"unknown option '--tmep'; did you mean '--temp'?; try: beastctl ask --help","code":"usage","exit_code":2}
        {"type":"error","message":"the input is empty; try: cat FILE | beastctl summarize, or beastctl summarize FILE","code":"usage","exit_code":2}
        {"type":"error","message":"cannot reach beastd at DIR/beastd.sock (not running); try: beastd --daemonize, or leave out --no-start","code":"unreachable","exit_code":3}
        {"type":"error","message":"no prompt `nothing`; try: use one of ask, commit-msg, explain, fix, keywords, review, shell, summarize, title, tldr, translate, or beastctl prompts new nothing","code":"usage","exit_code":2}
        {"type":"error","message":"cannot read none.json: No such file or directory (os error 2); try: ls, to see what is there","code":"usage","exit_code":2}
        {"type":"error","message":"the queue is full; try: again later","code":"overloaded","exit_code":75}
        {"type":"error","message":"beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason","code":"failed","exit_code":1}
    "#]].assert_eq(&said);
}

#[test]
fn ctrl_c_is_told_to_programs_too() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.send(&Event::Queued { position: 3 });
        peer.sees_the_end()
    });
    let mut child = feed(beast.command(&["summarize", "--stream-json"]), b"text");
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 10]).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = Ran::of(child, beast.dir.path());
    expect![[r#"{"type":"error","message":"interrupted","code":"interrupted","exit_code":130}"#]]
        .assert_eq(ran.stdout.lines().last().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(130), ""));
}

/// A truncated answer is still an answer: with `--strict` it ends with `done`, which reports what the exit code does.
#[test]
fn a_cut_answer_under_strict_ends_with_done() {
    let beast = Beast::new();
    says(&beast, &["half"], FinishReason::MaxTokens);
    let ran = beast.run(&["summarize", "--stream-json", "--strict"], b"text");
    let last = lines(&ran).pop().unwrap();
    assert_eq!((ran.code, &last["type"], &last["truncated"]), (Some(5), &"done".into(), &true.into()));
}

#[test]
fn what_is_asked_for_in_json_does_not_come_when_it_failed() {
    let beast = Beast::new();
    let ran = beast.run(&["summarize", "--json", "--no-start"], b"text");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""));
}
