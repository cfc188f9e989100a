//! Requests that the daemon rejects, and listeners that are not beastd.

use std::{io::Write, os::unix::net::UnixListener, thread};

use beast_protocol::{ErrorCode, Event, Welcome, WireError, write_frame};
use expect_test::expect;

use crate::harness::{Beast, Peer, accept};

#[test]
fn each_failure_of_a_request_has_its_exit_code() {
    for (code, expected) in [
        (ErrorCode::Invalid, 2),
        (ErrorCode::TooLong, 4),
        (ErrorCode::Overloaded, 75),
        (ErrorCode::ModelUnavailable, 1),
        (ErrorCode::Engine, 1),
        (ErrorCode::ShuttingDown, 75),
        (ErrorCode::Protocol, 1),
        (ErrorCode::Internal, 1),
    ] {
        let beast = Beast::new();
        beast.daemon(move |peer| {
            peer.generate();
            peer.send(&Event::Failed(WireError::new(code, "this happened;\ntry: that")));
        });
        let ran = beast.run(&["summarize"], b"text");
        assert_eq!(ran.report(), format!("exit {expected}\nout: \"\"\nerr: beastctl: this happened; try: that\n"));
    }
}

/// The daemon rejects before it has read the request: its reason must not be lost in a broken pipe.
#[test]
fn a_refusal_is_heard_even_when_the_request_cannot_be_sent() {
    let beast = Beast::new();
    let listener = UnixListener::bind(beast.socket()).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        peer.send(&Event::Failed(WireError::new(ErrorCode::Overloaded, "the queue is full; try: again later")));
    });
    let ran = beast.run(&["summarize"], &b"many words ".repeat(1_000_000));
    expect![[r#"
        exit 75
        out: ""
        err: beastctl: the queue is full; try: again later
    "#]]
    .assert_eq(&ran.report());
    daemon.join().unwrap();
}

/// The same from a daemon that keeps the connection open and never reads.
#[test]
fn a_refusal_is_heard_while_the_request_is_stuck() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        peer.send(&Event::Failed(WireError::new(ErrorCode::Overloaded, "the queue is full; try: again later")));
        // Reads until the client closes the connection.
        std::io::copy(&mut peer.stream, &mut std::io::sink()).is_ok()
    });
    let ran = beast.run(&["summarize"], &b"many words ".repeat(1_000_000));
    assert_eq!(ran.code, Some(75), "{ran:?}");
    assert!(daemon.join().unwrap(), "the client hangs up");
}

#[test]
fn another_protocol_names_both_versions_and_the_way_out() {
    for verb in [&["summarize"][..], &["status"]] {
        let beast = Beast::new();
        let daemon = beast.daemon_of(
            Welcome { protocol: beast_protocol::VERSION + 1, version: "9.1.0".into(), pid: 1 },
            Peer::sees_the_end,
        );
        let ran = beast.run(verb, b"text");
        expect![[r#"
            exit 3
            out: ""
            err: beastctl: beastd 9.1.0 speaks protocol 11, this beastctl VERSION speaks protocol 10; try: beastctl stop, then repeat the command
        "#]]
        .assert_eq(&ran.report().replace(env!("CARGO_PKG_VERSION"), "VERSION"));
        assert!(daemon.join().unwrap());
    }
}

#[test]
fn what_is_not_beastd_is_told_apart() {
    for greeting in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\x04\0\0\0nope", b""] {
        let beast = Beast::new();
        let listener = UnixListener::bind(beast.socket()).unwrap();
        let daemon = thread::spawn(move || accept(&listener).write_all(greeting).unwrap());
        let ran = beast.run(&["summarize", "--no-start"], b"text");
        assert_eq!(ran.code, Some(3), "{ran:?}");
        // A daemon that closes without a handshake is exiting: the client connects again, and then nothing listens.
        let expected = if greeting.is_empty() {
            expect![[r#"
                beastctl: cannot reach beastd at DIR/beastd.sock (not running, but its socket exists); try: beastd --daemonize, or leave out --no-start
            "#]]
        } else {
            expect![[r#"
                beastctl: the process listening on DIR/beastd.sock is not beastd: the peer does not speak the beast protocol; try: use another --socket
            "#]]
        };
        expected.assert_eq(&ran.stderr);
        daemon.join().unwrap();
    }
}

#[test]
fn garbage_after_the_greeting_is_an_error() {
    for garbage in [&b"\xff\xff\xff\xff"[..], b"\x02\0\0\0\xee\xee"] {
        let beast = Beast::new();
        beast.daemon(move |peer| {
            peer.generate();
            peer.started();
            peer.say(&["half"]);
            peer.stream.write_all(garbage).unwrap();
            peer.sees_the_end()
        });
        let ran = beast.run(&["summarize"], b"text");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "half\n"));
        assert!(ran.stderr.starts_with("beastctl: invalid response from beastd: "), "{}", ran.stderr);
    }
}

#[test]
fn the_wrong_message_in_the_right_form_does_no_harm() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        // A handshake in the middle of a stream is not an event.
        write_frame(&mut peer.stream, &Welcome::current("1", 1).to_bytes()).unwrap();
    });
    assert_eq!(beast.run(&["summarize"], b"text").code, Some(1));
}
