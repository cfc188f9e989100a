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
        ("a", "c: a; try: repeat the command, and see dmesg for the cause"),
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
        say(ClientError::OtherVersion(Welcome { protocol: beast_protocol::VERSION + 1, version: "9".into(), pid: 1 })),
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
        3   cannot reach beastd at /s (not running, but its socket exists); try: beastd --daemonize --socket /s
        3   cannot reach beastd at /s (permission denied: it belongs to another user); try: use --socket with a socket you own
        3   cannot reach beastd at /s (not running); try: beastd --daemonize --socket /s, or leave out --no-start
        3   cannot reach beastd at /s (not running): beastd not found beside beastctl or in PATH; try: put beastd beside beastctl, or into a folder in PATH
        3   cannot start /beastd: beastd: no; try: yes
        3   beastd at /s does not answer; try: repeat the command in a moment, or kill beastd and restart it
        3   beastd 9 speaks protocol 11, this beastctl VERSION speaks protocol 10; try: beastctl stop, then repeat the command
        1   beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason
        4   the request is too large: 38.1 MiB, and beastd accepts at most 32 MiB; try: shorten the input
        75  full; try: later
        1   broken
        1   no answer within 1m 30s; try: raise --timeout, or check beastctl status
        130 (silent)
        0   (silent)
        0   (silent)
        1   cannot write to stdout: no storage space; try: free some space there, or write somewhere else
        5   the answer was cut; try: raise --max-tokens, or shorten the input
        2   no question given; try: beastctl ask 'QUESTION'
        2   the staged diff is empty; try: git add FILE, or git diff | beastctl commit-msg
        2   git diff failed: fatal: not a git repository; try: cd into a git repository
        130 (silent)
        2   /h is another program's hook; try: pass --chain to run it first, or add `beastctl hook run "$@" || :` at its end
        2   git looks for hooks in /h (core.hooksPath), which is outside of this repository; try: pass --force to install it for all repositories that use that folder
        1   the hook is not installed in /h; try: beastctl hook install
        1   outer: inner; try: repeat the command, and see dmesg for the cause
    "#]].assert_eq(&lines);
}

/// A context around an error adds to its line and changes nothing else.
#[test]
fn the_code_is_found_through_a_context() {
    let error = Failure::from(ClientError::Lost).context("while waiting");
    expect![[r#"
        1   while waiting: beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason
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

/// The table of `docs/scripting.md`.
#[test]
fn the_documented_codes_are_these() {
    const HEAD: &str = "| code | meaning |\n|---|---|\n";
    let path = beast_tests::project("docs/scripting.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(HEAD).unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let rows: Vec<_> = CODES.iter().map(|code| format!("| {} | {} |", code.number, code.meaning)).collect();
    expect_test::expect_file![path].assert_eq(&format!("{before}{HEAD}{}\n\n{after}", rows.join("\n")));
}
