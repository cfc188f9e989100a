use super::*;
use crate::{client::ClientError, start::StartError};

#[test]
fn only_a_missing_source_asks_for_a_message() {
    for source in ["message", "merge", "squash", "commit", "something new"] {
        assert!(is_unwanted(Some(&source.into())), "{source}");
    }
    assert!(!is_unwanted(Some(&"template".into())), "it may be comments alone");
}

#[test]
fn a_note_is_one_line_that_says_what_to_do() {
    let limit = Duration::from_secs(10);
    let late = Failure::from(GitError::Wait(WaitError::TimedOut(limit)));
    let advice = "try: git config beast.hookTimeout 30s";
    assert_eq!(reason(&late, None), format!("no message in time; {advice}"));
    for error in [
        Failure::from(StartError::Client(ClientError::Wait(WaitError::TimedOut(limit)))),
        StartError::Wait(WaitError::TimedOut(limit)).into(),
        ClientError::Wait(WaitError::TimedOut(limit)).into(),
    ] {
        let error = suggest::while_doing(error, Late::Loading);
        assert_eq!(reason(&error, None), format!("no message in time: the model was still loading; {advice}"));
    }
    assert_eq!(reason(&Broken::Setting("a\nb".into()).into(), None), "no message: a b");
    assert_eq!(
        reason(&ClientError::Lost.into(), None),
        "no message: beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason"
    );
}

#[test]
fn a_panic_is_a_failure_with_words() {
    let note = |work: fn() -> Result<()>| reason(&guarded(work).unwrap_err(), None);
    assert_eq!(note(|| panic!("number {}\n", 7)), "no message: it crashed: number 7");
    assert_eq!(note(|| panic!("plain")), "no message: it crashed: plain");
    assert_eq!(note(|| panic::panic_any(7_u8)), "no message: it crashed: without output");
    let _ = panic::take_hook();
}

#[test]
fn a_limit_that_no_clock_reaches_is_none() {
    let now = Instant::now();
    assert_eq!(end(now, Duration::from_secs(1)), Some(now + Duration::from_secs(1) + GRACE));
    assert_eq!(end(now, Duration::MAX), None);
    assert_eq!(end(now, Duration::from_secs(u64::MAX / 2)), None);
}
