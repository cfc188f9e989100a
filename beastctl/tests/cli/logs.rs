//! `logs`: the last lines, and following.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
};

use expect_test::expect;

use crate::harness::{Beast, Ran, feed, printed, spawn};

/// A home whose beastd reports a log folder with an unusual name.
fn beast() -> Beast {
    let beast = Beast::alone();
    let folder = beast.path("my logs");
    let printed = printed(&format!("log_dir = \"{}\"  # file", folder.display()));
    beast.beastd(&format!("[ $1 = --print-config=json ] && echo '{printed}'"));
    beast
}

fn lines(n: std::ops::Range<usize>) -> String {
    n.map(|n| format!("line {n}\n")).collect()
}

#[test]
fn the_last_fifty_lines_or_as_many_as_wanted() {
    let beast = beast();
    beast.write("my logs/beastd.2026-11-22.log", lines(0..100));
    beast.write("my logs/beastd.2026-11-23.log", lines(100..110));
    let said = |arguments: &[&str]| beast.run(arguments, b"").report();
    assert_eq!(said(&["logs"]), format!("exit 0\nout: {:?}\nerr: ", lines(60..110)));
    assert_eq!(said(&["logs", "-n", "3"]), format!("exit 0\nout: {:?}\nerr: ", lines(107..110)));
    assert_eq!(said(&["logs", "--lines=0"]), "exit 0\nout: \"\"\nerr: ");
}

#[test]
fn without_a_log_it_says_where_it_looked() {
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: no log files in DIR/my logs; try: start one with beastd --daemonize, or check log_dir with beastd --print-config
    "#]].assert_eq(&beast().run(&["logs"], b"").report());
    let off = Beast::alone();
    off.beastd(&format!("echo '{}'", printed("log_dir = \"none\"  # file")));
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: log files are off: log_dir is "none"; try: set log_dir = "auto" in config.toml, or run beastd in the foreground, which logs to stderr
    "#]].assert_eq(&off.run(&["logs", "-f"], b"").report());
    let folder = beast();
    fs::create_dir_all(folder.path("my logs/beastd.2026-11-23.log")).unwrap();
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot read DIR/my logs/beastd.2026-11-23.log: is a directory; try: name a file in it, like 'DIR/my logs/beastd.2026-11-23.log'/NAME
    "#]].assert_eq(&folder.run(&["logs"], b"").report());
}

/// A daemon with a broken configuration still has a log, which may show when it broke.
#[cfg(not(target_os = "macos"))]
#[test]
fn without_a_beastd_to_ask_the_usual_place_is_taken() {
    let beast = Beast::alone();
    beast.write(".local/state/beast/logs/beastd.2026-11-23.log", "a\n");
    assert_eq!(beast.run(&["logs"], b"").report(), "exit 0\nout: \"a\\n\"\nerr: ");
    beast.beastd("echo 'beastd: config.toml:3: unknown key' >&2; exit 1");
    expect![[r#"
        exit 0
        out: "a\n"
        err: beastctl: warning: looking for the log in DIR/.local/state/beast/logs: beastd: config.toml:3: unknown key
    "#]]
    .assert_eq(&beast.run(&["logs"], b"").report());
}

#[test]
fn following_goes_on_with_the_next_day() {
    let beast = beast();
    let first = beast.write("my logs/beastd.2026-11-22.log", "old\n");
    let mut child = spawn(&mut beast.command(&["logs", "-f"]));
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || stdout.next().unwrap().unwrap();
    assert_eq!(next(), "old");
    fs::OpenOptions::new().append(true).open(&first).unwrap().write_all(b"added\n").unwrap();
    assert_eq!(next(), "added");
    beast.write("my logs/beastd.2026-11-23.log", "new day\n");
    assert_eq!(next(), "new day");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = Ran::of(child, beast.dir.path());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(130), ""));
}

#[test]
fn a_reader_that_is_gone_ends_the_following() {
    let beast = beast();
    beast.write("my logs/beastd.2026-11-22.log", "old\n");
    let mut child = feed(beast.command(&["logs", "-f"]), b"");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ran = Ran::of(child, &PathBuf::from("/none"));
    assert_eq!((line.as_str(), ran.code, ran.stderr.as_str()), ("old\n", Some(0), ""));
}
