use std::{fs, io::Write as _};

use super::*;

#[test]
fn lines_come_whole_and_the_next_day_follows() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("beastd.2026-11-22.log"), dir.path().join("beastd.2026-11-23.log"));
    fs::write(&first, "old\n").unwrap();
    let mut follower = Follower::new(dir.path().to_owned(), first.clone(), 4);
    let mut news = || String::from_utf8(follower.news().unwrap()).unwrap();
    assert_eq!(news(), "");
    let mut file = fs::OpenOptions::new().append(true).open(&first).unwrap();
    file.write_all("one\nh\u{e4}lf".as_bytes()).unwrap();
    assert_eq!(news(), "one\n");
    file.write_all(b" done\nlast").unwrap();
    fs::write(&second, "new\n").unwrap();
    assert_eq!(news(), "h\u{e4}lf done\nlast");
    assert_eq!(news(), "new\n");
    // The file was truncated by hand.
    fs::write(&second, "a\n").unwrap();
    assert_eq!(news(), "a\n");
    fs::remove_file(&second).unwrap();
    assert_eq!(news(), "");
}
