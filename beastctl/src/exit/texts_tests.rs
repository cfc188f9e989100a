//! Every error as the user sees it: `EXIT CODE  TEXT`, one list for each room.
//!
//! A variant without a sample does not compile; an error without a next step fails.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::{HttpRole, SocketError, paths::PathError, peer::NotOurs, words::LastWords};
use beast_protocol::{CodecError, ErrorCode, HandshakeError, Welcome, WireError};
use expect_test::{Expect, expect};
use rustix::io::Errno;

use super::*;
use crate::{
    alfred::JobError,
    bench::BenchError,
    chat::ChatError,
    client::ClientError,
    commands::NotRemoved,
    completions::CompletionError,
    constraint::ConstraintError,
    conversations::ConversationError,
    decide::DecideError,
    embed::EmbedError,
    git::{GitError, HookError},
    input::InputError,
    logs::LogError,
    man::ManError,
    map::MapError,
    output::OutputError,
    prompts::PromptError,
    start::StartError,
    stop::StopError,
    turn::TurnError,
    wait::WaitError,
};

/// Errors that need no `; try: ` of their own, and why.
const WITHOUT_STEP: [(&str, &str); 1] =
    [("ClientError::Daemon", "what the daemon says ends with its own step; here it is the daemon's to word it")];

/// An error, and the name of its variant.
struct Sample {
    name: String,
    error: Failure,
}

/// Samples of every variant of an error type. The compiler checks that no variant is missing and that each listed one
/// exists. At run time, each sample must match the variant under which it is listed.
macro_rules! samples {
    ($error:ident { $($variant:ident: [$($sample:expr),+ $(,)?]),+ $(,)? }) => {{
        let _ = |error: &$error| match error { $($error::$variant { .. } => ()),+ };
        let mut samples = Vec::new();
        $($(
            let error = $sample;
            assert!(matches!(error, $error::$variant { .. }), "{error:?} is listed as {}", stringify!($variant));
            let name = concat!(stringify!($error), "::", stringify!($variant)).to_owned();
            samples.push(Sample { name, error: error.into() });
        )+)+
        samples
    }};
}

#[path = "texts_rooms_tests.rs"]
mod rooms;

#[path = "texts_verbs_tests.rs"]
mod verbs;

#[path = "texts_service_tests.rs"]
mod service;

#[path = "texts_models_tests.rs"]
mod models;

#[path = "texts_typed_tests.rs"]
mod typed;

fn check(samples: Vec<Sample>, expected: Expect) {
    let mut lines = String::new();
    for Sample { name, error } in samples {
        let (code, line) = (error.code(), error.line());
        if let Some(line) = &line {
            check_line(&name, line);
        } else {
            assert!(matches!(code, DONE | INTERRUPTED), "{name} fails without a word");
        }
        lines += &format!("{code:<3} {}\n", line.unwrap_or_else(|| "(silent)".into()));
    }
    // The longest possible socket path depends on the system.
    let limit = format!("at most {} are", beast_launchd::MAX_SOCKET_PATH);
    let lines = lines.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace(&limit, "at most MAX are");
    expected.assert_eq(&lines);
}

fn check_line(name: &str, line: &str) {
    assert!(!line.contains(['\n', '\r']), "{name} has more than one line: {line}");
    assert!(!line.ends_with(['.', ' ', ':', ';']), "{name} ends badly: {line}");
    for debris in ["Error {", "Error(", "Os {", "Some(", "None", "\\\""] {
        assert!(!line.contains(debris), "{name} shows how it is made ({debris}): {line}");
    }
    let steps: Vec<&str> = line.split("; try: ").skip(1).collect();
    if WITHOUT_STEP.iter().any(|(excepted, _)| *excepted == name) {
        return;
    }
    assert!(matches!(steps[..], [step] if step.len() > 1), "{name} needs one next step: {line}");
}

fn file() -> PathBuf {
    "/some/file".into()
}

