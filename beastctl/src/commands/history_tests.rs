use std::fs;

use expect_test::expect;

use super::*;
use crate::conversations::{Head, Said};
use crate::exit;

fn conversation(exchanges: &[(&str, &str, bool)]) -> Conversation {
    let mut conversation = Conversation::new(Head::new("ask", ""));
    for (question, answer, is_cut) in exchanges {
        let said = Said { text: (*answer).into(), model: "cub".into(), is_cut: *is_cut };
        conversation.push(Exchange::new((*question).into(), said));
    }
    conversation
}

#[test]
fn a_list_is_cut_to_the_width() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let row = |name: &str, seconds, conversation| {
        (Entry { name: name.into(), modified: now - Duration::from_secs(seconds) }, conversation)
    };
    let long = "a question\nof two lines that goes on and on";
    let rows = [
        row("2026-11-23-071530", 5, conversation(&[("hi", "yes", false)])),
        row("parser", 90_000, conversation(&[(long, "yes", false), ("b", "yes", false)])),
        row("empty", 7200, conversation(&[])),
    ];
    expect![[r#"
        2026-11-23-071530    5s     1 turn  hi
        parser               1d    2 turns  a question of two l…
        empty                2h    0 turns
    "#]]
    .assert_eq(&table(&rows, now, 56));
    assert!(table(&rows, now, 3).contains("a questio…"), "never nothing at all");
    assert!(table(&rows[1..2], now, 200).contains("on and on\n"));
    let later = table(&rows[..1], now - Duration::from_secs(60), 80);
    assert!(later.contains(" 0s "), "a clock that was set back: {later}");
}

#[test]
fn a_conversation_reads_as_markdown() {
    let conversation = conversation(&[("a\n\nb\n", "yes\n- so", false), ("c", "half", true)]);
    let text = conversation.exchanges.iter().map(markdown).collect::<Vec<_>>().join("\n");
    expect![[r#"
        > a
        >
        > b

        yes
        - so

        > c

        half […]
    "#]]
    .assert_eq(&text);
}

#[test]
fn one_in_use_does_not_keep_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("conversations"));
    for name in ["a", "b", "c"] {
        let said = Said { text: "yes".into(), model: "cub".into(), is_cut: false };
        store.open(name).unwrap().append(&Head::new("ask", ""), &Exchange::new("?".into(), said)).unwrap();
    }
    fs::write(store.typed_lines(), "?").unwrap();
    let _open = store.open("b").unwrap();
    let error = remove_all(&store, true, Console::new(true, None)).unwrap_err();
    assert_eq!(error.code(), exit::BUSY);
    assert!(store.has_file("b") && !store.has_file("a") && !store.has_file("c") && !store.typed_lines().exists());
}
