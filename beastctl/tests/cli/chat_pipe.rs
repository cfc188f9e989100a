//! A chat whose questions come from a pipe.

use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    thread,
};

use beast_protocol::{Constraint, Welcome};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    conversations::{daemon, turns},
    harness::{Beast, Peer, Ran, spawn},
    structured::lines,
};

#[test]
fn a_pipe_is_answered_line_by_line() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["1", "2\n", "3"]);
    let input = b"hi\n\nand?\r\n\"\"\"\none\ntwo\n\"\"\"";
    assert_eq!(beast.run(&["chat"], input).report(), "exit 0\nout: \"1\\n\\n2\\n\\n3\\n\"\nerr: ");
    let requests = daemon.join().unwrap();
    assert_eq!(turns(&requests[2]), ["hi", "1", "and?", "2", "one\ntwo"]);
    assert_eq!(beast.n_conversations(), 1, "one conversation");
    assert_eq!(beast.ok(&["history", "show"]), "> hi\n\n1\n\n> and?\n\n2\n\n> one\n> two\n\n3\n");
    assert!(!beast.path(".local/share/beast/chat-history").exists(), "nobody typed");
}

#[test]
fn a_pipe_goes_on_after_a_failure_and_ends_with_its_code() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["1", "TOO LONG", "TOO LONG", "LOST", "4"]);
    expect![[r#"
        exit 4
        out: "1\n\n4\n"
        err: beastctl: the input is 5000 tokens and the context holds 4096
        beastctl: beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason
        beastctl: unknown command /nothing; try: /help
    "#]]
    .assert_eq(&beast.run(&["chat"], b"a\nb\nc\nd\n/nothing\n").report());
    assert_eq!(turns(&daemon.join().unwrap()[4]), ["a", "1", "d"]);
}

#[test]
fn commands_of_a_chat() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["1", "2", "3", "4", "5"]);
    beast.write("notes.txt", "my notes\n");
    let input = b"a\n/retry\n/save talk\n/file notes.txt\nb\n/system Rhyme.\nc\n/clear\nd\n/quit\ne\n";
    let ran = beast.run(&["chat", "-q"], input);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let requests = daemon.join().unwrap();
    assert_eq!(turns(&requests[1]), ["a"], "the first answer is not there");
    assert_eq!(turns(&requests[2]), ["a", "2", "my notes\n\nb"]);
    assert_eq!(turns(&requests[3]), ["c"]);
    assert_eq!((requests[3].messages[0].content.as_str(), turns(&requests[4])), ("Rhyme.", vec!["d"]));
    assert_eq!(beast.ok(&["history", "show", "talk"]), "> a\n\n2\n\n> my notes\n>\n> b\n\n3\n");
    assert_eq!(beast.n_conversations(), 3);
}

#[test]
fn mistakes_in_commands_change_nothing() {
    let beast = Beast::new();
    daemon(&beast, &["1", "2"]);
    beast.ok(&["ask", "x", "--session", "talk"]);
    let input = b"/retry\n/save talk\n/save ../x\n/file nowhere\n/save\na\n/save talk\n";
    expect![[r#"
        exit 2
        out: "2\n"
        err: beastctl: no question yet; try: /help
        beastctl: a conversation `talk` already exists; try: use another name
        beastctl: invalid conversation name `../x`; try: use letters, digits, `-`, `_` and `.`, at most 64 bytes, not starting with `.` or `-`
        beastctl: cannot read nowhere: No such file or directory (os error 2); try: ls, to see what is there
        beastctl: /save needs an argument; try: /help
        beastctl: a conversation `talk` already exists; try: use another name
    "#]]
    .assert_eq(&beast.run(&["chat"], input).report());
    assert_eq!(beast.ok(&["history", "show", "talk"]), "> x\n\n1\n");
}

#[test]
fn a_chat_that_is_not_kept_still_remembers() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &["1", "2"]);
    let ran = beast.run(&["chat", "--no-log"], b"a\nb\n/save talk\n");
    assert_eq!(ran.stderr, "beastctl: this conversation is not saved; try: /help\n");
    assert_eq!(turns(&daemon.join().unwrap()[1]), ["a", "1", "b"]);
    assert_eq!(beast.n_conversations(), 0);
}

