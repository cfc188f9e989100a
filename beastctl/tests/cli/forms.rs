//! Constrained answers: schemas, grammars, and code only.

use beast_protocol::{Constraint, FinishReason};
use expect_test::{Expect, expect};
use serde_json::Value;

use crate::{
    harness::Beast,
    structured::{lines, says},
};

fn check(arguments: &[&str], pieces: &'static [&'static str], reason: FinishReason, expected: Expect) {
    let beast = Beast::new();
    beast.write("a.json", r#"{"type": "object"}"#);
    beast.write("a.gbnf", "root ::= \"yes\"");
    says(&beast, pieces, reason);
    expected.assert_eq(&beast.run(&[&["summarize"], arguments].concat(), b"text").report());
}

#[test]
fn a_form_is_sent_as_it_stands_in_its_file() {
    for (option, name, text, expected) in [
        ("--schema", "a file.json", "{\n}\n", Constraint::Schema("{\n}\n".into())),
        ("--grammar", "g", "root ::= \"é\"", Constraint::Grammar("root ::= \"é\"".into())),
    ] {
        let beast = Beast::new();
        beast.write(name, text);
        let daemon = beast.daemon(|peer| {
            let request = peer.generate();
            peer.answer(&["{}"]);
            request.constraint
        });
        let ran = beast.run(&["summarize", option, name], b"text");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "{}\n"));
        assert_eq!(daemon.join().unwrap(), Some(expected));
    }
}

#[test]
fn a_form_comes_from_stdin_where_stdin_is_free() {
    let beast = Beast::new();
    beast.write("a b.txt", "text");
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["1"]);
        request.constraint
    });
    assert_eq!(beast.run(&["summarize", "a b.txt", "--schema", "-"], b"true").code, Some(0));
    assert_eq!(daemon.join().unwrap(), Some(Constraint::Schema("true".into())));
    for arguments in
        [&["summarize", "--schema", "-"][..], &["ask", "x", "--grammar", "-"], &["run", "fix", "-", "--schema", "-"]]
    {
        let ran = Beast::new().run(arguments, b"true");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.starts_with("beastctl: stdin is the input, so --"), "{ran:?}");
    }
}

#[test]
fn a_form_that_makes_no_sense_is_refused_with_its_place() {
    let beast = Beast::new();
    beast.write("a.json", "{\n  \"type\": nothing\n}");
    beast.write("long.json", vec![b' '; 256 * 1024 + 1]);
    let said: Vec<String> =
        [["--schema", "a.json"], ["--schema", "long.json"], ["--schema", "none"], ["--grammar", "."]]
            .into_iter()
            .map(|arguments| beast.run(&[&["summarize"][..], &arguments].concat(), b"text").report())
            .collect();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: a.json:2:12: invalid JSON: expected ident; try: fix it until jq . a.json accepts it
        exit 2
        out: ""
        err: beastctl: long.json is larger than 256 KiB; try: remove what the answer does not need
        exit 2
        out: ""
        err: beastctl: cannot read none: No such file or directory (os error 2); try: ls, to see what is there
        exit 2
        out: ""
        err: beastctl: cannot read .: is a directory; try: name a file in it, like ./NAME
    "#]]
    .assert_eq(&said.concat());
}

