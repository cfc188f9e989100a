//! Reaching a daemon that is not running yet.

use std::{fs, os::unix::net::UnixListener, thread};

use beast_protocol::Welcome;
use expect_test::expect;

use crate::harness::{Beast, Peer};

#[test]
fn no_start_says_that_nobody_is_there() {
    let beast = Beast::alone();
    beast.beastd("touch started");
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: cannot reach beastd at DIR/beastd.sock (not running); try: beastd --daemonize, or leave out --no-start
    "#]]
    .assert_eq(&beast.run(&["summarize", "--no-start"], b"text").report());
    assert!(!beast.path("started").exists());
}

#[test]
fn without_a_program_there_is_a_hint() {
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: cannot reach beastd at DIR/beastd.sock (not running): beastd not found beside beastctl or in PATH; try: put beastd beside beastctl, or into a folder in PATH
    "#]]
    .assert_eq(&Beast::alone().run(&["summarize"], b"text").report());
}

#[test]
fn a_daemon_is_started_and_asked() {
    let beast = Beast::alone();
    // The script moves a socket into place on which the test listens already.
    let listener = UnixListener::bind(beast.path("later.sock")).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        peer.generate();
        peer.answer(&["started"]);
    });
    beast.beastd(r#"echo "$@" > arguments; mv later.sock "$3""#);
    let ran = beast.run(&["summarize"], b"text");
    assert_eq!(ran.report(), "exit 0\nout: \"started\\n\"\nerr: ");
    assert_eq!(
        fs::read_to_string(beast.path("arguments")).unwrap(),
        format!("--daemonize --socket {}\n", beast.socket().display())
    );
    daemon.join().unwrap();
}

/// A socket left by a crashed daemon looks different from a missing one, but is treated the same.
#[test]
fn a_left_over_socket_is_nobody() {
    let beast = Beast::alone();
    drop(UnixListener::bind(beast.socket()).unwrap());
    let listener = UnixListener::bind(beast.path("later.sock")).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        peer.generate();
        peer.answer(&["started"]);
    });
    beast.beastd(r#"mv later.sock "$3""#);
    assert_eq!(beast.run(&["summarize"], b"text").report(), "exit 0\nout: \"started\\n\"\nerr: ");
    daemon.join().unwrap();
}

#[test]
fn a_daemon_that_does_not_start_says_why() {
    let beast = Beast::alone();
    beast.beastd("echo 'beastd: config.toml:3: unknown key; try: beastd --help' >&2; exit 2");
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: cannot start DIR/beastd: beastd: config.toml:3: unknown key; try: beastd --help
    "#]]
    .assert_eq(&beast.run(&["summarize"], b"text").report());
    beast.beastd("exit 7");
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: cannot start DIR/beastd: it exited with exit status: 7; try: run beastd in the foreground to see its output
    "#]]
    .assert_eq(&beast.run(&["summarize"], b"text").report());
}

/// Two clients at once each start a daemon; one daemon loses the socket, and neither client notices.
#[test]
fn the_daemon_of_another_client_is_as_good() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.path("later.sock")).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        peer.generate();
        peer.answer(&["of another"]);
    });
    beast.beastd(r#"mv later.sock "$3"; echo 'beastd: already running' >&2; exit 1"#);
    assert_eq!(beast.run(&["summarize"], b"text").report(), "exit 0\nout: \"of another\\n\"\nerr: ");
    daemon.join().unwrap();
}

/// The other client's daemon may be killed or shut down before this client has reached it. Then this client tries to
/// start one again.
#[test]
fn a_daemon_of_another_client_that_is_gone_again_is_replaced() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.path("later.sock")).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        peer.generate();
        peer.answer(&["mine"]);
    });
    beast.beastd(
        r#"if [ ! -e other ]; then touch other; echo "beastd: beastd is already running on $3 (process 1); try: x" >&2; exit 69; fi
mv later.sock "$3""#,
    );
    assert_eq!(beast.run(&["summarize"], b"text").report(), "exit 0\nout: \"mine\\n\"\nerr: ");
    daemon.join().unwrap();
    // A daemon that holds the socket for beastd but is never reachable for the client is an error in the end.
    beast.beastd(
        "echo try >> tries; echo 'beastd: beastd is already running on S; try: beastctl stop, to end it' >&2; exit 69",
    );
    fs::remove_file(beast.socket()).unwrap();
    assert_eq!(beast.run(&["summarize"], b"text").code, Some(3));
    assert_eq!(fs::read_to_string(beast.path("tries")).unwrap().lines().count(), 3);
}

#[test]
fn a_daemon_in_the_background_may_keep_the_pipe() {
    let beast = Beast::alone();
    let listener = UnixListener::bind(beast.path("later.sock")).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        peer.generate();
        peer.answer(&["up"]);
    });
    // Exits when the test removes the mark.
    fs::create_dir(beast.path("mark")).unwrap();
    beast.beastd(r#"mv later.sock "$3"; (while [ -d mark ]; do sleep 0.05; done) &"#);
    let ran = beast.run(&["summarize"], b"text");
    fs::remove_dir(beast.path("mark")).unwrap();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "up\n"));
    daemon.join().unwrap();
}

#[test]
fn a_path_that_no_socket_can_have_is_refused() {
    let beast = Beast::alone();
    let long = "x".repeat(120);
    let ran = beast.run(&["summarize", "--socket", &long], b"text");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.starts_with("beastctl: ") && ran.stderr.lines().count() == 1, "{ran:?}");
}
