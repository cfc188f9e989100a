//! Limits on the number and size of log files, and their modes.

use super::*;

const DAY: &str = "2026-11-26";

fn sorted(folder: &Path) -> Vec<String> {
    let mut names = names(folder).expect("readable");
    names.sort();
    names
}

#[test]
fn a_full_file_is_followed_by_another_and_the_oldest_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = LogFiles::at(folder.path(), 3, 100, DAY).expect("writable");
    for n in 0..50 {
        assert_eq!(files.write_at(format!("line {n:04}\n").as_bytes(), DAY).expect("writable"), 10);
    }
    let expected = [3, 4, 5].map(|part| format!("beastd.{DAY}.part{part:03}.log"));
    assert_eq!(sorted(folder.path()), expected);
    let text: String =
        expected.iter().map(|name| fs::read_to_string(folder.path().join(name)).expect("text")).collect();
    let lines: Vec<_> = (20..50).map(|n| format!("line {n:04}")).collect();
    assert_eq!(text.lines().collect::<Vec<_>>(), lines, "in the order of the names");
}

#[test]
fn a_new_day_and_a_new_process_go_on_where_they_should() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = LogFiles::at(folder.path(), 9, 100, DAY).expect("writable");
    files.write_at(&[b'x'; 99], DAY).expect("writable");
    files.write_at(b"yy", DAY).expect("writable");
    files.write_at(b"zz", "2026-11-27").expect("writable");
    drop(files);
    let names = ["beastd.2026-11-26.log", "beastd.2026-11-26.part002.log", "beastd.2026-11-27.log"];
    assert_eq!(sorted(folder.path()), names);
    let mut again = LogFiles::at(folder.path(), 9, 100, DAY).expect("writable");
    again.write_at(b"!", DAY).expect("writable");
    assert_eq!(fs::read_to_string(folder.path().join(names[1])).expect("text"), "yy!");
    assert_eq!(sorted(folder.path()), names);
}

#[test]
fn nobody_else_reads_them_and_a_pipe_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    let old = logs.join(name(&today(), 1));
    fs::create_dir(&logs).expect("ours");
    fs::write(&old, "old\n").expect("ours");
    fs::set_permissions(&old, Permissions::from_mode(0o644)).expect("ours");
    let mut files = LogFiles::open(&logs, 7).expect("writable");
    files.write_all(b"new\n").expect("writable");
    assert_eq!(fs::metadata(&old).expect("there").permissions().mode() & 0o777, 0o600);
    let made = folder.path().join("made/logs");
    LogFiles::open(&made, 7).expect("writable");
    assert_eq!(fs::metadata(&made).expect("there").permissions().mode() & 0o777, 0o700);

    let piped = folder.path().join("piped");
    fs::create_dir(&piped).expect("ours");
    let pipe = piped.join(name(&today(), 1));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    assert!(LogFiles::open(&piped, 7).is_err(), "nobody waits for a reader");
}
