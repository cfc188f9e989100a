//! `map`: one prompt on each of many files.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, net::UnixListener},
    process::{Child, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use beast_protocol::{ErrorCode, Event, FinishReason, Generate, Request, Role, Welcome, WireError};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    harness::{Beast, Peer, Ran, feed},
    verbs::status,
};

/// A daemon for as many connections, one after the other; `script` gets the number of each.
fn daemon<T: Send + 'static>(
    beast: &Beast,
    n: usize,
    script: impl Fn(usize, &mut Peer) -> T + Send + 'static,
) -> JoinHandle<Vec<T>> {
    // A second daemon of a test takes the place of the first.
    let _ = fs::remove_file(beast.socket());
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let welcome = Welcome::current("0.0.1", 4711);
    thread::spawn(move || (0..n).map(|nth| script(nth, &mut Peer::accept(&listener, &welcome))).collect())
}

/// Answers with the text of the last message.
fn echo(_: usize, peer: &mut Peer) -> Generate {
    let request = peer.generate();
    peer.answer(&[&request.messages.last().unwrap().content]);
    request
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn each_file_is_a_request_and_a_line_and_failures_are_apart() {
    let beast = Beast::new();
    beast.write("a.txt", "one");
    beast.write("b.txt", "");
    beast.write("c.txt", "three");
    let daemon = daemon(&beast, 2, echo);
    let ran = beast.run(&["map", "keywords", "-j", "1", "a.txt", "b.txt", "missing", "c.txt", "a.txt"], b"");
    let hash = lines(&ran.stdout)[0]["hash"].as_str().unwrap().to_owned();
    assert_eq!(hash.len(), 32);
    let first = ran.stdout.lines().next().unwrap().replace(&hash, "HASH");
    expect![[r#"{"file":"a.txt","text":"one","model":"cub","finish_reason":"stop","truncated":false,"usage":{"n_prompt":9,"n_cached":4,"n_generated":3,"n_drafted":2,"n_accepted":1},"hash":"HASH"}"#]]
    .assert_eq(&first);
    assert_eq!(lines(&ran.stdout)[1]["text"], "three");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(1), 2));
    expect![[r#"
        beastctl: b.txt: the input is empty; try: find . -type f -size +0, which leaves out empty files
        beastctl: missing: cannot read missing: No such file or directory (os error 2); try: ls, to see what is there
        beastctl: 2 of 4 files failed; try: fix what the errors name, then name these files
    "#]]
    .assert_eq(&ran.stderr);
    let sent = daemon.join().unwrap();
    assert_eq!(sent[0].messages[0].role, Role::System);
}

#[test]
fn failures_go_to_a_file_of_their_own() {
    let beast = Beast::new();
    beast.write("a.txt", "one");
    beast.write("b.txt", "two");
    let daemon = daemon(&beast, 2, |nth, peer| {
        peer.generate();
        match nth {
            0 => peer.send(&Event::Failed(WireError::new(ErrorCode::TooLong, "too long; try: cut it"))),
            _ => peer.answer(&["It is."]),
        }
    });
    let ran = beast.run(&["map", "What is it?", "-j1", "--failed", "failed", "a.txt", "b.txt"], b"");
    daemon.join().unwrap();
    assert_eq!(lines(&ran.stdout)[0]["file"], "b.txt");
    expect![[r#"
        beastctl: 1 of 2 files failed; try: fix what the errors name, then name these files
    "#]]
    .assert_eq(&ran.stderr);
    expect![[r#"
        {"file":"a.txt","error":"too long; try: cut it","code":"too_long","exit_code":4}
    "#]]
    .assert_eq(&fs::read_to_string(beast.path("failed")).unwrap());
}

#[test]
fn as_many_at_once_as_the_daemon_has_slots() {
    let beast = Beast::new();
    let names: Vec<String> = (0..6).map(|n| format!("{n}.txt")).collect();
    names.iter().for_each(|name| drop(beast.write(name, name)));
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        let accept = || Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
        let mut peer = accept();
        assert_eq!(peer.request(), Request::Status);
        peer.send(&Event::Status(Box::new(beast_protocol::Status { n_slots: 3, ..status() })));
        // Three are open before the first is answered; more would not come until then.
        for _ in 0..2 {
            let mut peers = [accept(), accept(), accept()];
            peers.iter_mut().for_each(|peer| drop(echo(0, peer)));
        }
    });
    let arguments: Vec<&str> = ["map", "tldr"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let ran = beast.run(&arguments, b"");
    daemon.join().unwrap();
    let mut files: Vec<_> = lines(&ran.stdout).iter().map(|line| line["file"].as_str().unwrap().to_owned()).collect();
    files.sort();
    assert_eq!((ran.code, files), (Some(0), names), "{}", ran.stderr);
}

#[test]
fn what_is_answered_is_skipped_until_it_changes() {
    let beast = Beast::new();
    beast.write("a.txt", "one");
    beast.write("b.txt", "two");
    let map = |n: usize, more: &[&str]| {
        let daemon = daemon(&beast, n, echo);
        let ran = beast.run(&[&["map", "tldr", "-j1", "--out", "out", "a.txt", "b.txt"], more].concat(), b"");
        daemon.join().unwrap();
        assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
        fs::read_to_string(beast.path("out")).unwrap()
    };
    let first = map(2, &[]);
    assert_eq!(first.lines().count(), 2);
    assert_eq!(map(0, &[]), first);
    // Half a line, as a kill leaves it, is replaced by the whole one.
    fs::write(beast.path("out"), &first[..first.len() - 9]).unwrap();
    assert_eq!(map(1, &[]), first);
    beast.write("b.txt", "two!");
    let second = map(1, &[]);
    assert_eq!(lines(&second)[2]["text"], "two!");
    assert_eq!(map(2, &["--max-tokens", "9"]).lines().count(), 5);
    assert_eq!(map(0, &[]).lines().count(), 5);
}

#[test]
fn names_come_from_a_list_and_need_not_be_utf_8() {
    let beast = Beast::new();
    let odd = OsStr::from_bytes(b"\xff.txt");
    fs::write(beast.path("x").with_file_name(odd), "odd").unwrap();
    beast.write("a b.txt", "plain");
    let run = |arguments: &[&str], stdin: &[u8]| {
        let daemon = daemon(&beast, 2, echo);
        let ran = beast.run(&[&["map", "tldr", "-j1"], arguments].concat(), stdin);
        daemon.join().unwrap();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        lines(&ran.stdout)
    };
    let with_nul = run(&["-0", "--files-from", "-"], b"\xff.txt\0a b.txt\0");
    assert_eq!((&with_nul[0]["file"], &with_nul[0]["file_base64"]), (&"\u{fffd}.txt".into(), &"/y50eHQ=".into()));
    assert_eq!((&with_nul[1]["file"], with_nul[1].get("file_base64")), (&"a b.txt".into(), None));
    beast.write("list", b"\xff.txt\na b.txt\n");
    assert_eq!(run(&["--files-from", "list"], b""), with_nul);
}

#[test]
fn a_busy_daemon_is_asked_again() {
    let beast = Beast::new();
    beast.write("a.txt", "one");
    let daemon = daemon(&beast, 3, |nth, peer| {
        let request = peer.generate();
        match nth {
            0 => peer.send(&Event::Failed(WireError::new(ErrorCode::Overloaded, "the queue is full; try: later"))),
            1 => peer.send(&Event::Failed(WireError::new(ErrorCode::ShuttingDown, "shutting down; try: later"))),
            _ => peer.answer(&["It is."]),
        }
        request.resume
    });
    let ran = beast.run(&["map", "tldr", "-j1", "a.txt"], b"");
    assert_eq!(daemon.join().unwrap(), [None, None, None]);
    assert_eq!((ran.code, lines(&ran.stdout)[0]["text"].as_str()), (Some(0), Some("It is.")), "{}", ran.stderr);
}

#[test]
fn what_every_file_would_meet_ends_the_work_at_once() {
    let beast = Beast::new();
    beast.write("a.txt", "one");
    beast.write("b.txt", "two");
    let daemon = daemon(&beast, 1, |_, peer| {
        peer.generate();
        peer.send(&Event::Failed(WireError::new(ErrorCode::ModelUnavailable, "no model; try: beastctl models")));
    });
    let ran = beast.run(&["map", "tldr", "-j1", "a.txt", "b.txt"], b"");
    daemon.join().unwrap();
    assert_eq!(ran.report(), "exit 1\nout: \"\"\nerr: beastctl: no model; try: beastctl models\n");
    let ran = beast.run(&["map", "tldr", "--no-start", "a.txt", "b.txt"], b"");
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(3), 1), "{}", ran.stderr);
}

/// A client that maps three files, of which one is answered and two wait; `end` ends it.
fn ended(options: &[&str], end: impl FnOnce(&mut Child)) -> (Ran, Beast) {
    let beast = Beast::new();
    let files = ["a.txt", "b.txt", "c.txt"];
    files.iter().for_each(|name| drop(beast.write(name, name)));
    let (tell, told) = mpsc::channel();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        let accept = || Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
        let mut waiting = accept();
        waiting.generate();
        echo(0, &mut accept());
        // The thread of the answer has come for its next file, so the answer is told.
        let mut next = accept();
        next.generate();
        tell.send(()).unwrap();
        waiting.sees_the_end() && next.sees_the_end()
    });
    let mut command = beast.command(&[&["map", "tldr", "-j2"], options, &files].concat());
    command.stdout(Stdio::piped());
    let mut child = feed(command, b"");
    told.recv().unwrap();
    end(&mut child);
    let ran = Ran::of(child, beast.dir.path());
    assert!(daemon.join().unwrap(), "all requests are cancelled");
    (ran, beast)
}

#[test]
fn ctrl_c_keeps_what_is_done_and_says_how_to_go_on() {
    let (ran, beast) = ended(&["--out", "out"], |child| interrupt(child));
    expect![[r#"
        exit 130
        out: ""
        err: beastctl: warning: interrupted after 1 of 3 files; try: repeat the command, which resumes
    "#]]
    .assert_eq(&ran.report());
    assert_eq!(fs::read_to_string(beast.path("out")).unwrap().lines().count(), 1);
    let (ran, _) = ended(&[], |child| interrupt(child));
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(130), 1));
    assert!(ran.stderr.contains("pass --out FILE next time"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_is_a_quiet_success() {
    let (ran, _) = ended(&[], |child| drop(child.stdout.take()));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn mistakes_are_told_before_any_request() {
    let beast = Beast::new();
    for name in ["a.txt", "notes.md"] {
        beast.write(name, "one");
    }
    fs::create_dir(beast.path("folder")).unwrap();
    let told = |arguments: &[&str]| {
        let ran = beast.run(&[&["map"], arguments].concat(), b"");
        format!("{} {}", ran.code.unwrap(), ran.stderr)
    };
    let told: String = [
        told(&["tldr"]),
        told(&["tldr", "-0", "a.txt"]),
        told(&["tldr", "-j0", "a.txt"]),
        told(&["a.txt", "notes.md"]),
        told(&["unheard", "a.txt"]),
        told(&["tldr", "-"]),
        told(&["tldr", "a.txt", "--out", "notes.md"]),
        told(&["tldr", "a.txt", "--out", "folder"]),
        told(&["tldr", "a.txt", "--out", "no/folder"]),
        told(&["tldr", "a.txt", "--out", "/dev/null"]),
        told(&["tldr", "a.txt", "--out", "o", "--failed", "o"]),
        told(&["tldr", "--files-from", "/dev/null"]),
        told(&["tldr", "--schema", "-", "--files-from", "-"]),
    ]
    .concat();
    expect![[r#"
        2 beastctl: missing <FILE>...; try: beastctl map --help
        2 beastctl: missing --files-from <LIST>; try: beastctl map --help
        2 beastctl: invalid value '0' for '--jobs <N>': 0 is not a number from 1 to 256; try: beastctl map --help
        2 beastctl: a.txt is a file, not a prompt; try: beastctl map summarize a.txt
        2 beastctl: no prompt `unheard`; try: use one of ask, commit-msg, explain, fix, keywords, review, shell, summarize, title, tldr, translate, or beastctl prompts new unheard
        2 beastctl: `-` is not a file of its own; try: beastctl run for stdin, or --files-from - for names on stdin
        2 beastctl: notes.md:1: not a line of beastctl map; try: --out with another file, or remove that line
        1 beastctl: cannot write folder: Is a directory (os error 21); try: name a file in it, like folder/NAME
        1 beastctl: cannot write no/folder: No such file or directory (os error 2); try: mkdir -p no
        1 beastctl: cannot write /dev/null: it is a device, not a regular file; try: use another path: /dev/null is neither a file nor a folder
        2 beastctl: --out and --failed are the same file; try: give each a file of its own
        2 beastctl: /dev/null names no files; try: find . -type f > LIST, for a list
        2 beastctl: stdin is the input, so --schema cannot read `-`; try: pass --schema a file name
    "#]].assert_eq(&told);
    assert_eq!(fs::read_to_string(beast.path("notes.md")).unwrap(), "one");
}

/// The answer of one file is cut; the others count.
#[test]
fn a_cut_answer_says_so_and_fails_only_under_strict() {
    let beast = Beast::new();
    beast.write("a.txt", "one");
    for (options, code) in [(&[][..], 0), (&["--strict"], 1)] {
        let daemon = daemon(&beast, 1, |_, peer| {
            peer.generate();
            peer.started();
            peer.say(&["It"]);
            peer.done(FinishReason::MaxTokens);
        });
        let ran = beast.run(&[&["map", "tldr", "-j1", "a.txt"], options].concat(), b"");
        daemon.join().unwrap();
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        match code {
            0 => assert_eq!(lines(&ran.stdout)[0]["truncated"], true),
            _ => assert!(ran.stdout.is_empty() && ran.stderr.contains("truncated at 3 tokens"), "{}", ran.stderr),
        }
    }
}
