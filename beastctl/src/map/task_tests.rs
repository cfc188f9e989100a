use std::fs;

use clap::Parser;

use super::*;
use crate::cli::{Cli, Verb};

fn task(arguments: &[&str]) -> Task {
    let cli = Cli::parse_from([&["beastctl", "map"], arguments, &["file"]].concat());
    let Verb::Map(options) = cli.verb else { panic!("it is map") };
    Task::new(&options).unwrap()
}

fn asked(task: &Task, name: &str, text: &str) -> (Asked, Stamp) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let asked = task.asked(&path, &Wait::default()).unwrap();
    // Not the path, which differs each time.
    let stamp = task.stamp(Path::new(name), &asked);
    (asked, stamp)
}

#[test]
fn the_name_of_a_prompt_and_words_of_ones_own_ask_as_run_and_ask_do() {
    let (of_prompt, _) = asked(&task(&["summarize"]), "a", "A text.");
    assert_eq!(of_prompt.request.messages.last().unwrap().content, "A text.");
    let (of_words, _) = asked(&task(&["Which language is it?"]), "a", "A text.");
    let content = &of_words.request.messages.last().unwrap().content;
    assert!(content.starts_with("==> ") && content.ends_with("/a <==\nA text.\n\nWhich language is it?"), "{content}");
    assert_eq!(of_prompt.request.priority, Priority::Background);
}

#[test]
fn a_stamp_changes_with_all_that_changes_the_answer() {
    let stamp = |arguments: &[&str], name: &str, text: &str| asked(&task(arguments), name, text).1;
    let first = stamp(&["summarize"], "a", "A text.");
    assert_eq!(stamp(&["summarize"], "a", "A text."), first);
    assert_eq!(stamp(&["summarize", "-j", "3", "--strict"], "a", "A text."), first, "these do not change it");
    let others = [
        stamp(&["summarize"], "b", "A text."),
        stamp(&["summarize"], "a", "A text!"),
        stamp(&["tldr"], "a", "A text."),
        stamp(&["summarize", "--max-tokens", "9"], "a", "A text."),
        stamp(&["summarize", "--temp", "0.3"], "a", "A text."),
        stamp(&["summarize", "--schema", "name text"], "a", "A text."),
        stamp(&["summarize", "-x"], "a", "A text."),
        stamp(&["summarize", "--extract-json"], "a", "A text."),
    ];
    assert!(!others.contains(&first), "{others:?}");
}

#[test]
fn an_empty_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, " \n").unwrap();
    for words in ["summarize", "What is it?"] {
        let refused = task(&[words]).asked(&path, &Wait::default());
        assert!(matches!(refused, Err(InputError::Empty { .. })), "{words}");
    }
}
