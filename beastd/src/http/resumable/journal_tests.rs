use std::fs::FileTimes;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::*;
use crate::http::resumable::streams::KEPT;

pub(in crate::http::resumable) fn head(id: &str) -> Head {
    let body = json!({ "messages": [{ "role": "user", "content": "Hello" }], "stream": true });
    Head {
        protocol: beast_protocol::VERSION,
        id: id.to_owned(),
        identity: Identity::new("chatcmpl", "chat.completion", String::new()),
        body: body.as_object().expect("it is one").clone(),
        model: None,
        priority: Priority::Background,
        started_at: 7,
    }
}

/// A journal that writes to this file.
pub(in crate::http::resumable) fn journal_on(file: File) -> Journal {
    Journal { file }
}

fn written(folder: &Path, id: &str, says: &[&str], is_done: bool) -> PathBuf {
    let mut journal = Journal::begin(folder, &head(id)).expect("the folder is writable");
    for (n, bytes) in (1..).zip(says) {
        let line = entry(bytes, None, is_done && n == says.len()).expect("it is text");
        journal.write(&line).expect("the disk has room");
    }
    path(folder, id)
}

fn make_older(path: &Path, age: Duration) {
    let file = File::options().append(true).open(path).expect("it is there");
    file.set_times(FileTimes::new().set_modified(SystemTime::now() - age)).expect("it is ours");
}

#[test]
fn what_is_left_on_disk_is_found_by_name() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    written(folder.path(), "done", &["12345", "678"], true);
    let torn = written(folder.path(), "torn", &["12345"], false);
    let mut file = File::options().append(true).open(&torn).expect("it is there");
    file.write_all(b"{\"bytes\":\"12").expect("the disk has room");
    let mut found = scan(folder.path(), 10);
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let found: Vec<_> = found.iter().map(|(id, it)| (id.as_str(), it.started_at, it.n_bytes, it.is_done)).collect();
    assert_eq!(found, [("done", 7, 8, true), ("torn", 7, 5, false)]);
    let Found { head, entries, mut journal, .. } =
        Journal::find(folder.path(), "torn").expect("it can be read").expect("it is there");
    assert_eq!((head.priority, entries.len()), (Priority::Background, 1));
    journal.write(&entry("6", None, true).expect("it is text")).expect("the disk has room");
    drop(journal);
    let (_, summary) = scan(folder.path(), 10).into_iter().find(|(id, _)| id == "torn").expect("it is there");
    assert_eq!((summary.n_bytes, summary.is_done), (6, true), "what was torn off is gone");
}

#[test]
fn age_counts_from_the_last_write_and_reading_does_not_change_it() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let young = written(folder.path(), "young", &["1"], true);
    let old = written(folder.path(), "old", &["1"], true);
    make_older(&young, Duration::from_secs(KEPT - 60));
    make_older(&old, Duration::from_secs(KEPT + 1));
    let before = fs::metadata(&young).and_then(|metadata| metadata.modified()).expect("it has a time");
    let ids: Vec<_> = scan(folder.path(), 10).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["young"]);
    assert!(!old.exists());
    Journal::find(folder.path(), "young").expect("it can be read").expect("it is there");
    assert_eq!(fs::metadata(&young).and_then(|metadata| metadata.modified()).expect("it has a time"), before);
}

#[test]
fn only_so_many_are_kept_and_nothing_that_is_of_no_use() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (id, age) in [("a", 30), ("b", 10), ("c", 20)] {
        make_older(&written(folder.path(), id, &["1"], true), Duration::from_secs(age));
    }
    let broken = folder.path().join("broken").with_extension(EXTENSION);
    fs::write(&broken, "not a head\n").expect("the folder is writable");
    let foreign = folder.path().join("foreign.txt");
    fs::write(&foreign, "").expect("the folder is writable");
    let ids: Vec<_> = scan(folder.path(), 2).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["b", "c"]);
    assert_eq!((path(folder.path(), "a").exists(), broken.exists(), foreign.exists()), (false, false, true));
}

#[test]
fn what_another_daemon_writes_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let journal = Journal::begin(folder.path(), &head("theirs")).expect("the folder is writable");
    assert_eq!(scan(folder.path(), 10), []);
    assert!(Journal::find(folder.path(), "theirs").is_err());
    assert!(path(folder.path(), "theirs").exists());
    drop(journal);
    assert_eq!(scan(folder.path(), 10).len(), 1);
}
