use super::*;

#[test]
fn little_room_is_a_warning_and_hardly_any_a_problem() {
    let verdict = |n| judge("cache", Path::new("/c"), n).map(|finding| finding.verdict);
    assert_eq!(verdict(2 * ENOUGH), None);
    assert_eq!(verdict(ENOUGH - 1), Some(Verdict::Warning));
    assert_eq!(verdict(LITTLE), Some(Verdict::Warning));
    assert_eq!(verdict(LITTLE - 1), Some(Verdict::Problem));
    assert_eq!(verdict(0), Some(Verdict::Problem));
}

#[test]
fn a_folder_that_is_not_there_yet_has_the_room_above_it() {
    let dir = tempfile::tempdir().unwrap();
    assert!(look(&dir.path().join("a/b/c")).unwrap().unwrap() > 0);
    std::fs::write(dir.path().join("a"), "").unwrap();
    let (path, error) = look(&dir.path().join("a/b/c")).unwrap_err();
    assert_eq!((path, error.kind()), (dir.path().join("a"), io::ErrorKind::NotADirectory));
}

/// A file system without blocks is not full.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_none_says_nothing_of_its_room() {
    let own = format!("/proc/{}/task", std::process::id());
    // Users other than root may not be able to write there.
    assert!(matches!(look(Path::new(&own)), Ok(None) | Err(_)));
}
