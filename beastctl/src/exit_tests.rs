use std::{io, path::PathBuf, time::Duration};

use beast_protocol::{Welcome, WireError};
use expect_test::expect;

use super::*;
use crate::{
    client::ClientError,
    constraint::ConstraintError,
    git::{GitError, HookError},
    output::OutputError,
    start::StartError,
    turn::TurnError,
    wait::WaitError,
};

#[test]
fn an_error_has_one_next_step() {
    for (text, expected) in [
        ("a; try: b", "c: a; try: b"),
        ("a; try: b; try: d", "c: a; try: b"),
        ("a", "c: a; try: the same command again, and dmesg for what the system says of it"),
    ] {
        let error = Failure::from(io::Error::other(text)).context("c");
        assert_eq!(error.line().as_deref(), Some(expected));
    }
}

#[test]
fn what_was_told_is_not_told_again() {
    assert_eq!(
        {
            let error = Failure::from(AlreadyTold(TOO_LONG));
            (error.code(), error.line())
        },
        (TOO_LONG, None)
    );
}

fn say(error: impl Into<Failure>) -> String {
    let error = error.into();
    let (code, line) = (error.code(), error.line());
    format!("{code:<3} {}\n", line.unwrap_or_else(|| "(silent)".into()))
}

#[test]
fn each_error_has_its_code_and_its_line() {
    let unreachable = |kind: io::ErrorKind| ClientError::Unreachable { path: "/s".into(), error: kind.into() };
    let lines: String = [
        say(unreachable(io::ErrorKind::NotFound)),
        say(unreachable(io::ErrorKind::ConnectionRefused)),
        say(unreachable(io::ErrorKind::PermissionDenied)),
        say(StartError::Refused(unreachable(io::ErrorKind::NotFound))),
        say(StartError::Missing("/s".into())),
        say(StartError::Failed { program: "/beastd".into(), words: "beastd: no; try: yes".into() }),
        say(ClientError::Silent(PathBuf::from("/s"))),
        say(ClientError::OtherVersion(Welcome { protocol: 9, version: "9".into(), pid: 1 })),
        say(ClientError::Lost),
        say(ClientError::TooLong(40_000_000)),
        say(StartError::Client(ClientError::Daemon(WireError::new(ErrorCode::Overloaded, "full; try: later")))),
        say(ClientError::Daemon(WireError::new(ErrorCode::Engine, "broken"))),
        say(WaitError::TimedOut(Duration::from_secs(90))),
        say(ClientError::Wait(WaitError::Interrupted)),
        say(StartError::Client(ClientError::Wait(WaitError::ReaderGone))),
        say(OutputError::from(io::Error::from(io::ErrorKind::BrokenPipe))),
        say(OutputError::from(io::Error::from(io::ErrorKind::StorageFull))),
        say(TurnError::Cut("the answer was cut".into())),
        say(TurnError::NoQuestion),
        say(GitError::NothingStaged),
        say(GitError::Failed { command: "diff".into(), reason: "fatal: not a git repository".into() }),
        say(GitError::Wait(WaitError::Interrupted)),
        say(HookError::Foreign("/h".into())),
        say(HookError::Outside("/h".into())),
        say(HookError::NotInstalled("/h".into())),
        say(Failure::from(io::Error::other("inner")).context("outer")),
    ]
    .concat()
    .replace(env!("CARGO_PKG_VERSION"), "VERSION");
    expect![[r#"
        3   cannot reach beastd at /s (not running); try: beastd --daemonize --socket /s
        3   cannot reach beastd at /s (not running, its socket is left over); try: beastd --daemonize --socket /s
        3   cannot reach beastd at /s (permission denied: it belongs to another user); try: --socket with a socket of your own
        3   cannot reach beastd at /s (not running); try: beastd --daemonize --socket /s, or leave --no-start out
        3   cannot reach beastd at /s (not running), and the program beastd is not to be found; try: put beastd beside beastctl, or into a folder of PATH
        3   cannot start /beastd: beastd: no; try: yes
        3   beastd at /s does not answer; try: again in a moment, or kill beastd and start it anew
        3   beastd 9 speaks protocol 9, this beastctl VERSION speaks protocol 5; try: beastctl stop, then the same command again
        1   beastd ended before the answer did; try: the same command again, and beastctl logs for the reason
        4   the request has 38.1 MiB and beastd takes at most 32 MiB; try: less input
        75  full; try: later
        1   broken
        1   no answer within 1m 30s; try: a longer --timeout, or beastctl status
        130 (silent)
        0   (silent)
        0   (silent)
        1   cannot write to stdout: no storage space; try: make room there, or write somewhere else
        5   the answer was cut; try: a larger --max-tokens, or less input
        2   the question is missing; try: beastctl ask 'QUESTION'
        2   the staged diff is empty; try: git add FILE, or git diff | beastctl commit-msg
        2   git diff failed: fatal: not a git repository; try: cd into a git repository
        130 (silent)
        2   /h is another program's hook; try: --chain to run it first, or write `beastctl hook run "$@" || :` at its end yourself
        2   git looks for hooks in /h (core.hooksPath), which is outside of this repository; try: --force to install it there for all repositories that use that folder
        1   the hook is not installed in /h; try: beastctl hook install
        1   outer: inner; try: the same command again, and dmesg for what the system says of it
    "#]].assert_eq(&lines);
}

/// A context around an error adds to its line and changes nothing else.
#[test]
fn the_code_is_found_through_a_context() {
    let error = Failure::from(ClientError::Lost).context("while waiting");
    expect![[r#"
        1   while waiting: beastd ended before the answer did; try: the same command again, and beastctl logs for the reason
    "#]]
    .assert_eq(&say(error));
}

#[test]
fn programs_get_a_word() {
    let refused = || ClientError::Daemon(WireError::new(ErrorCode::ModelUnavailable, "no model"));
    for (error, expected) in [
        (refused().into(), "model_unavailable"),
        (Failure::from(StartError::Client(refused())).context("while asking"), "model_unavailable"),
        (ClientError::TooLong(40_000_000).into(), "too_long"),
        (TurnError::Withheld("the answer was cut".into()).into(), "cut"),
        (TurnError::Cancelled.into(), "busy"),
        (WaitError::Interrupted.into(), "interrupted"),
        (StartError::Missing("/s".into()).into(), "unreachable"),
        (ConstraintError::StdinTaken { option: "--schema" }.into(), "usage"),
        (ClientError::Lost.into(), "failed"),
    ] {
        assert_eq!(error.word(), expected, "{error:?}");
    }
}