#[test]
fn a_chat_goes_on_with_a_session_and_ask_with_a_chat() {
    let beast = Beast::new();
    beast.write("config/beast/prompts/odd.md", "Be odd.");
    let daemon = daemon(&beast, &["1", "LOST", "2", "2", "3", "3", "4"]);
    beast.ok(&["ask", "a", "-s", "Rhyme.", "--session", "talk"]);
    beast.run(&["chat", "odd", "--session", "talk"], b"lost\nb\n/retry\nb\n/clear\nb\n");
    beast.ok(&["ask", "c", "-c"]);
    let requests = daemon.join().unwrap();
    assert_eq!(
        turns(&requests[4]),
        ["a", "1", "Be odd.\n\nb", "2", "b"],
        "another prompt is said once, and is not lost"
    );
    assert_eq!(turns(&requests[3]), turns(&requests[2]), "and said again when asked again");
    assert!(requests[..5].iter().all(|request| request.messages[0].content == "Rhyme."));
    assert_eq!(requests[5].messages[0].content, "Be odd.", "new conversation with it");
    assert_eq!(turns(&requests[6]), ["b", "3", "c"]);
}

#[test]
fn a_chat_without_a_daemon_ends_at_once() {
    let beast = Beast::alone();
    let ran = beast.run(&["chat", "--no-start"], b"a\nb\n");
    assert_eq!(ran.code, Some(3));
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn the_time_limit_is_that_of_each_answer() {
    let beast = Beast::new();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        for is_slow in [true, false] {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            peer.generate();
            if is_slow {
                assert!(peer.sees_the_end());
            } else {
                peer.answer(&["in time"]);
            }
        }
    });
    expect![[r#"
        exit 1
        out: "in time\n"
        err: beastctl: no answer within 2s; try: raise --timeout, or check beastctl status
    "#]]
    .assert_eq(&beast.run(&["chat", "--timeout", "2s"], b"a\nb\n").report());
    daemon.join().unwrap();
}

#[test]
fn ctrl_c_ends_a_chat_that_waits_for_its_pipe() {
    let beast = Beast::new();
    daemon(&beast, &["1"]);
    let mut child = spawn(&mut beast.command(&["chat"]));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a\n").unwrap();
    let mut answer = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"1\n");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(Ran::of(child, beast.dir.path()).report(), "exit 130\nout: \"\"\nerr: ");
    assert_eq!(beast.n_conversations(), 1);
    drop(stdin);
}

#[test]
fn a_pipe_that_is_no_text_is_told() {
    let beast = Beast::new();
    daemon(&beast, &["1"]);
    expect![[r#"
        exit 2
        out: "1\n"
        err: beastctl: warning: a line of stdin is not UTF-8; invalid bytes are replaced
        beastctl: a line of stdin is binary (a NUL byte at offset 1); try: convert it to text first, for example with pdftotext or iconv -t UTF-8
    "#]]
    .assert_eq(&beast.run(&["chat"], b"a\xff\nb\0\n").report());
}

#[test]
fn each_answer_is_bound_to_a_form_and_half_of_it_is_not_shown() {
    let beast = Beast::new();
    let daemon = daemon(&beast, &[r#"{"a":1}"#, r#"{"a":"#]);
    beast.write("a.json", "{}");
    let ran = beast.run(&["chat", "--schema", "a.json"], b"a\nb\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), "{\"a\":1}\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the answer is not valid JSON"), "{}", ran.stderr);
    let schema = Some(Constraint::Schema("{}".into()));
    assert!(daemon.join().unwrap().iter().all(|request| request.constraint == schema));
    assert_eq!(beast.run(&["chat", "--schema", "-"], b"{}").code, Some(2), "stdin is the chat");
}

#[test]
fn every_failure_is_a_line_for_whoever_reads_lines() {
    let beast = Beast::new();
    daemon(&beast, &["LOST", "1"]);
    let ran = beast.run(&["chat", "--stream-json"], b"a\n/nothing\nb\n");
    let types: Vec<_> = lines(&ran).iter().map(|line| line["type"].clone()).collect();
    assert_eq!(types, ["error", "error", "started", "piece", "done"]);
    let beast = Beast::new();
    assert_eq!(lines(&beast.run(&["chat", "nothing", "--stream-json"], b""))[0]["type"], "error");
}

#[test]
fn a_question_that_was_kept_is_asked_again_as_it_was() {
    let beast = Beast::new();
    beast.write("config/beast/prompts/mine.md", "---\nsystem: Be brief.\n---\nLook at this.\n");
    let daemon = daemon(&beast, &["1", "2", "LOST", "3"]);
    beast.run(&["chat", "mine", "--session", "talk"], b"a\n");
    beast.run(&["chat", "mine", "--session", "talk"], b"/retry\n/retry\n/retry\n");
    for request in daemon.join().unwrap() {
        assert_eq!(turns(&request), ["Look at this.\n\na"]);
    }
}
