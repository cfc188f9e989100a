//! `--count-tokens`: a number instead of an answer.

use beast_protocol::{Counted, ErrorCode, Event, Generate, Notice, NoticeKind, Request, WireError};
use expect_test::expect;

use crate::harness::{Beast, Peer, Ran};

fn asked(peer: &mut Peer) -> Generate {
    match peer.request() {
        Request::CountTokens(generate) => generate,
        other => panic!("not a count: {other:?}"),
    }
}

fn count(arguments: &[&str], input: &[u8], n_prompt: u32) -> (Ran, Generate) {
    let beast = Beast::new();
    let daemon = beast.daemon(move |peer| {
        let request = asked(peer);
        let notices = vec![Notice { kind: NoticeKind::Warning, text: "a warning".into() }];
        peer.send(&Event::Queued { position: 1 });
        peer.send(&Event::Counted(Counted { model: "cub".into(), n_prompt, n_ctx: 4096, notices }));
        request
    });
    (beast.run(arguments, input), daemon.join().unwrap())
}

#[test]
fn every_generating_verb_counts_what_it_would_send() {
    for arguments in [
        &["summarize", "--count-tokens"][..],
        &["ask", "--count-tokens", "why?"],
        &["commit-msg", "--count-tokens", "-q"],
        &["run", "explain", "--count-tokens", "--no-stream"],
        &["translate", "--count-tokens", "-p", "to=French"],
    ] {
        let (ran, request) = count(arguments, b"diff --git a/a b/a\n", 47);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "47\n"), "{arguments:?}: {}", ran.report());
        assert!(request.messages.last().unwrap().content.contains("diff --git"), "{request:?}");
    }
    let (ran, request) = count(&["ask", "--count-tokens", "--system", "Be brief.", "hi"], b"", 47);
    assert_eq!(request.messages[0].content, "Be brief.");
    expect![[r#"
        exit 0
        out: "47\n"
        err: beastctl: warning: a warning
    "#]]
    .assert_eq(&ran.report());
}

#[test]
fn a_prompt_that_does_not_fit_is_counted_too() {
    let (ran, _) = count(&["ask", "--count-tokens", "hi"], b"", 4096);
    expect![[r#"
        exit 0
        out: "4096\n"
        err: beastctl: warning: a warning
        beastctl: warning: the prompt does not fit: the context holds 4096 tokens, prompt and answer together
    "#]]
    .assert_eq(&ran.report());
    let (ran, _) = count(&["ask", "--count-tokens", "--json", "-q", "hi"], b"", 5000);
    expect![[r#"
        exit 0
        out: "{\"n_prompt\":5000,\"n_ctx\":4096,\"fits\":false,\"model\":\"cub\"}\n"
        err: "#]]
    .assert_eq(&ran.report());
}

#[test]
fn failures_are_those_of_an_answer() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        asked(peer);
        let error = WireError::new(ErrorCode::Invalid, "invalid GBNF grammar: line 1; try: fix that line");
        peer.send(&Event::Failed(error));
    });
    let mut said = beast.run(&["ask", "--count-tokens", "--grammar", "root ::= x", "hi"], b"").report();
    said += &Beast::new().run(&["ask", "--count-tokens", "--no-start", "hi"], b"").report();
    said += &Beast::new().run(&["ask", "--count-tokens"], b"").report();
    said += &Beast::new().run(&["chat", "--count-tokens"], b"").report();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: invalid GBNF grammar: line 1; try: fix that line
        exit 3
        out: ""
        err: beastctl: cannot reach beastd at DIR/beastd.sock (not running); try: beastd --daemonize, or leave out --no-start
        exit 2
        out: ""
        err: beastctl: the input is empty; try: beastctl ask 'QUESTION'
        exit 2
        out: ""
        err: beastctl: chat does not support --count-tokens; try: beastctl ask --count-tokens 'QUESTION'
    "#]].assert_eq(&said);
}

#[test]
fn nothing_is_saved_and_a_daemon_that_ends_is_asked_again() {
    let beast = Beast::new();
    let listener = std::os::unix::net::UnixListener::bind(beast.socket()).unwrap();
    let daemon = std::thread::spawn(move || {
        let welcome = beast_protocol::Welcome::current("0.0.1", 4711);
        asked(&mut Peer::accept(&listener, &welcome));
        let mut peer = Peer::accept(&listener, &welcome);
        asked(&mut peer);
        peer.send(&Event::Counted(Counted { model: "cub".into(), n_prompt: 3, n_ctx: 9, notices: Vec::new() }));
    });
    let ran = beast.run(&["ask", "--count-tokens", "hi"], b"");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "3\n"), "{}", ran.report());
    daemon.join().unwrap();
    assert_eq!(beast.run(&["history", "--json"], b"").stdout, "[]\n");
}
