//! `history grep`.

use std::fs;

use expect_test::expect;

use crate::{
    harness::{Beast, Ran},
    terminal::Seen,
};

fn saved() -> Beast {
    let beast = Beast::new();
    fs::create_dir_all(beast.conversations()).unwrap();
    let turn = |role: &str, content: &str| format!("{}\n", serde_json::json!({"role": role, "content": content}));
    let lines = r#"{"version":1,"created":"2026-11-01T00:00:00Z"}"#.to_owned()
        + "\n"
        + &turn("user", "what is\na pipe?")
        + &turn("assistant", "A pipe: (one)\nend.")
        + &turn("user", "and a Pipe?")
        + &turn("assistant", "The same.");
    fs::write(beast.conversations().join("shells.jsonl"), lines).unwrap();
    beast
}

#[test]
fn lines_are_found_with_name_and_turn_and_none_is_exit_code_1() {
    let beast = saved();
    let grep = |arguments: &[&str]| -> Ran { beast.run(&[&["history", "grep"], arguments].concat(), b"") };
    let said: String = [
        &["pipe"][..],
        &["-i", "pipe"],
        &["socket"],
        &["--json", "same"],
        &["--json", "socket"],
        &[r"^.nd\b"],
        &["--color", "always", "pipe"],
        &["("],
        &[],
    ]
    .map(|arguments| grep(arguments).report())
    .concat()
    .replace('\x1b', "ESC");
    expect![[r#"
        exit 0
        out: "shells:1:> a pipe?\nshells:1:A pipe: (one)\n"
        err: exit 0
        out: "shells:1:> a pipe?\nshells:1:A pipe: (one)\nshells:2:> and a Pipe?\n"
        err: exit 1
        out: ""
        err: exit 0
        out: "[{\"name\":\"shells\",\"turn\":2,\"part\":\"answer\",\"line\":\"The same.\"}]\n"
        err: exit 1
        out: "[]\n"
        err: exit 0
        out: "shells:1:end.\nshells:2:> and a Pipe?\n"
        err: exit 0
        out: "\u{1b}[35mshells\u{1b}[0m:\u{1b}[32m1\u{1b}[0m:> a \u{1b}[1;31mpipe\u{1b}[0m?\n\u{1b}[35mshells\u{1b}[0m:\u{1b}[32m1\u{1b}[0m:A \u{1b}[1;31mpipe\u{1b}[0m: (one)\n"
        err: exit 2
        out: ""
        err: beastctl: invalid value '(' for '<PATTERN>': is not a usable regular expression: found open group without closing ')'; try: beastctl history grep --help
        exit 2
        out: ""
        err: beastctl: missing <PATTERN>; try: beastctl history grep --help
    "#]].assert_eq(&said);
}

#[test]
fn a_terminal_shows_it_painted() {
    let beast = saved();
    let mut command = beast.command(&["history", "grep", "pipe"]);
    command.env("TERM", "xterm");
    let (code, out, err) = Seen::start(command, 80, b"").finish();
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("\x1b[35mshells\x1b[0m:\x1b[32m1\x1b[0m:> a \x1b[1;31mpipe\x1b[0m?\n"), "{out:?}");
}
