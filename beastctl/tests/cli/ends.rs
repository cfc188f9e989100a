//! Runs that end before their answer does.

use std::{
    fs::File,
    io::Read,
    os::unix::net::UnixListener,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
};

use beast_protocol::{ErrorCode, Event, FinishReason, LoadStage, Part, Resume, Round, Span, Welcome, WireError};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Beast, Peer, Ran, accept, feed};

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn a_closed_pipe_is_noticed_while_nothing_is_written() {
    let beast = Beast::new();
    let (tell, told) = mpsc::channel();
    let daemon = beast.daemon(move |peer| {
        peer.generate();
        peer.send(&Event::Queued { position: 7 });
        tell.send(()).unwrap();
        peer.sees_the_end()
    });
    let mut child = feed(beast.command(&["summarize"]), b"text");
    told.recv().unwrap();
    drop(child.stdout.take());
    expect![[r#"
        exit 0
        out: ""
        err: "#]]
    .assert_eq(&Ran::of(child, beast.dir.path()).report());
    assert!(daemon.join().unwrap(), "the daemon hears of it");
}

#[test]
fn a_pipe_closed_in_the_middle_is_a_quiet_success() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["first"]);
        peer.sees_the_end()
    });
    let mut child = feed(beast.command(&["summarize"]), b"text");
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 5]).unwrap();
    drop(stdout);
    assert_eq!(Ran::of(child, beast.dir.path()).report(), "exit 0\nout: \"\"\nerr: ");
    assert!(daemon.join().unwrap());
}

#[test]
fn ctrl_c_ends_with_130_and_hangs_up() {
    let beast = Beast::new();
    let (tell, told) = mpsc::channel();
    let daemon = beast.daemon(move |peer| {
        peer.generate();
        peer.started();
        peer.say(&["half"]);
        tell.send(()).unwrap();
        peer.sees_the_end()
    });
    let mut child = feed(beast.command(&["summarize"]), b"text");
    told.recv().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    interrupt(&child);
    assert_eq!(Ran::of(child, beast.dir.path()).report(), "exit 130\nout: \"\"\nerr: ");
    assert!(daemon.join().unwrap());
}

