use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn a_name_is_a_file_in_the_folder_and_no_option() {
    for name in ["a", "Parser-2_b.c", "ünïcode", "日記", "2026-11-23-071530", "x".repeat(64).as_str()] {
        assert!(check(name).is_ok(), "{name}");
    }
    for name in [
        "",
        ".",
        "..",
        ".a",
        "-a",
        "a/b",
        "a b",
        "a\u{202e}b",
        "a\u{301}",
        "a\n",
        "é".repeat(33).as_str(),
        "a\0",
        "x".repeat(65).as_str(),
    ] {
        assert!(matches!(check(name), Err(ConversationError::Name(_))), "{name:?}");
    }
}

#[test]
fn automatic_names_sort_as_their_times_and_are_recognized() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(automatic(at(1_795_418_130), 1), "2026-11-23-071530");
    assert_eq!(automatic(at(1_795_418_130), 2), "2026-11-23-071530-2");
    assert!(automatic(at(1_795_418_130), 7) < automatic(at(1_795_418_131), 1));
    for name in ["2026-11-23-071530", "2026-11-23-071530-12"] {
        assert!(is_automatic(name), "{name}");
    }
    for name in
        ["parser", "2026-11-23", "2026-11-23-07153", "2026-11-23-071530-", "2026-11-23-071530-x", "2026-11-23-0715301"]
    {
        assert!(!is_automatic(name), "{name}");
    }
}