/// A real system error; these have the same numbers on Linux and macOS.
fn os(error: Errno) -> io::Error {
    error.into()
}

#[test]
fn of_the_connection() {
    let unreachable = |error| ClientError::Unreachable { path: "/some/socket".into(), error: os(error) };
    let foreign = |source| ClientError::Foreign { path: "/some/socket".into(), source };
    let socket = || PathBuf::from("/some/socket");
    let samples = samples!(ClientError {
        Wait: [ClientError::Wait(WaitError::TimedOut(Duration::from_secs(90)))],
        Unreachable: [
            unreachable(Errno::NOENT),
            unreachable(Errno::CONNREFUSED),
            unreachable(Errno::ACCESS),
            unreachable(Errno::NOTDIR),
            ClientError::Unreachable { path: "/some/socket of mine".into(), error: os(Errno::NOENT) },
        ],
        NotOurs: [
            ClientError::NotOurs(NotOurs::Peer { path: socket(), who: "user 1001 (mallory)".into() }),
            ClientError::NotOurs(NotOurs::Folder { folder: "/tmp/beast-1000".into(), who: "user 1001".into() }),
            ClientError::NotOurs(NotOurs::OpenFolder { folder: "/tmp".into(), mode: 0o777 }),
        ],
        Silent: [ClientError::Silent(socket())],
        HungUp: [ClientError::HungUp(socket())],
        Foreign: [foreign(HandshakeError::Magic)],
        OtherVersion: [ClientError::OtherVersion(Welcome {
            protocol: beast_protocol::VERSION + 1,
            version: "9".into(),
            pid: 1
        })],
        Lost: [ClientError::Lost],
        Died: [
            ClientError::Died(LastWords { reason: "memory allocation of 64 bytes failed".into(), is_memory: true }),
            ClientError::Died(LastWords { reason: "it panicked: broken invariant".into(), is_memory: false }),
        ],
        Garbled: [ClientError::Garbled(CodecError::TooLarge { len: 40_000_000 })],
        TooLong: [ClientError::TooLong(40_000_000)],
        Daemon: [
            ClientError::Daemon(WireError::new(ErrorCode::TooLong, "the input is too long; try: --truncate tail")),
            ClientError::Daemon(WireError::new(
                ErrorCode::Overloaded,
                "beastd has too many waiting requests; try: again in a moment"
            )),
            ClientError::Daemon(WireError::new(ErrorCode::Engine, "the engine failed; try: again")),
        ],
    });
    check(
        samples,
        expect![[r#"
            1   no answer within 1m 30s; try: raise --timeout, or check beastctl status
            3   cannot reach beastd at /some/socket (not running); try: beastd --daemonize --socket /some/socket
            3   cannot reach beastd at /some/socket (not running, but its socket exists); try: beastd --daemonize --socket /some/socket
            3   cannot reach beastd at /some/socket (permission denied: it belongs to another user); try: use --socket with a socket you own
            3   cannot reach beastd at /some/socket (Not a directory (os error 20)); try: use another --socket
            3   cannot reach beastd at /some/socket of mine (not running); try: beastd --daemonize --socket '/some/socket of mine'
            3   the process listening on /some/socket belongs to user 1001 (mallory); nothing was sent; try: use --socket with a path in a folder you own, or set XDG_RUNTIME_DIR
            3   the folder /tmp/beast-1000 belongs to user 1001, who can replace the socket; nothing was sent; try: use --socket with a path in a folder you own, or set XDG_RUNTIME_DIR
            3   the folder /tmp is writable by other users (mode 0777), who can replace the socket; nothing was sent; try: use --socket with a path in a folder you own, or set XDG_RUNTIME_DIR
            3   beastd at /some/socket does not answer; try: repeat the command in a moment, or kill beastd and restart it
            3   beastd at /some/socket closed the connection without an answer; try: repeat the command in a moment
            3   the process listening on /some/socket is not beastd: the peer does not speak the beast protocol; try: use another --socket
            3   beastd 9 speaks protocol 11, this beastctl VERSION speaks protocol 10; try: beastctl stop, then repeat the command
            1   beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason
            1   beastd ended before the answer did: out of memory (memory allocation of 64 bytes failed); try: close other programs, use a smaller model, or lower n_ctx in config.toml
            1   beastd ended before the answer did: it panicked: broken invariant; try: repeat the command, and see beastctl logs for the reason
            1   invalid response from beastd: a frame of 40000000 bytes exceeds the limit of 32 MiB; try: beastctl stop, then repeat the command
            4   the request is too large: 38.1 MiB, and beastd accepts at most 32 MiB; try: shorten the input
            4   the input is too long; try: --truncate tail
            75  beastd has too many waiting requests; try: again in a moment
            1   the engine failed; try: again
        "#]],
    );
}

#[test]
fn of_starting() {
    let not_running = || ClientError::Unreachable { path: "/some/socket".into(), error: os(Errno::NOENT) };
    let failed = |words: &str| StartError::Failed { program: "/some/beastd".into(), words: words.into() };
    let samples = samples!(StartError {
        Client: [StartError::Client(ClientError::Lost)],
        Wait: [StartError::Wait(WaitError::Interrupted)],
        Refused: [StartError::Refused(not_running())],
        Missing: [StartError::Missing("/some/socket".into())],
        NoProgram: [StartError::NoProgram],
        ServiceStopped: [StartError::ServiceStopped { socket: "/some/socket".into(), file: file() }],
        Failed: [failed("it exited with exit status: 1"), failed("beastd: there is no model; try: --model FILE"),],
    });
    check(
        samples,
        expect![[r#"
            1   beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason
            130 (silent)
            3   cannot reach beastd at /some/socket (not running); try: beastd --daemonize --socket /some/socket, or leave out --no-start
            3   cannot reach beastd at /some/socket (not running): beastd not found beside beastctl or in PATH; try: put beastd beside beastctl, or into a folder in PATH
            3   cannot find the program beastd; try: put beastd beside beastctl, or into a folder in PATH
            3   nothing listens on /some/socket: beastd is installed as a service (/some/file), which is stopped; try: beastctl service start; without a service manager, as in a container, use another --socket or beastctl service uninstall
            3   cannot start /some/beastd: it exited with exit status: 1; try: run beastd in the foreground to see its output
            3   cannot start /some/beastd: beastd: there is no model; try: --model FILE
        "#]],
    );
}

#[test]
fn of_waiting() {
    let samples = samples!(WaitError {
        Interrupted: [WaitError::Interrupted],
        ReaderGone: [WaitError::ReaderGone],
        TimedOut: [WaitError::TimedOut(Duration::from_secs(90))],
        Poll: [WaitError::Poll(os(Errno::NOMEM)), WaitError::Poll(os(Errno::INVAL))],
    });
    check(
        samples,
        expect![[r#"
            130 (silent)
            0   (silent)
            1   no answer within 1m 30s; try: raise --timeout, or check beastctl status
            1   cannot wait for an answer: Cannot allocate memory (os error 12); try: close other programs, then repeat the command
            1   cannot wait for an answer: Invalid argument (os error 22); try: repeat the command, and see dmesg for the cause
        "#]],
    );
}

#[test]
fn of_places() {
    let samples = samples!(PathError {
        HomeNotSet: [
            PathError::HomeNotSet { or: "" },
            PathError::HomeNotSet { or: " or XDG_CONFIG_HOME" },
            PathError::HomeNotSet { or: ", or give --socket" },
        ],
        HomeRelative: [PathError::HomeRelative { home: "ada".into(), or: " or XDG_CONFIG_HOME" }],
    });
    check(
        samples,
        expect![[r#"
        3   HOME is not set; try: set it
        3   HOME is not set; try: set it or XDG_CONFIG_HOME
        3   HOME is not set; try: set it, or give --socket
        3   HOME is "ada", which is not an absolute path; try: correct it or XDG_CONFIG_HOME
    "#]],
    );
    let path = file;
    let of_address =
        |role, address: &str, error| SocketError::Address { address: address.parse().unwrap(), role, error: os(error) };
    let samples = samples!(SocketError {
        TooLong: [SocketError::TooLong { path: path(), len: 104 }],
        NoName: [SocketError::NoName { path: "/".into() }],
        AlreadyRunning: [
            SocketError::AlreadyRunning { path: path(), pid: Some(4711) },
            SocketError::AlreadyRunning { path: path(), pid: None },
        ],
        NotAFolder: [SocketError::NotAFolder { folder: path() }],
        FolderNotOurs: [SocketError::FolderNotOurs { folder: "/some".into(), owner: 0, us: 1000 }],
        FolderTooOpen: [SocketError::FolderTooOpen { folder: "/some".into(), mode: 0o777 }],
        Occupied: [SocketError::Occupied { path: path(), expected: "socket" }],
        PermissionDenied: [SocketError::PermissionDenied { action: "lock", path: path() }],
        Activation: [SocketError::Activation("systemd (2 sockets)".into())],
        Address: [
            of_address(HttpRole::Http, "127.0.0.1:8484", Errno::ADDRINUSE),
            of_address(HttpRole::Ollama, "127.0.0.1:11434", Errno::ADDRINUSE),
            of_address(HttpRole::Http, "192.0.2.1:8484", Errno::ADDRNOTAVAIL),
            of_address(HttpRole::Http, "127.0.0.1:80", Errno::ACCESS),
            of_address(HttpRole::Http, "127.0.0.1:8484", Errno::MFILE),
        ],
        Io: [SocketError::Io { action: "lock", path: path(), error: os(Errno::NOSPC) }],
    });
    check(
        samples,
        expect![[r#"
            3   the socket path is 104 bytes long, over the limit of 103: /some/file; try: use a shorter --socket
            3   the socket path has no file name: /; try: --socket FOLDER/NAME.sock
            3   beastd is already running on /some/file (process 4711); try: beastctl stop
            3   beastd is already running on /some/file; try: beastctl stop
            3   /some/file is not a folder; try: use another --socket
            3   the folder /some belongs to user 0 and beastd runs as user 1000; try: use a --socket in a folder you own
            3   the folder /some is open to other users (mode 0777); try: chmod 700 /some
            3   /some/file exists and is not a socket, so beastd leaves it alone; try: move it away, or use another --socket
            3   cannot lock /some/file: permission denied; try: check its owner with ls -ld /some/file, or use another --socket
            3   cannot use the socket passed by systemd (2 sockets); try: reinstall the service with beastctl service install
            3   cannot listen on 127.0.0.1:8484: another program listens there; try: stop it, or change http.listen
            3   cannot listen on 127.0.0.1:11434: another program listens there, probably Ollama; try: stop it, set http.ollama = false, or change http.ollama_listen
            3   cannot listen on 192.0.2.1:8484: this machine has no such address; try: change http.listen
            3   cannot listen on 127.0.0.1:80: ports below 1024 are reserved for root; try: change http.listen
            3   cannot listen on 127.0.0.1:8484: Too many open files (os error 24); try: change http.listen
            3   cannot lock /some/file: No space left on device (os error 28); try: fix that, or use another --socket
        "#]],
    );
}

/// System errors without a variant of their own still have a next step.
#[test]
fn of_the_system() {
    let sample =
        |what: &'static str, error| Sample { name: what.into(), error: Failure::from(os(error)).context(what) };
    let samples = vec![
        sample("cannot watch for Ctrl-C", Errno::MFILE),
        sample("cannot start the line editor", Errno::IO),
        sample("cannot write to /some/folder", Errno::NOSPC),
    ];
    check(
        samples,
        expect![[r#"
            1   cannot watch for Ctrl-C: Too many open files (os error 24); try: ulimit -n 1024, or close a program that holds many files open
            1   cannot start the line editor: Input/output error (os error 5); try: repeat the command, and see dmesg for the cause
            1   cannot write to /some/folder: No space left on device (os error 28); try: free some space there, or write somewhere else
        "#]],
    );
}

#[test]
fn advice_is_for_the_reason_and_the_place() {
    let mut lines = String::new();
    for path in ["/some/file", "file", "-x", "/my folder/it's"] {
        for error in [Errno::NOENT, Errno::ISDIR, Errno::ACCESS, Errno::NOTDIR] {
            let (path, error) = (Path::new(path), os(error));
            lines += &format!("{}: {error}\n", path.display());
            lines += &format!("    read   {}\n", advice::reading(path, &error));
            lines += &format!("    write  {}\n", advice::writing(path, &error));
        }
    }
    let path = Path::new("/some/file");
    for error in [Errno::ROFS, Errno::EXIST, Errno::NOSPC, Errno::NOMEM, Errno::MFILE, Errno::IO] {
        lines += &format!("{}\n    write  {}\n", os(error), advice::writing(path, &os(error)));
    }
    expect![[r#"
        /some/file: No such file or directory (os error 2)
            read   ls /some, to see what is there
            write  mkdir -p /some
        /some/file: Is a directory (os error 21)
            read   name a file in it, like /some/file/NAME
            write  name a file in it, like /some/file/NAME
        /some/file: Permission denied (os error 13)
            read   ls -ld /some/file, to see who may read it
            write  ls -ld /some, to see who may write there
        /some/file: Not a directory (os error 20)
            read   use another path: a part of this one is a file, not a folder
            write  move away the file that is in the place of one of these folders
        file: No such file or directory (os error 2)
            read   ls, to see what is there
            write  mkdir -p .
        file: Is a directory (os error 21)
            read   name a file in it, like file/NAME
            write  name a file in it, like file/NAME
        file: Permission denied (os error 13)
            read   ls -ld file, to see who may read it
            write  ls -ld ., to see who may write there
        file: Not a directory (os error 20)
            read   use another path: a part of this one is a file, not a folder
            write  move away the file that is in the place of one of these folders
        -x: No such file or directory (os error 2)
            read   ls, to see what is there
            write  mkdir -p .
        -x: Is a directory (os error 21)
            read   name a file in it, like ./-x/NAME
            write  name a file in it, like ./-x/NAME
        -x: Permission denied (os error 13)
            read   ls -ld ./-x, to see who may read it
            write  ls -ld ., to see who may write there
        -x: Not a directory (os error 20)
            read   use another path: a part of this one is a file, not a folder
            write  move away the file that is in the place of one of these folders
        /my folder/it's: No such file or directory (os error 2)
            read   ls '/my folder', to see what is there
            write  mkdir -p '/my folder'
        /my folder/it's: Is a directory (os error 21)
            read   name a file in it, like "/my folder/it's"/NAME
            write  name a file in it, like "/my folder/it's"/NAME
        /my folder/it's: Permission denied (os error 13)
            read   ls -ld "/my folder/it's", to see who may read it
            write  ls -ld '/my folder', to see who may write there
        /my folder/it's: Not a directory (os error 20)
            read   use another path: a part of this one is a file, not a folder
            write  move away the file that is in the place of one of these folders
        Read-only file system (os error 30)
            write  use another folder, or run mount to see why this one is read-only
        File exists (os error 17)
            write  mv /some/file /some/file.old, which is in the way
        No space left on device (os error 28)
            write  free some space there, or write somewhere else
        Cannot allocate memory (os error 12)
            write  close other programs, then repeat the command
        Too many open files (os error 24)
            write  ulimit -n 1024, or close a program that holds many files open
        Input/output error (os error 5)
            write  repeat the command, and see dmesg for the cause
    "#]]
    .assert_eq(&lines);
}