#[test]
fn the_time_limit_counts_in_the_queue_and_in_the_answer() {
    for (is_begun, expected) in [
        (
            false,
            expect![[r#"
                exit 1
                out: ""
                err: beastctl: no answer within 200ms; try: raise --timeout, or check beastctl status
            "#]],
        ),
        (
            true,
            expect![[r#"
                exit 1
                out: "half\n"
                err: beastctl: the answer did not finish within 200ms; try: raise --timeout, or lower --max-tokens
            "#]],
        ),
    ] {
        let beast = Beast::new();
        let daemon = beast.daemon(move |peer| {
            peer.generate();
            if is_begun {
                peer.started();
                peer.say(&["half"]);
            }
            peer.sees_the_end()
        });
        expected.assert_eq(&beast.run(&["summarize", "--timeout", "200ms"], b"text").report());
        assert!(daemon.join().unwrap());
    }
}

/// The daemon that replaces a killed one gets the text received so far, and continues it.
#[test]
fn an_answer_goes_on_with_the_next_daemon() {
    for option in ["--stats", "--no-stream"] {
        let beast = Beast::alone();
        let listener = UnixListener::bind(beast.socket()).unwrap();
        let daemon = thread::spawn(move || {
            let welcome = Welcome::current("0.0.1", 4711);
            let mut first = Peer::accept(&listener, &welcome);
            assert_eq!(first.generate().resume, None);
            first.started();
            first.say(&[" half", " a"]);
            drop(first);
            // Two daemons that generate nothing are no reason to give up.
            drop(Peer::accept(&listener, &welcome));
            let mut last = Peer::accept(&listener, &welcome);
            let resume = last.generate().resume;
            last.answer(&[" sentence."]);
            resume
        });
        let ran = beast.run(&["summarize", option], b"text");
        assert_eq!((ran.code, &*ran.stdout), (Some(0), "half a sentence.\n"), "{}", ran.report());
        assert_eq!(daemon.join().unwrap(), Some(Resume { text: " half a".into(), tokens: vec![1, 1] }));
    }
}

/// How many daemons may end over the same next token.
const N_ENDS: u32 = 30;

#[test]
fn after_thirty_that_die_over_the_same_word_it_gives_up() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        for nth in 0..N_ENDS {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            peer.generate();
            peer.send(&Event::Progress { n_done: 1, n_total: 2 });
            if nth == 0 {
                peer.say(&["half"]);
            }
        }
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let ran = beast.run(&["summarize"], b"text");
    assert_eq!((ran.code, &*ran.stdout), (Some(1), "half\n"), "{}", ran.report());
    assert!(ran.stderr.starts_with("beastctl: beastd ended before the answer did; try: "), "{}", ran.report());
    assert!(daemon.join().unwrap().accept().is_err(), "nobody called once more");
}

/// A daemon that the kernel kills because memory ran out leaves no reason.
#[test]
fn after_five_that_end_while_they_load_it_gives_up() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        for _ in 0..5 {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            peer.generate();
            peer.send(&Event::Loading { stage: LoadStage::Weights, fraction: 0.5 });
        }
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let ran = beast.run(&["summarize"], b"text");
    assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{}", ran.report());
    assert!(ran.stderr.starts_with("beastctl: beastd ended before the answer did; try: "), "{}", ran.report());
    assert!(daemon.join().unwrap().accept().is_err(), "nobody called once more");
}

/// Queueing is a sign of life but no progress: however many daemons end in that state, the client retries.
#[test]
fn daemons_that_end_before_they_begin_are_no_reason_to_give_up() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        for _ in 0..2 * N_ENDS {
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            peer.generate();
            peer.send(&Event::Queued { position: 1 });
        }
        let mut last = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
        last.generate();
        last.answer(&["whole"]);
    });
    let ran = beast.run(&["summarize"], b"text");
    assert_eq!((ran.code, &*ran.stdout), (Some(0), "whole\n"), "{}", ran.report());
    daemon.join().unwrap();
}

/// Each daemon starts over with the parts, so parts done by an earlier one are not progress.
#[test]
fn a_part_that_ends_every_daemon_is_given_up() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        // The second daemon gets further than the first, so the count starts again.
        for nth in 0..=N_ENDS {
            let n_last = if nth == 0 { 1 } else { 2 };
            let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
            assert_eq!(peer.generate().resume, None);
            peer.send(&Event::Round(Round { round: 1, n_parts: 3, n_tokens: 90 }));
            for n_done in 1..=n_last {
                let (round, index, n_parts, n_tokens, n_overlap) = (1, n_done - 1, 3, 30, 0);
                let (span, is_cut, text) = (Span::default(), false, String::new());
                peer.send(&Event::Part(Part {
                    round,
                    index,
                    n_done,
                    n_parts,
                    span,
                    n_tokens,
                    n_overlap,
                    is_cut,
                    text,
                }));
            }
        }
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let ran = beast.run(&["summarize"], b"text");
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason
    "#]]
    .assert_eq(&ran.report());
    assert!(daemon.join().unwrap().accept().is_err(), "nobody called once more");
}

