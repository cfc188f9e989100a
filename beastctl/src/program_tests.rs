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
    assert_eq!(shell("exit 3").unwrap().answer().unwrap_err(), "it exited with exit status: 3");
    let missing = ask(&PathBuf::from("/no/such/program"), &["x"], &Wait::default()).unwrap();
    assert_eq!(missing.unwrap_err(), "No such file or directory (os error 2)");
}

/// More than a pipe holds.
#[test]
fn a_long_answer_does_not_keep_the_program() {
    assert_eq!(shell("head -c 200000 /dev/zero | tr '\\0' x").unwrap().answer().unwrap().len(), 200_000);
}

fn start(script: &str) -> Running {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(&mut command, Vec::new()).unwrap()
}

#[test]
fn a_program_is_not_waited_for_longer_than_the_limit() {
    // It reads to an end that never comes.
    let wait = Wait::default().limited(Some(Duration::from_millis(50)));
    let timed_out = |error| matches!(error, RunError::Wait(WaitError::TimedOut(_)));
    assert!(timed_out(start("exec sleep 60").stream(&wait, |_| true).unwrap_err()));
    let wait = Wait::default().limited(Some(Duration::from_millis(50)));
    assert!(timed_out(start("exec sleep 60").status(None, &wait, || {}).unwrap_err()));
    let slow = start("exec sleep 60").status(Some(Duration::from_millis(50)), &Wait::default(), || {});
    assert!(matches!(slow, Err(RunError::Slow(_))));
}

#[test]
fn a_stream_ends_when_enough_has_come() {
    let mut running = start("echo one; exec sleep 60");
    assert!(!running.stream(&Wait::default(), |bytes| bytes != b"one\n").unwrap());
    let mut all = Vec::new();
    let mut running = start("printf one; printf two; echo three >&2");
    assert!(
        running
            .stream(&Wait::default(), |bytes| {
                all.extend_from_slice(bytes);
                true
            })
            .unwrap()
    );
    assert!(running.status(None, &Wait::default(), || {}).unwrap().success());
    assert_eq!((all.as_slice(), running.stderr().as_str()), (&b"onetwo"[..], "three\n"));
}

/// An orphan of the program keeps its stderr open: nothing waits for that, and the program's own message is kept.
#[test]
fn nobody_who_keeps_stderr_keeps_us() {
    let wait = Wait::default().limited(Some(Duration::from_secs(20)));
    let mut running = start("sleep 60 & echo \"$!\"; echo 'fatal: broken' >&2; exit 3");
    let mut pid = Vec::new();
    running
        .stream(&wait, |bytes| {
            pid.extend_from_slice(bytes);
            !pid.ends_with(b"\n")
        })
        .unwrap();
    assert_eq!(running.status(None, &wait, || {}).unwrap().code(), Some(3));
    assert_eq!(running.stderr(), "fatal: broken\n");
    let pid = String::from_utf8(pid).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn what_is_left_alone_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("done");
    let script = format!("read -r line; echo \"$line\" > {0}.part; mv {0}.part {0}", path.display());
    let mut command = Command::new("/bin/sh");
    drop(Running::start(command.args(["-c", &script]), b"on\n".to_vec()).unwrap().left_alone());
    let until = Instant::now() + Duration::from_secs(20);
    while !path.exists() && Instant::now() < until {
        thread::yield_now();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), "on\n");
}
