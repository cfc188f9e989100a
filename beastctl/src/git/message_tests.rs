use std::fs;

use expect_test::expect;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, MessageFile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("COMMIT_EDITMSG");
    fs::write(&path, text).unwrap();
    let file = MessageFile::read(&path).unwrap();
    (dir, file)
}

fn with(comment: &str) -> Settings {
    Settings { comment: comment.into(), ..Settings::default() }
}

#[test]
fn only_lines_that_git_would_commit_are_a_message() {
    let has_message = |text: &str, comment: &str| file(text).1.has_message(&with(comment));
    assert!(!has_message("", "#"));
    assert!(!has_message("\n \t\n# On branch main\n#\n", "#"));
    assert!(has_message("\n# comment\nmine\n", "#"));
    assert!(has_message("# with another mark this is text\n", ";"));
    assert!(!has_message("// a\n\n", "//"));
    assert!(!has_message("\n# ------------------------ >8 ------------------------\ndiff --git a/a b/a\n+x\n", "#"));
    assert!(has_message("mine\n# ------------------------ >8 ------------------------\n", "#"));
}

#[test]
fn the_message_goes_to_the_top_and_notes_to_the_comments() {
    let written = |text: &str, message: Option<&str>, settings: &Settings| {
        let (_dir, file) = file(text);
        file.write(message, &["one".into()], settings).unwrap();
        fs::read_to_string(&file.path).unwrap()
    };
    let hash = with("#");
    expect![[r#"
        Add a thing

        # beast: this is a suggestion; delete it to abort
        # beast: one
        # Please enter
        # more
    "#]]
    .assert_eq(&written("\n# Please enter\n# more\n", Some("Add a thing"), &hash));
    // Above the scissors a comment would become part of the message.
    expect![[r#"

        # ------------------------ >8 ------------------------
        # Do not touch
        # beast: one
        diff --git a/a b/a
    "#]]
    .assert_eq(&written(
        "\n# ------------------------ >8 ------------------------\n# Do not touch\ndiff --git a/a b/a\n",
        None,
        &hash,
    ));
    // Nothing would remove the note again.
    assert_eq!(written("\n", None, &hash), "\n");
    assert_eq!(written("\n", Some("Add"), &hash), "Add\n\n");
    assert_eq!(written("\n\nSigned-off-by: A\n", Some("Add"), &hash), "Add\n\nSigned-off-by: A\n");
}

#[test]
fn bytes_and_permissions_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("MSG");
    fs::write(&path, b"\n# \xff\r\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    MessageFile::read(&path).unwrap().write(Some("New"), &[], &Settings::default()).unwrap();
    let note = format!("New\n\n# beast: {HOW_TO_ABORT}\n");
    assert_eq!(fs::read(&path).unwrap(), [note.as_bytes(), b"# \xff\r\n"].concat());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["MSG"], "nothing is left beside it");
}

#[test]
fn an_answer_loses_what_is_around_the_message() {
    for (answer, message) in [
        ("Add a thing\n", "Add a thing"),
        ("\"Add a thing\"", "Add a thing"),
        ("`Add a thing`.", "`Add a thing`."),
        ("'Quote' the 'names'", "'Quote' the 'names'"),
        ("Commit message: Add a thing", "Add a thing"),
        ("**Commit Message:** \"Add a thing\"", "Add a thing"),
        ("Here is the commit message:\n\n```text\nAdd a thing\n\nBecause.\n```", "Add a thing\n\nBecause."),
        ("Fix the commit message: drop quotes", "Fix the commit message: drop quotes"),
        ("feat: add a thing", "feat: add a thing"),
        ("# Add a thing\n\n- one\n#2 is mended", "Add a thing\n\n- one\n2 is mended"),
        ("Add\x1b[31m a\x07 thing\r\n\r\nMore", "Add[31m a thing\n\nMore"),
        ("“Add a thing”", "Add a thing"),
        ("Add `a` thing", "Add `a` thing"),
    ] {
        assert_eq!(clean(answer, "#").as_deref(), Some(message), "{answer:?}");
    }
    for nothing in ["", " \n", "\"\"", "###", "Commit message:", "```\n```"] {
        assert_eq!(clean(nothing, "#"), None, "{nothing:?}");
    }
    assert_eq!(clean("; a\n# b", ";").as_deref(), Some("a\n# b"));
    assert_eq!(clean("//// a", "//").as_deref(), Some("a"));
}

#[test]
fn a_message_turns_nothing_around() {
    assert_eq!(clean("Add \u{202e}gpj\u{202c} \u{1b}[2Jfiles", "#").as_deref(), Some("Add gpj [2Jfiles"));
}
