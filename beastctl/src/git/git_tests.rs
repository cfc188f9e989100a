use std::{env, io, time::Duration};

use super::*;
use crate::{git::Staged, wait::WaitError};

#[test]
fn a_subcommand_is_known_among_its_options() {
    assert_eq!(name(&["-c", "core.quotePath=false", "diff", "--cached"]), "diff");
    assert_eq!(name(&["rev-parse", "--git-dir"]), "rev-parse");
}

#[test]
fn git_says_why_in_its_first_line() {
    let words = b"\nwarning: LF will be replaced\n fatal: no\nusage: git";
    assert_eq!(first_line(words).as_deref(), Some("fatal: no"));
    assert_eq!(first_line(b" \n"), None);
}

#[test]
fn outside_of_a_repository_every_command_says_so() {
    // Inside of a hook git is told where the repository is.
    if env::var_os("GIT_DIR").is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wait = Wait::default();
    let error = Staged::read(Git::new(&wait).at(dir.path())).unwrap_err();
    assert!(
        matches!(&error, GitError::Failed { command, reason }
        if command == "diff" && reason.starts_with("fatal: not a git repository")),
        "{error}"
    );
}

/// The input and the answer are both longer than a pipe holds.
#[test]
fn git_is_heard_while_it_still_reads() {
    let wait = Wait::default();
    let paths: Vec<u8> = (0..100_000).flat_map(|n| format!("some/path/{n}\0").into_bytes()).collect();
    let dir = tempfile::tempdir().unwrap();
    let git = Git::new(&wait).at(dir.path());
    git.output(&["init", "-q"]).unwrap();
    let answer = git.answer(&["check-attr", "-z", "--stdin", "linguist-generated"], paths).unwrap();
    assert_eq!(answer.iter().filter(|byte| **byte == 0).count(), 300_000);
}

#[test]
fn git_is_not_waited_for_longer_than_the_limit() {
    let wait = Wait::default().limited(Some(Duration::from_millis(50)));
    // It reads to an end that never comes.
    let (reader, _writer) = io::pipe().unwrap();
    let mut command = Command::new("git");
    command.args(["hash-object", "--stdin"]).stdin(reader).stdout(Stdio::piped());
    let mut running = Running { child: command.spawn().unwrap(), words: None };
    let stdout = running.child.stdout.take().unwrap();
    assert!(matches!(wait.ready(stdout.as_fd(), PollFlags::IN, None), Err(WaitError::TimedOut(_))));
    // Waits for the end of git, which comes because it is ended.
    drop(running);
}

/// What git has left behind keeps its stderr open, and has its words to itself.
#[test]
fn nobody_who_keeps_stderr_keeps_us() {
    let wait = Wait::default().limited(Some(Duration::from_secs(20)));
    let (heard, words) = mpsc::channel();
    let mut child = Command::new("sh")
        .args(["-c", "sleep 60 & echo \"$!\"; echo 'fatal: broken' >&2; exit 3"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = child.stderr.take().unwrap();
    let mut stdout = io::BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || hear(stderr, &heard));
    let mut pid = String::new();
    io::BufRead::read_line(&mut stdout, &mut pid).unwrap();
    let begun = Instant::now();
    let error = Running { child, words: Some(words) }.finish(&wait, &["status"]).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(error.to_string(), "git status failed: fatal: broken");
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn the_end_of_git_is_not_waited_for_longer_than_the_limit() {
    let wait = Wait::default().limited(Some(Duration::from_millis(50)));
    let (reader, _writer) = io::pipe().unwrap();
    let child = Command::new("cat").stdin(reader).spawn().unwrap();
    let ended = Running { child, words: None }.finish(&wait, &["status"]);
    assert!(matches!(ended, Err(GitError::Wait(WaitError::TimedOut(_)))));
}
