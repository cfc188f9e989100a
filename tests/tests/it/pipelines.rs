//! Pipelines as users type them, with the real programs.

use beast_tests::samples::{TEXT, document};
use beast_tests::{Beast, Output, run};

#[track_caller]
fn shell(beast: &Beast, line: &str) -> Output {
    run(&mut beast.shell(line), "")
}

fn is_one_answer(output: &Output) -> bool {
    output.code == Some(0)
        && !output.stdout.trim().is_empty()
        && output.stdout.ends_with('\n')
        && !output.stdout.ends_with("\n\n")
}

/// Ten megabytes without content: five million lines, thousands of identical parts.
#[test]
fn yes_can_be_summarized() {
    let beast = Beast::start();
    beast.ready();
    let output = shell(&beast, "yes | head -c 10M | beastctl summarize --max-tokens 20");
    assert!(is_one_answer(&output), "{output:?}");
    let n_computed = beast.status().n_prompt_tokens;
    assert!(n_computed < 100_000, "equal parts are read once, and not five million tokens: {n_computed}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let beast = Beast::start();
    let output = shell(&beast, "beastctl ask 'What is git?' | head -c 1");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_eq!(output.stdout.len(), 1);
    beast.idle();
}

#[test]
fn nothing_is_told_to_be_nothing() {
    let beast = Beast::start();
    let output = shell(&beast, "beastctl summarize < /dev/null");
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""));
    assert!(output.stderr.contains("the input is empty; try: "), "{}", output.stderr);
}

#[test]
fn several_files_and_paths_with_blanks_are_one_input() {
    let beast = Beast::start();
    beast.write("my notes/first one.md", TEXT);
    beast.write("my notes/second.md", document(20));
    let output = shell(&beast, "cd 'my notes' && beastctl summarize *.md");
    assert!(is_one_answer(&output), "{output:?}");
    // Together they do not fit, and each part names the file that it comes from.
    beast.write("my notes/third.md", document(500));
    let output = shell(&beast, "cd 'my notes' && beastctl summarize --max-tokens 40 *.md");
    assert!(is_one_answer(&output), "{output:?}");
}

/// Only Linux has this option. It restores SIGINT as in an interactive shell, because background processes inherit
/// that it is ignored.
#[cfg(target_os = "linux")]
const AS_TYPED: &str = "exec env --default-signal=INT sh -c";

/// A shell's Ctrl-C reaches the whole pipeline; here it reaches the process that waits for an endless text.
#[cfg(target_os = "linux")]
#[test]
fn an_input_without_an_end_can_be_interrupted() {
    use std::os::unix::process::CommandExt;

    use beast_tests::{Running, eventually};
    use rustix::process::Signal;

    let beast = Beast::start();
    beast.write("log", "started\n");
    let mut line = beast.shell(&format!("{AS_TYPED} 'tail -f log | tee read | beastctl summarize'"));
    let running = Running::start(line.process_group(0), "");
    eventually(|| std::fs::read_to_string(beast.path("read")).is_ok_and(|text| text == "started\n"));
    running.signal_group(Signal::INT);
    let output = running.finish();
    assert_eq!(output.stdout, "");
    assert_ne!(output.code, Some(0));
}

#[test]
fn without_a_terminal_as_over_ssh_there_is_nothing_but_the_answer() {
    let beast = Beast::start();
    beast.ready();
    beast.write("text", TEXT);
    let lines = [
        "setsid beastctl summarize text < /dev/null",
        "unset LANG TERM XDG_SESSION_ID; LANG=C LC_ALL=C beastctl summarize < text",
        "TERM=dumb NO_COLOR=1 beastctl summarize text",
        "cat text | nohup beastctl summarize",
    ];
    let outputs: Vec<_> = lines.iter().map(|line| shell(&beast, line)).collect();
    for (line, output) in lines.iter().zip(&outputs) {
        assert!(is_one_answer(output) && output.stderr.is_empty(), "{line}: {output:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_fails() {
    let beast = Beast::start();
    beast.write("text", TEXT);
    for options in ["", "--no-stream", "--json", "--stream-json"] {
        let output = shell(&beast, &format!("beastctl summarize {options} text > /dev/full"));
        assert_eq!(output.code, Some(1), "{options}: {output:?}");
        assert!(output.stderr.contains("No space left") && output.stderr.contains("; try: "), "{}", output.stderr);
    }
}
