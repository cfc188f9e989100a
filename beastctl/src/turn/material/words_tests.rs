use super::*;

#[test]
fn words_are_the_text_when_they_can_be_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let existing = dir.path().join("two words");
    fs::write(&existing, "x").unwrap();
    let is_text = |prompt: &str, argument: &str| text(prompt, &[argument.into()]).is_some();
    for argument in ["list the five largest files", "wat is this", "one.\ntwo.txt", "either/or is fine", "version 1.5"]
    {
        assert!(is_text("shell", argument), "{argument}");
    }
    assert!(is_text("fix", &"a very long text ".repeat(400)));
    let existing = existing.to_str().unwrap();
    for argument in
        ["notes", "my notes.txt", "./my notes", "~/my notes", "/my notes", "a b/c d.md", "", " x ", existing]
    {
        assert!(!is_text("shell", argument), "{argument}");
    }
    assert!(!is_text("summarize", "two words"), "its material are documents");
    assert_eq!(text("shell", &["two words".into(), "three more words".into()]), None);
}

#[test]
fn what_may_be_a_slip_is_told_with_the_way() {
    let told = |prompt: &str, files: &[&str]| {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let error = InputError::Unreadable { name: files[0].display().to_string(), source: ErrorKind::NotFound.into() };
        match explained(error, prompt, &files) {
            InputError::Words { way, .. } => way,
            _ => "as it is".into(),
        }
    };
    for (prompt, files, way) in [
        ("shell", &["list", "the", "largest"][..], "beastctl shell 'list the largest'"),
        ("translate", &["hello"], "echo hello | beastctl translate"),
        ("translate", &["my notes.txt"], "echo 'my notes.txt' | beastctl translate"),
        ("ask", &["why"], "echo why | beastctl run ask"),
        ("summarize", &["a b"], "echo 'a b' | beastctl summarize"),
        ("summarize", &["notes"], "as it is"),
        ("summarize", &["a", "b"], "as it is"),
        ("translate", &["letter.txt"], "as it is"),
        ("translate", &["docs/letter"], "as it is"),
        ("translate", &["hello", "letter.txt"], "as it is"),
    ] {
        assert_eq!(told(prompt, files), way, "{prompt} {files:?}");
    }
}