/// After a shutdown's time limit the answer continues with the next daemon, as after a kill, but only once the first
/// has exited.
#[test]
fn an_answer_that_has_begun_outlives_the_end_that_somebody_wants() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let end = |peer: &mut Peer| {
        peer.send(&Event::Failed(WireError::new(ErrorCode::ShuttingDown, "beastd is shutting down; try: again")));
    };
    let daemon = thread::spawn(move || {
        let welcome = Welcome::current("0.0.1", 4711);
        let mut first = Peer::accept(&listener, &welcome);
        first.generate();
        first.started();
        first.say(&[" half", " a"]);
        end(&mut first);
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "its client waits for the end");
        listener.set_nonblocking(false).unwrap();
        drop(first);
        let mut last = Peer::accept(&listener, &welcome);
        let resume = last.generate().resume;
        last.answer(&[" sentence."]);
        resume
    });
    let ran = beast.run(&["summarize"], b"text");
    assert_eq!(ran.report(), "exit 0\nout: \"half a sentence.\\n\"\nerr: ");
    assert_eq!(daemon.join().unwrap(), Some(Resume { text: " half a".into(), tokens: vec![1, 1] }));

    // Without another daemon, the shutdown is the error.
    let beast = Beast::alone();
    beast.daemon(move |peer| {
        peer.generate();
        peer.say(&["half"]);
        end(peer);
    });
    expect![[r#"
        exit 75
        out: "half\n"
        err: beastctl: beastd is shutting down; try: again
    "#]]
    .assert_eq(&beast.run(&["summarize"], b"text").report());
}

#[test]
fn why_there_is_no_next_daemon_is_told() {
    let beast = Beast::alone();
    beast.beastd("echo 'beastd: config.toml:3: unknown key; try: beastd --help' >&2; exit 2");
    beast.daemon(|peer| {
        peer.generate();
        peer.say(&["half"]);
    });
    expect![[r#"
        exit 3
        out: "half\n"
        err: beastctl: cannot start DIR/beastd: beastd: config.toml:3: unknown key; try: beastd --help
    "#]]
    .assert_eq(&beast.run(&["summarize"], b"text").report());
}

/// A daemon that exits closes the connections that it did not accept.
#[test]
fn whoever_calls_in_the_last_moment_finds_nobody() {
    for (verb, expected) in [
        ("stop", expect!["exit 0\nout: \"\"\nerr: "]),
        ("unload", expect!["exit 0\nout: \"\"\nerr: "]),
        (
            "status",
            expect![[r#"
                exit 3
                out: ""
                err: beastctl: cannot reach beastd at DIR/beastd.sock (not running, but its socket exists); try: beastd --daemonize
            "#]],
        ),
    ] {
        let beast = Beast::alone();
        let listener = UnixListener::bind(beast.socket()).unwrap();
        let daemon = thread::spawn(move || drop(accept(&listener)));
        expected.assert_eq(&beast.run(&[verb], b"").report());
        daemon.join().unwrap();
    }
    // A daemon that completes the handshake and then closes the connection.
    let beast = Beast::alone();
    let daemon = beast.daemon(|peer| drop(peer.request()));
    assert_eq!(beast.run(&["status"], b"").code, Some(3));
    daemon.join().unwrap();
}

#[test]
fn a_daemon_that_dies_leaves_what_it_said() {
    let beast = Beast::alone();
    beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["half", " a"]);
    });
    expect![[r#"
        exit 1
        out: "half a\n"
        err: beastctl: beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason
    "#]]
    .assert_eq(&beast.run(&["summarize"], b"text").report());
}

/// With these options, half of an answer could be mistaken for a whole one.
#[test]
fn what_was_asked_for_in_one_piece_does_not_come_in_half() {
    for option in ["--json", "--no-stream"] {
        let beast = Beast::alone();
        beast.daemon(|peer| {
            peer.generate();
            peer.started();
            peer.say(&["half"]);
        });
        let ran = beast.run(&["summarize", option], b"text");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{option}");
    }
}

#[test]
fn a_full_disk_is_no_success() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["text"]);
        peer.sees_the_end()
    });
    let mut command = beast.command(&["summarize"]);
    command.stdout(Stdio::from(full));
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot write to stdout: No space left on device (os error 28); try: free some space there, or write somewhere else
    "#]]
    .assert_eq(&Ran::of(feed(command, b"text"), beast.dir.path()).report());
    assert!(daemon.join().unwrap(), "the daemon must not go on");
}

#[test]
fn an_answer_that_the_daemon_cancels_is_no_success() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["half"]);
        peer.done(FinishReason::Cancelled);
    });
    expect![[r#"
        exit 75
        out: "half\n"
        err: beastctl: beastd cancelled the answer; try: repeat the command
    "#]]
    .assert_eq(&beast.run(&["summarize"], b"text").report());
}
