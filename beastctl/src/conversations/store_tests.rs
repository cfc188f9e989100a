use std::{
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::*;
use crate::conversations::Said;
use crate::exit::Failing;

fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("data/conversations"));
    (dir, store)
}

fn exchange(question: &str) -> Exchange {
    Exchange::new(question.into(), Said { text: "yes".into(), model: "cub".into(), is_cut: false })
}

fn head() -> Head {
    Head::new("ask", "Be brief.")
}

fn say(store: &Store, name: &str, question: &str) {
    // While another test forks, its child briefly holds all open files, including locks that were just released.
    let until = Instant::now() + Duration::from_secs(30);
    let open = loop {
        match store.open(name) {
            Err(ConversationError::InUse(_)) if Instant::now() < until => std::thread::yield_now(),
            open => break open.unwrap(),
        }
    };
    open.append(&head(), &exchange(question)).unwrap();
}

fn questions(store: &Store, name: &str) -> Vec<String> {
    let conversation = store.read(name).unwrap().conversation;
    conversation.exchanges.into_iter().map(|exchange| exchange.question.content).collect()
}

fn names(store: &Store) -> Vec<String> {
    store.entries().unwrap().into_iter().map(|entry| entry.name).collect()
}

/// File times are too coarse for the speed of this test.
fn make_older(store: &Store, name: &str, seconds: u64) {
    let file = File::options().write(true).open(store.path(name).unwrap()).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[test]
fn a_conversation_grows_and_nobody_else_can_read_it() {
    let (_dir, store) = store();
    for question in ["a", "b", "c"] {
        say(&store, "talk", question);
    }
    assert_eq!(questions(&store, "talk"), ["a", "b", "c"]);
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode(&store.folder), 0o700);
    assert_eq!(mode(&store.path("talk").unwrap()), 0o600);
    fs::set_permissions(&store.folder, Permissions::from_mode(0o755)).unwrap();
    say(&store, "talk", "d");
    assert_eq!(mode(&store.folder), 0o700);
}

#[test]
fn a_conversation_in_which_nothing_is_said_leaves_no_trace() {
    let (_dir, store) = store();
    drop(store.open("talk").unwrap());
    drop(store.create(SystemTime::now()).unwrap());
    assert_eq!(fs::read_dir(&store.folder).unwrap().count(), 0);
    assert!(matches!(store.open_existing("talk"), Err(ConversationError::Unknown(_))));
}

/// A killed process leaves an empty file, which is neither a conversation nor an obstacle.
#[test]
fn an_empty_file_is_no_conversation() {
    let (_dir, store) = store();
    say(&store, "old", "a");
    fs::write(store.path("talk").unwrap(), "").unwrap();
    assert_eq!(store.latest().unwrap(), "old");
    assert!(matches!(store.read("talk"), Err(ConversationError::Unknown(_))));
    say(&store, "talk", "a");
    assert_eq!(questions(&store, "talk"), ["a"]);
}

#[test]
fn one_exchange_at_a_time() {
    let (_dir, store) = store();
    let open = store.open("talk").unwrap();
    for second in [store.open("talk"), store.open_existing("talk")] {
        let error = second.unwrap_err();
        assert!(matches!(error, ConversationError::InUse(_)), "{error:?}");
        assert_eq!(error.exit_code(), crate::exit::BUSY);
    }
    assert!(matches!(store.remove("talk"), Err(ConversationError::InUse(_))));
    open.append(&head(), &exchange("a")).unwrap();
    say(&store, "talk", "b");
    assert_eq!(questions(&store, "talk"), ["a", "b"]);
}

