//! `beastctl map` on many files, with all that can end it on the way.

use std::collections::BTreeMap;
use std::fs;

use beast_tests::{Beast, Output, Running, eventually, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Files of a few words, and their names for a command line.
fn files(beast: &Beast, n: usize) -> Vec<String> {
    let names: Vec<String> = (0..n).map(|nth| format!("files/{nth}.txt")).collect();
    for (nth, name) in names.iter().enumerate() {
        beast.write(name, format!("Note {nth}: the red box number {} is on shelf {}.", nth * 7 % 100, nth % 9));
    }
    names
}

const MAP: [&str; 6] = ["map", "title", "--max-tokens", "6", "--out", "out"];

fn arguments<'a>(options: &[&'a str], files: &'a [String]) -> Vec<&'a str> {
    MAP.iter().chain(options).copied().chain(files.iter().map(String::as_str)).collect()
}

fn recorded(beast: &Beast) -> String {
    fs::read_to_string(beast.path("out")).unwrap_or_default()
}

/// It succeeded without a word.
#[track_caller]
fn succeeds(output: &Output) {
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""), "{output}");
}

/// The texts by file; each line must be whole and each file there once.
fn answers(text: &str) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    for line in text.lines() {
        let object: Value = serde_json::from_str(line).expect("a line is whole");
        let word = |name: &str| object[name].as_str().expect("it is text").to_owned();
        assert_eq!(answers.insert(word("file"), word("text")), None, "{line}");
    }
    answers
}

/// `BEAST_MAP_FILES=2000` takes more files than the usual 400.
#[test]
fn each_file_is_answered_once_whatever_is_killed_in_between() {
    const N_KILLS: usize = 8;
    let n_files = std::env::var("BEAST_MAP_FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let beast = Beast::start();
    let names = files(&beast, n_files);
    let all = arguments(&[], &names);
    for nth in 1..N_KILLS {
        let client = beast.begin(&all);
        // Each run gets a little further than the last one.
        eventually(|| recorded(&beast).lines().count() >= nth * n_files / N_KILLS);
        let pid = i32::try_from(beast.client().welcome.pid).expect("it is a process id");
        if nth % 3 == 0 {
            // The client starts the next daemon.
            kill_process(Pid::from_raw(pid).expect("it runs"), Signal::KILL).expect("it is ours");
            let n = recorded(&beast).lines().count();
            eventually(|| recorded(&beast).lines().count() > n + 4);
        }
        client.signal(Signal::KILL);
        assert_eq!(client.finish().code, None);
    }
    succeeds(&beast.run(&all));
    let found = answers(&recorded(&beast));
    assert_eq!(found.len(), n_files);
    assert!(found.values().all(|text| !text.is_empty()));
    beast.idle();
    let n_requests = beast.status().n_requests;
    succeeds(&beast.run(&all));
    assert_eq!(beast.status().n_requests, n_requests, "nothing is left to ask");
}

#[test]
fn failures_are_apart_and_tried_again() {
    let beast = Beast::start();
    let mut names = files(&beast, 20);
    beast.write("files/binary", b"a\0b");
    beast.write("files/long.txt", "word ".repeat(100_000));
    names.extend(["files/binary", "files/long.txt", "files/late.txt"].map(String::from));
    let all = arguments(&["--failed", "failed"], &names);
    let failed = || {
        let text = fs::read_to_string(beast.path("failed")).expect("it is there");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is whole"));
        lines.map(|line| (line["file"].as_str().expect("text").to_owned(), line["code"].clone())).collect()
    };
    let line = beast.run(&all).failure(1).to_owned();
    assert!(line.contains("3 of 23 files failed"), "{line}");
    let expected = [("binary", "usage"), ("late.txt", "usage"), ("long.txt", "too_long")];
    let expected = expected.map(|(name, code)| (format!("files/{name}"), Value::from(code)));
    let first: BTreeMap<String, Value> = failed();
    assert_eq!(first, BTreeMap::from(expected));
    assert_eq!(answers(&recorded(&beast)).len(), 20);
    beast.write("files/late.txt", "Here it is.");
    assert!(beast.run(&all).failure(1).contains("2 of 23 files failed"));
    assert_eq!((failed().len(), answers(&recorded(&beast)).len()), (2, 21));
}

#[test]
fn a_full_disk_loses_no_line_and_the_next_run_goes_on() {
    let beast = Beast::start();
    let names = files(&beast, 40);
    // A limit on file sizes stands in for a full disk: 4 blocks of 512 bytes.
    let line = format!("trap '' XFSZ; ulimit -f 4; exec beastctl {} files/*", MAP.join(" "));
    let output = run(&mut beast.shell(&line), "");
    let error = output.failure(1);
    assert!(error.starts_with("beastctl: cannot write out: ") && error.contains("; try: "), "{error}");
    let n = answers(&recorded(&beast)).len();
    assert!(recorded(&beast).ends_with('\n') && (1..40).contains(&n), "{n}");
    beast.idle();
    succeeds(&beast.run(&arguments(&[], &names)));
    assert_eq!(answers(&recorded(&beast)).len(), 40);
}

#[test]
fn a_reader_that_has_seen_enough_ends_all_requests() {
    let beast = Beast::start();
    files(&beast, 200);
    let mut client = Running::start(&mut beast.shell("exec beastctl map 'What is on the shelf?' files/*"), "");
    client.wait_for_output();
    client.close_stdout();
    let output = client.finish();
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    beast.idle();
    assert!(beast.status().n_requests < 200);
}

#[test]
fn ctrl_c_cancels_all_requests_and_keeps_what_is_done() {
    let beast = Beast::start();
    let names = files(&beast, 200);
    let client = beast.begin(&arguments(&[], &names));
    eventually(|| recorded(&beast).lines().count() >= 5);
    client.signal(Signal::INT);
    let output = client.finish();
    assert_eq!(output.code, Some(130), "{output}");
    assert!(output.stderr.contains("of 200 files; try: repeat the command"), "{output}");
    beast.idle();
    assert!((5..200).contains(&answers(&recorded(&beast)).len()));
}

#[test]
fn two_maps_do_not_write_to_one_file() {
    let beast = Beast::start();
    let names = files(&beast, 200);
    let client = beast.begin(&arguments(&[], &names));
    eventually(|| !recorded(&beast).is_empty());
    let line = beast.run(&arguments(&[], &names)).failure(75).to_owned();
    assert!(line.contains("out is in use by another beastctl map"), "{line}");
    succeeds(&client.finish());
    assert_eq!(answers(&recorded(&beast)).len(), 200);
}
