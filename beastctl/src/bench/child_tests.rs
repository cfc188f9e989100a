use std::{io::Read, os::unix::process::ExitStatusExt};

use super::*;

/// Waits for the end of stdout, which comes when no process holds it any more: neither the program nor its children.
fn is_gone(stdout: Option<std::process::ChildStdout>) -> bool {
    stdout.unwrap().read_to_end(&mut Vec::new()).is_ok()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A program that runs until it is killed.
fn endless() -> Command {
    let mut command = OwnChild::command("tail");
    command.args(["-f", "/dev/null"]).stdout(Stdio::piped());
    command
}

#[test]
fn a_program_of_ours_does_not_outlive_its_handle() {
    let folder = folder();
    let mut own = OwnChild::spawn(&mut endless(), folder.path()).unwrap();
    assert_eq!(own.status().unwrap(), None);
    let stdout = own.child.stdout.take();
    drop(own);
    assert!(is_gone(stdout));
    assert!(folder.path().exists(), "whoever made it removes it");
}

/// Simulates the death of this process: the pipe to the guard ends without `well`.
#[test]
fn the_guard_kills_it_when_we_are_gone() {
    let folder = folder();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut own = OwnChild::spawn(&mut endless(), folder.path()).unwrap();
    let mut guard = own.guard.take().unwrap();
    drop(guard.stdin.take());
    assert!(guard.wait().unwrap().success());
    assert_eq!(own.child.wait().unwrap().signal(), Some(9));
    assert!(!folder.path().exists());
}

#[test]
fn a_program_that_has_ended_is_left_alone() {
    let mut own = OwnChild::spawn(&mut OwnChild::command("true"), folder().path()).unwrap();
    assert!(own.child.wait().unwrap().success());
    assert!(own.status().unwrap().is_some_and(|status| status.success()));
}
