use std::fs;

use super::{super::file::MAX_LEN, *};

#[test]
fn every_built_in_prompt_is_whole() {
    for (name, _) in BUILT_IN {
        let prompt = load(name, None).unwrap();
        assert!(prompt.system.ends_with('.') && prompt.system.len() > 40, "{name}: {prompt:?}");
        assert!(prompt.description.as_ref().is_some_and(|text| !text.is_empty()), "{name} has no description");
        assert_eq!(prompt.instruction, "", "{name}");
        prompt.fill(&[]).unwrap_or_else(|error| panic!("{name} must work without -p: {error}"));
    }
    assert!(BUILT_IN.is_sorted(), "lists are easier to read in order");
}

/// The built-in model was trained on exactly these words.
#[test]
fn translate_says_what_it_always_said() {
    let prompt = load("translate", None).unwrap().fill(&[]).unwrap();
    let words = "Translate the text into English. Reply with only the translation. Keep the layout of the text.";
    assert_eq!(prompt.system, words);
    let prompt = load("translate", None).unwrap().fill(&[("to".into(), "French".into())]).unwrap();
    assert_eq!(prompt.system, words.replace("English", "French"));
}

#[test]
fn what_can_be_long_says_how_it_is_merged() {
    for name in ["summarize", "commit-msg"] {
        let reduce = load(name, None).unwrap().reduce.unwrap();
        assert!(reduce.ends_with('.') && !reduce.contains('\n'), "{name}: {reduce:?}");
    }
}

#[test]
fn only_a_likely_slip_is_corrected() {
    let nearest = |name: &str| match load(name, None) {
        Err(PromptError::Unknown { nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(nearest("sumarise").as_deref(), Some("summarize"));
    assert_eq!(nearest("commit").as_deref(), Some("commit-msg"));
    assert_eq!(nearest("tlrd").as_deref(), Some("tldr"));
    assert_eq!(nearest("sum").as_deref(), Some("summarize"));
    assert_eq!(nearest("horoscope"), None);
    // Two of three letters match, but that is another word.
    assert_eq!(nearest("foo"), None);
    assert_eq!(nearest("tl"), None);
}

#[test]
fn a_name_is_no_path_and_can_be_typed() {
    for name in ["", "..", ".hidden", "a/b", "/etc/passwd", "a\\b", "a\0b", "-x", "a\nb"] {
        assert!(matches!(load(name, None), Err(PromptError::Name(_))), "{name:?}");
    }
    assert!(matches!(load("with a space", None), Err(PromptError::Unknown { .. })));
}

#[test]
fn a_file_of_the_user_s_wins_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("haiku.md"), "Write a haiku.").unwrap();
    fs::write(dir.path().join("tldr.md"), "\u{feff}Short.").unwrap();
    fs::write(dir.path().join("broken.md"), "---\n").unwrap();
    fs::write(dir.path().join("notes.txt"), "no prompt").unwrap();
    fs::write(dir.path().join(".#haiku.md"), "of an editor").unwrap();
    let list = list(Some(dir.path())).unwrap();
    let origin = |name: &str| list.iter().find(|entry| entry.name == name).map(|entry| entry.origin);
    assert_eq!(origin("haiku"), Some(Origin::Own));
    assert_eq!(origin("tldr"), Some(Origin::OwnInPlace));
    assert_eq!(origin("ask"), Some(Origin::BuiltIn));
    assert_eq!((origin("notes"), origin(".#haiku")), (None, None));
    let broken: Vec<_> = list.iter().filter(|entry| entry.prompt.is_err()).map(|entry| entry.name.as_str()).collect();
    assert_eq!(broken, ["broken"]);
    assert_eq!(list.len(), BUILT_IN.len() + 2);
    assert_eq!(load("tldr", Some(dir.path())).unwrap().system, "Short.");
}

#[test]
fn a_folder_that_is_not_there_has_no_prompts_and_one_that_is_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(list(Some(&dir.path().join("none"))).unwrap().len(), BUILT_IN.len());
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(list(Some(&file)), Err(PromptError::Unreadable { .. })));
    assert_eq!(list(Some(&file.join("beneath"))).unwrap().len(), BUILT_IN.len());
    assert!(load("tldr", Some(&file.join("beneath"))).is_ok());
}

#[test]
fn what_is_no_readable_text_is_told_and_never_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // Each of these names has a built-in prompt, which must not be used instead.
    fs::create_dir(path("ask.md")).unwrap();
    fs::write(path("fix.md"), b"one\ntwo \xff\n").unwrap();
    fs::write(path("review.md"), "x".repeat(MAX_LEN + 1)).unwrap();
    fs::write(path("shell.md"), "").unwrap();
    fs::write(path("tldr.md"), "one\ntwo\0\n").unwrap();
    std::os::unix::fs::symlink("nowhere", path("title.md")).unwrap();
    let message = |name: &str| {
        let error = crate::exit::Failure::from(load(name, Some(dir.path())).unwrap_err());
        let (code, line) = (error.code(), error.line());
        assert_eq!(code, crate::exit::USAGE, "{name}");
        line.unwrap().replace(&dir.path().display().to_string(), "DIR")
    };
    expect_test::expect![[r#"
        cannot read DIR/ask.md: is a directory; try: mv DIR/ask.md DIR/ask.md.old, which is in the way
        DIR/fix.md:2: invalid UTF-8 on this line; try: convert it first with iconv -t UTF-8
        DIR/review.md:1: the file is larger than 256 KiB; try: keep only the instruction here, and pass the long text as input
        DIR/shell.md:1: the prompt has no text; try: add an instruction as the text of the file
        cannot read DIR/title.md: No such file or directory (os error 2); try: ls DIR, to see what is there
        DIR/tldr.md:2: this line contains a NUL byte; try: beastctl prompts edit tldr
    "#]]
    .assert_eq(&["ask", "fix", "review", "shell", "title", "tldr"].map(|name| message(name) + "\n").concat());
    fs::write(path("review.md"), "x".repeat(MAX_LEN)).unwrap();
    assert_eq!(load("review", Some(dir.path())).unwrap().system.len(), MAX_LEN);
}
