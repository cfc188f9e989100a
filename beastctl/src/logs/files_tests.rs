use std::fs;

use super::*;
use crate::wait::WaitError;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn last(files: &[(&str, &str)], n: usize) -> String {
    let dir = folder(files);
    String::from_utf8(tail(&list(dir.path()).unwrap(), n, &Wait::default()).unwrap().bytes).unwrap()
}

#[test]
fn only_log_files_count_and_the_oldest_comes_first() {
    let dir =
        folder(&[("beastd.2026-11-23.log", ""), ("beastd.2026-11-22.log", ""), ("beastd.sock", ""), ("a.log", "")]);
    let names = list(dir.path()).unwrap();
    assert!(names.len() == 2 && names[0].ends_with("beastd.2026-11-22.log"), "{names:?}");
    assert_eq!(list(&dir.path().join("missing")).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn the_last_lines_may_be_of_several_days() {
    let files = [("beastd.2026-11-22.log", "a\nb\nc\n"), ("beastd.2026-11-23.log", "d\ne\n")];
    assert_eq!(last(&files, 0), "");
    assert_eq!(last(&files, 1), "e\n");
    assert_eq!(last(&files, 2), "d\ne\n");
    assert_eq!(last(&files, 4), "b\nc\nd\ne\n");
    assert_eq!(last(&files, 50), "a\nb\nc\nd\ne\n");
    assert_eq!(last(&[("beastd.1.log", "a\nb\nhalf")], 2), "b\nhalf");
    assert_eq!(last(&[("beastd.1.log", "")], 2), "");
}

/// Lines that span the blocks in which a file is read.
#[test]
fn long_files_are_read_from_their_end() {
    let lines: Vec<String> = (0..40_000).map(|n| format!("line {n}\n")).collect();
    let file = [("beastd.2026-11-23.log", lines.concat())];
    let file: Vec<(&str, &str)> = file.iter().map(|(name, text)| (*name, text.as_str())).collect();
    for n in [1, 50, 9_000, 39_999, 40_000, 50_000] {
        assert_eq!(last(&file, n), lines[lines.len().saturating_sub(n)..].concat(), "{n}");
    }
}

/// Ctrl-C works like the time limit, which has expired here before the first block.
#[test]
fn the_search_ends_when_nobody_waits_for_it() {
    let dir = folder(&[("beastd.2026-11-23.log", "a\nb\n")]);
    let over = Wait::default().limited(Some(Duration::ZERO));
    let ended = tail(&list(dir.path()).unwrap(), 100_000_000, &over);
    let ended = ended.unwrap_err();
    assert!(matches!(ended.find(), Some(WaitError::TimedOut(_))), "{ended:?}");
}
