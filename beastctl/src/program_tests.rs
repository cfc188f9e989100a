use std::path::PathBuf;

use super::*;

fn shell(script: &str) -> Result<Said, String> {
    ask(&PathBuf::from("/bin/sh"), &["-c", script], &Wait::default()).unwrap()
}

#[test]
fn an_answer_is_what_stands_on_stdout() {
    assert_eq!(shell("echo one; echo two >&2").unwrap().answer().unwrap(), "one\n");
}

#[test]
fn a_failure_is_told_in_the_words_of_the_program() {
    assert_eq!(shell("echo no >&2; exit 1").unwrap().answer().unwrap_err(), "no");
    assert_eq!(shell("exit 3").unwrap().answer().unwrap_err(), "it ended with exit status: 3");
    let missing = ask(&PathBuf::from("/no/such/program"), &["x"], &Wait::default()).unwrap();
    assert_eq!(missing.unwrap_err(), "No such file or directory (os error 2)");
}

/// More than a pipe holds.
#[test]
fn a_long_answer_does_not_keep_the_program() {
    assert_eq!(shell("head -c 200000 /dev/zero | tr '\\0' x").unwrap().answer().unwrap().len(), 200_000);
}