#[test]
fn two_writers_lose_nothing() {
    let (_dir, store) = store();
    // A deadline far above any real delay, so that a conversation that stays locked does not hang the test.
    let until = Instant::now() + Duration::from_secs(30);
    std::thread::scope(|scope| {
        for writer in ["x", "y"] {
            let store = &store;
            scope.spawn(move || {
                for n in 0..50 {
                    let open = loop {
                        match store.open("talk") {
                            Ok(open) => break open,
                            Err(ConversationError::InUse(_)) if Instant::now() < until => std::thread::yield_now(),
                            Err(error) => panic!("{error}"),
                        }
                    };
                    open.append(&head(), &exchange(&format!("{writer}{n}"))).unwrap();
                }
            });
        }
    });
    let questions = questions(&store, "talk");
    for writer in ["x", "y"] {
        let own: Vec<&String> = questions.iter().filter(|question| question.starts_with(writer)).collect();
        assert_eq!(own, (0..50).map(|n| format!("{writer}{n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    }
    assert_eq!(questions.len(), 100);
}

#[test]
fn a_damaged_end_is_mended_by_the_next_exchange() {
    for len in [20, 200, 330] {
        let (_dir, store) = store();
        say(&store, "talk", "a");
        say(&store, "talk", "b");
        let path = store.path("talk").unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..len]).unwrap();
        let open = store.open("talk").unwrap();
        assert!(open.is_damaged(), "{len}");
        let n_left = open.conversation().map_or(0, |conversation| conversation.exchanges.len());
        open.append(&head(), &exchange("c")).unwrap();
        let questions = questions(&store, "talk");
        assert_eq!(questions.len(), n_left + 1, "{len}");
        assert_eq!(questions.last().unwrap(), "c");
        assert!(!store.read("talk").unwrap().is_damaged);
    }
}

#[test]
fn a_missing_last_newline_is_no_damage() {
    let (_dir, store) = store();
    say(&store, "talk", "a");
    let path = store.path("talk").unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.trim_end()).unwrap();
    say(&store, "talk", "b");
    assert_eq!(questions(&store, "talk"), ["a", "b"]);
}

#[test]
fn a_damaged_middle_is_told_and_not_written_to() {
    let (dir, store) = store();
    say(&store, "talk", "a");
    let path = store.path("talk").unwrap();
    let damaged = fs::read_to_string(&path).unwrap().replacen("\"role\"", "\"rule\"", 1);
    fs::write(&path, &damaged).unwrap();
    let error = store.open("talk").unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR");
    assert!(error.starts_with("DIR/data/conversations/talk.jsonl:2: not a turn"), "{error}");
    fs::write(&path, "{\"version\":9}\n").unwrap();
    let error = store.open("talk").unwrap_err();
    assert!(matches!(error, ConversationError::OtherVersion { version: 9, .. }), "{error:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"version\":9}\n");
}

#[test]
fn automatic_ones_are_bounded_and_named_ones_stay() {
    let (_dir, mut store) = store();
    store.max_automatic = 3;
    say(&store, "talk", "a");
    make_older(&store, "talk", 1000);
    let time = |n| SystemTime::UNIX_EPOCH + Duration::from_secs(n);
    for n in 0..3 {
        store.create(time(n)).unwrap().append(&head(), &exchange("a")).unwrap();
        make_older(&store, &names::automatic(time(n), 1), 100 - n);
    }
    // Used again, so that another one is the least recently used.
    let used = names::automatic(time(0), 1);
    say(&store, &used, "b");
    store.create(time(9)).unwrap().append(&head(), &exchange("a")).unwrap();
    let mut left = names(&store);
    left.sort();
    assert_eq!(left, [used, names::automatic(time(2), 1), names::automatic(time(9), 1), "talk".into()]);
}

#[test]
fn two_that_begin_in_one_second_have_two_names() {
    let (_dir, store) = store();
    let first = store.create(SystemTime::UNIX_EPOCH).unwrap();
    let second = store.create(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!((first.name(), second.name()), ("1970-01-01-000000", "1970-01-01-000000-2"));
}

#[test]
fn names_are_found_by_their_beginning() {
    let (_dir, store) = store();
    for name in ["parser", "parser-2", "other"] {
        say(&store, name, "a");
    }
    assert_eq!(store.find("o").unwrap(), "other");
    assert_eq!(store.find("parser").unwrap(), "parser", "a whole name is never ambiguous");
    assert!(matches!(store.find("par"), Err(ConversationError::Ambiguous { names, .. }) if names.len() == 2));
    assert!(matches!(store.find("x"), Err(ConversationError::Unknown(_))));
    assert!(matches!(store.find("../x"), Err(ConversationError::Name(_))));
}

#[test]
fn a_new_name_never_covers_another_conversation() {
    let (_dir, store) = store();
    say(&store, "a", "1");
    say(&store, "b", "2");
    assert!(matches!(store.rename("a", "b"), Err(ConversationError::Taken(_))));
    assert!(matches!(store.rename("a", "2026-11-23-071530"), Err(ConversationError::Automatic(_))));
    assert!(matches!(store.rename("x", "c"), Err(ConversationError::Unknown(_))));
    store.rename("a", "c").unwrap();
    assert_eq!((questions(&store, "b"), questions(&store, "c")), (vec!["2".into()], vec!["1".into()]));
    assert!(!store.has_file("a"));
}

#[test]
fn what_is_no_file_is_no_conversation() {
    let (dir, store) = store();
    say(&store, "a", "1");
    fs::create_dir(store.folder.join("folder.jsonl")).unwrap();
    symlink(dir.path().join("nowhere"), store.folder.join("link.jsonl")).unwrap();
    fs::write(store.folder.join("notes.txt"), "x").unwrap();
    assert_eq!(names(&store), ["a"]);
    assert!(matches!(store.open("folder"), Err(ConversationError::File { .. })));
    assert!(matches!(Store::at(store.path("a").unwrap()).open("x"), Err(ConversationError::File { .. })));
}

/// The process that renames also holds the new name once it is reserved.
#[test]
fn nothing_is_said_into_a_name_that_is_about_to_be_given() {
    for _ in 0..20 {
        let (_dir, store) = store();
        say(&store, "a", "1");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let speaker = scope.spawn(|| {
                let mut n = 0;
                while !done.load(Ordering::SeqCst) {
                    if let Ok(open) = store.open("b") {
                        open.append(&head(), &exchange("2")).unwrap();
                        n += 1;
                    }
                }
                n
            });
            let renamed = store.rename("a", "b");
            done.store(true, Ordering::SeqCst);
            let n_said = speaker.join().unwrap();
            assert_eq!(questions(&store, "b").len(), n_said + usize::from(renamed.is_ok()));
        });
    }
}