#[test]
fn a_schema_gives_all_of_it_or_nothing() {
    use FinishReason::{ContextFull, MaxTokens, Stop};
    check(
        &["--schema", "a.json"],
        &[" {\"a\":", " 1}\n"],
        Stop,
        expect![[r#"
        exit 0
        out: "{\"a\": 1}\n"
        err: "#]],
    );
    check(
        &["--schema", "a.json"],
        &["{\"a\": 1}"],
        MaxTokens,
        expect![[r#"
            exit 5
            out: ""
            err: beastctl: no output: the answer is truncated at 3 tokens (--max-tokens); try: raise --max-tokens, or shorten the input
        "#]],
    );
    check(
        &["--schema", "a.json", "-q"],
        &["{\"a\":"],
        ContextFull,
        expect![[r#"
            exit 5
            out: ""
            err: beastctl: no output: the answer is truncated at 3 tokens: the context of 4096 tokens is full; try: raise --max-tokens, or shorten the input
        "#]],
    );
    check(
        &["--schema", "a.json"],
        &["{\"a\":"],
        Stop,
        expect![[r#"
            exit 5
            out: ""
            err: beastctl: no output: the answer is not valid JSON (EOF while parsing a value at line 1 column 5); try: repeat the command, or simplify the --schema
        "#]],
    );
    check(
        &["--schema", "a.json", "--json"],
        &["{\"a\":"],
        MaxTokens,
        expect![[r#"
            exit 5
            out: ""
            err: beastctl: no output: the answer is truncated at 3 tokens (--max-tokens); try: raise --max-tokens, or shorten the input
        "#]],
    );
    check(
        &["--schema", "a.json"],
        &[" "],
        Stop,
        expect![[r#"
            exit 5
            out: ""
            err: beastctl: no output: the answer is not valid JSON (EOF while parsing a value at line 1 column 0); try: repeat the command, or simplify the --schema
        "#]],
    );
    check(
        &["--grammar", "a.gbnf"],
        &["yes"],
        Stop,
        expect![[r#"
        exit 0
        out: "yes\n"
        err: "#]],
    );
    check(
        &["--grammar", "a.gbnf"],
        &["ye"],
        MaxTokens,
        expect![[r#"
            exit 5
            out: ""
            err: beastctl: no output: the answer is truncated at 3 tokens (--max-tokens); try: raise --max-tokens, or shorten the input
        "#]],
    );
}

#[test]
fn half_of_a_form_never_comes_out() {
    for (option, file) in [("--schema", "a.json"), ("--grammar", "a.gbnf")] {
        for timeout in [&[][..], &["--timeout", "200ms"]] {
            let beast = Beast::alone();
            beast.write(file, "true");
            let is_slow = !timeout.is_empty();
            beast.daemon(move |peer| {
                peer.generate();
                peer.started();
                peer.say(&["{}"]);
                is_slow && peer.sees_the_end()
            });
            let ran = beast.run(&[&["summarize", option, file], timeout].concat(), b"text");
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{option} {timeout:?}");
        }
    }
}

#[test]
fn an_object_has_the_value_beside_the_text() {
    for option in ["--json", "--stream-json"] {
        let beast = Beast::new();
        beast.write("a.json", "true");
        says(&beast, &["{\"a\": [1, null]}"], FinishReason::Stop);
        let object = lines(&beast.run(&["summarize", "--schema", "a.json", option], b"text")).pop().unwrap();
        assert_eq!(object["text"], "{\"a\": [1, null]}");
        assert_eq!(object["value"], serde_json::json!({"a": [1, null]}));
    }
}

#[test]
fn only_the_code_comes_out() {
    use FinishReason::{MaxTokens, Stop};
    let pieces = &["Try:\n``", "`sh\n  ls -l\n\n", "```\nor\n```\nrm\n```"];
    check(
        &["-x"],
        pieces,
        Stop,
        expect![[r#"
        exit 0
        out: "  ls -l\n"
        err: "#]],
    );
    check(
        &["-x"],
        pieces,
        MaxTokens,
        expect![[r#"
        exit 0
        out: "  ls -l\n"
        err: beastctl: warning: the answer is truncated at 3 tokens (--max-tokens)
    "#]],
    );
    check(
        &["--extract"],
        &["~~~\nls"],
        Stop,
        expect![[r#"
        exit 0
        out: "ls\n"
        err: "#]],
    );
    check(
        &["--extract"],
        &["~~~\nls"],
        MaxTokens,
        expect![[r#"
            exit 5
            out: ""
            err: beastctl: no output: the code is incomplete: the answer is truncated at 3 tokens (--max-tokens); try: raise --max-tokens, or shorten the input
        "#]],
    );
    check(
        &["-x"],
        &["just ls"],
        Stop,
        expect![[r#"
        exit 0
        out: "just ls\n"
        err: "#]],
    );
    check(
        &["-x"],
        &["```\n```"],
        Stop,
        expect![[r#"
            exit 0
            out: ""
            err: beastctl: warning: the code block is empty
        "#]],
    );
}

#[test]
fn an_object_has_the_code_beside_the_text() {
    for (pieces, expected) in [(&["a\n```\nls\n```"][..], Value::from("ls\n")), (&["ls"], Value::Null)] {
        let beast = Beast::new();
        says(&beast, pieces, FinishReason::Stop);
        let object = lines(&beast.run(&["summarize", "-x", "--json"], b"text")).pop().unwrap();
        assert_eq!((&object["extracted"], &object["text"]), (&expected, &pieces.concat().into()));
    }
}

#[test]
fn json_is_taken_out_of_an_answer_and_checked() {
    use FinishReason::{MaxTokens, Stop};
    let json = &["-x", "json"][..];
    let mut said = String::new();
    for (arguments, pieces, reason) in [
        (json, &["Sure:\n```json\n", "{\"a\": 1}\n", "```\nBye."][..], Stop),
        (&["--extract-json"], &["It is {\"a\": [1]} [1]."], Stop),
        (json, &["[1,\n 2]\n"], MaxTokens),
        (json, &["no idea"], Stop),
        (json, &["{\"a\": [1], \"b\""], Stop),
        (json, &["{\"a\": [1], \"b\""], MaxTokens),
        (&["-x", "json", "--schema", "a int"], &["{\"a\": 1}"], Stop),
        (&["-x", "json", "--schema", "a int"], &["{\"a\": "], Stop),
    ] {
        let beast = Beast::new();
        says(&beast, pieces, reason);
        said += &beast.run(&[&["summarize"], arguments].concat(), b"text").report();
        said.push('\n');
    }
    for arguments in
        [&["-x", "json", "-x"][..], &["-x", "json", "--grammar", "root ::= \"a\""], &["-x", "--schema", "a"]]
    {
        said += &Beast::new().run(&[&["summarize"], arguments].concat(), b"text").report();
    }
    expect![[r#"
        exit 0
        out: "{\"a\": 1}\n"
        err: 
        exit 0
        out: "{\"a\": [1]}\n"
        err: 
        exit 0
        out: "[1,\n 2]\n"
        err: beastctl: warning: the answer is truncated at 3 tokens (--max-tokens)

        exit 5
        out: ""
        err: beastctl: no output: the answer contains no JSON; try: repeat the command, or pass a --schema

        exit 5
        out: ""
        err: beastctl: no output: the answer contains no JSON; try: repeat the command, or pass a --schema

        exit 5
        out: ""
        err: beastctl: no output: the answer has no complete JSON: the answer is truncated at 3 tokens (--max-tokens); try: raise --max-tokens, or shorten the input

        exit 0
        out: "{\"a\": 1}\n"
        err: 
        exit 5
        out: ""
        err: beastctl: no output: the answer is not valid JSON (EOF while parsing a value at line 1 column 5); try: repeat the command, or simplify the --schema

        exit 2
        out: ""
        err: beastctl: the argument '--extract-json' cannot be used with '--extract'; try: beastctl summarize --help
        exit 2
        out: ""
        err: beastctl: the argument '--extract-json' cannot be used with '--grammar <FILE>'; try: beastctl summarize --help
        exit 2
        out: ""
        err: beastctl: the argument '--extract' cannot be used with '--schema <SCHEMA>'; try: beastctl summarize --help
    "#]].assert_eq(&said);
}

#[test]
fn an_object_has_the_json_as_text_and_value() {
    for arguments in [&["-x", "json"][..], &["-x", "json", "--schema", "a int"]] {
        let beast = Beast::new();
        says(&beast, &["{\"a\": 1}"], FinishReason::Stop);
        let object = lines(&beast.run(&[&["summarize", "--json"], arguments].concat(), b"text")).pop().unwrap();
        assert_eq!((&object["extracted"], &object["value"]["a"]), (&"{\"a\": 1}".into(), &1.into()), "{object}");
    }
}
