use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use beast_protocol::WireError;

use super::*;

#[test]
fn names_keep_all_their_bytes() {
    assert_eq!(named(Path::new("ä b")), json!({"file": "ä b"}));
    let odd = named(Path::new(OsStr::from_bytes(b"a\xff")));
    assert_eq!(odd["file"], "a\u{fffd}");
    let bytes = STANDARD.decode(odd["file_base64"].as_str().unwrap()).unwrap();
    assert_eq!(bytes, b"a\xff");
}

#[test]
fn an_answer_is_led_by_its_file_and_followed_by_its_hash() {
    let line = answer_line(Path::new("a"), json!({"text": "It is."}), &Stamp::of(&[1; 32]));
    assert_eq!(line.to_string(), format!(r#"{{"file":"a","text":"It is.","hash":"{}"}}"#, "01".repeat(16)));
}

#[test]
fn only_what_every_file_would_meet_ends_the_work() {
    let of_daemon = |code| Failure::from(ClientError::Daemon(WireError::new(code, "it failed")));
    for code in [ErrorCode::TooLong, ErrorCode::Invalid, ErrorCode::Engine, ErrorCode::Internal] {
        assert!(!ends_all(&of_daemon(code)), "{code:?}");
    }
    for code in [ErrorCode::ModelUnavailable, ErrorCode::Overloaded, ErrorCode::ShuttingDown] {
        assert!(ends_all(&of_daemon(code)), "{code:?}");
    }
    assert!(ends_all(&WaitError::Interrupted.into()) && ends_all(&WaitError::ReaderGone.into()));
    assert!(!ends_all(&WaitError::TimedOut(Duration::from_secs(1)).into()), "--timeout is for each file");
    assert!(!ends_all(&ClientError::Lost.into()), "one text can end a daemon");
}

#[test]
fn the_progress_says_what_is_left() {
    let since = Instant::now();
    let tally = Tally { n_files: 2000, n_answered: 100, n_skipped: 23, n_failed: 2, n_tokens: 500, since };
    let text = tally.text(since + Duration::from_secs(10));
    assert_eq!(text, "123 done, 2 failed, 1,875 left, 50.0 tokens/s");
}
