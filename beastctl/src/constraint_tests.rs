use std::fs;

use expect_test::expect;

use super::*;

fn said(bytes: &[u8], read: fn(&Path, bool) -> Result<Constraint, ConstraintError>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a file");
    fs::write(&path, bytes).unwrap();
    let text = match read(&path, false) {
        Ok(constraint) => format!("{constraint:?}"),
        Err(error) => format!("{} {error}", error.exit_code()),
    };
    text.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_schema_is_an_object_or_true() {
    let lines: Vec<String> = [
        &b"\xef\xbb\xbf{\"type\": \"object\"}\n"[..],
        b" true ",
        b"false",
        b"[1]",
        b"\"object\"",
        b"{\n  \"type\": }",
        b"{\"a\": 1} {}",
        b"{\n\n",
        b"",
        b"{\n\"caf\xe9\": 1}",
    ]
    .into_iter()
    .map(|bytes| said(bytes, schema))
    .collect();
    expect![[r#"
        Schema("{\"type\": \"object\"}\n")
        Schema(" true ")
        2 a file:1:1: the schema `false` allows nothing; try: {"type": "object"}, to begin with
        2 a file:1:1: a JSON schema must be an object or true; try: {"type": "object"}, to begin with
        2 a file:1:1: a JSON schema must be an object or true; try: {"type": "object"}, to begin with
        2 a file:2:11: invalid JSON: expected value; try: fix it until jq . 'a file' accepts it
        2 a file:1:10: invalid JSON: trailing characters; try: fix it until jq . 'a file' accepts it
        2 a file:3:1: invalid JSON: EOF while parsing an object; try: fix it until jq . 'a file' accepts it
        2 a file:1:1: invalid JSON: EOF while parsing a value; try: fix it until jq . 'a file' accepts it
        2 a file:2:5: invalid UTF-8; try: convert it first with iconv -t UTF-8
    "#]]
    .assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn a_grammar_is_any_text_that_says_something() {
    assert_eq!(said(b"root ::= \"a\"\n", grammar), r#"Grammar("root ::= \"a\"\n")"#);
    assert_eq!(
        said(b" \n", grammar),
        r#"2 a file:1:1: the grammar is empty; try: add a rule, such as root ::= "yes" | "no""#
    );
    assert_eq!(said(b"\xff", grammar), "2 a file:1:1: invalid UTF-8; try: convert it first with iconv -t UTF-8");
}

#[test]
fn what_is_too_long_or_not_there_is_refused() {
    assert!(said(&[b' '; MAX_LEN + 1], schema).contains("is larger than 256 KiB"));
    assert!(said(&[b'x'; MAX_LEN], grammar).starts_with("Grammar"));
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("none"), folder.path().to_owned()] {
        assert!(matches!(schema(&path, true), Err(ConstraintError::Unreadable { .. })), "{path:?}");
    }
    assert!(matches!(grammar(Path::new("-"), false), Err(ConstraintError::StdinTaken { option: "--grammar" })));
}
