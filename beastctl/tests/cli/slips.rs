//! Small slips of a new user, and how the program deals with them.

use std::process::{Command, Stdio};

use beast_protocol::{Constraint, ErrorCode, Event, WireError};
use serde_json::Value;

use crate::{
    conversations::daemon,
    harness::{Beast, Ran, feed},
    terminal::Seen,
};

#[test]
fn forms_may_stand_on_the_command_line() {
    for (option, value, expected) in [
        ("--schema", r#" {"type":"boolean"}"#, Constraint::Schema(r#" {"type":"boolean"}"#.into())),
        ("--grammar", r#"root ::= "true""#, Constraint::Grammar(r#"root ::= "true""#.into())),
    ] {
        let beast = Beast::new();
        let daemon = beast.daemon(|peer| {
            let request = peer.generate();
            peer.answer(&["true"]);
            request.constraint
        });
        let ran = beast.run(&["ask", option, value, "q"], b"");
        assert_eq!(ran.report(), "exit 0\nout: \"true\\n\"\nerr: ");
        assert_eq!(daemon.join().unwrap(), Some(expected));
    }
    let ran = Beast::new().run(&["ask", "--schema", r#"{"type":}"#, "q"], b"");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--schema:1:9: invalid JSON: "), "{ran:?}");
}

#[test]
fn a_wrong_form_is_wrong_use_whoever_finds_it() {
    let beast = Beast::new();
    let no_json = beast.run(&["ask", "--schema", "{", "q"], b"");
    beast.daemon(|peer| {
        peer.generate();
        let message = "invalid schema: unknown type; try: object".into();
        peer.send(&Event::Failed(WireError { message, ..WireError::new(ErrorCode::Invalid, "") }));
    });
    let no_schema = beast.run(&["ask", "--schema", r#"{"type":"nothing"}"#, "q"], b"");
    assert_eq!((no_json.code, no_schema.code), (Some(2), Some(2)), "{no_json:?} {no_schema:?}");
}

#[test]
fn a_file_that_was_meant_is_told_to_a_person() {
    let told = |words: &[&str]| {
        let beast = Beast::new();
        beast.write("notes.txt", "some notes");
        beast.write("what", "a file");
        beast.daemon(|peer| {
            peer.generate();
            peer.answer(&["ok"]);
        });
        let (code, out, err) = Seen::start(beast.command(&[&["ask"], words].concat()), 120, b"").finish();
        assert_eq!((code, out.as_str()), (Some(0), "ok\n"));
        err
    };
    let line = "`notes.txt` is taken as the question, not read as a file; try: beastctl ask -f notes.txt 'QUESTION'\n";
    assert!(told(&["notes.txt"]).contains(line));
    assert!(told(&["summarize", "notes.txt"]).contains(line));
    assert!(!told(&["what", "is", "a", "pipe?"]).contains("QUESTION"));
    assert!(!told(&["-q", "notes.txt"]).contains("QUESTION"));
}

#[test]
fn an_answer_that_nobody_sees_is_told_to_a_person() {
    for (line, is_told) in [(r#""$@" >&-"#, true), (r#""$@" > /dev/null"#, false)] {
        let beast = Beast::new();
        daemon(&beast, &["one"]);
        let ask = beast.command(&["ask", "hello"]);
        let mut shell = Command::new("sh");
        shell.args(["-c", line, "sh"]).arg(ask.get_program()).args(ask.get_args());
        shell.env_clear().envs(ask.get_envs().filter_map(|(key, value)| Some((key, value?))));
        shell.current_dir(beast.dir.path()).stdin(Stdio::piped());
        let (code, _, err) = Seen::start(shell, 120, b"").finish();
        assert_eq!(code, Some(0), "{err}");
        assert_eq!(err.contains("stdout is closed or /dev/null"), is_told, "{line}: {err}");
    }
}

#[test]
fn lists_of_things_are_arrays() {
    let beast = Beast::new();
    daemon(&beast, &["one"]);
    beast.run(&["ask", "hello"], b"");
    for list in ["history", "prompts", "models"] {
        let value: Value = serde_json::from_str(&beast.run(&[list, "--json"], b"").stdout).unwrap();
        assert!(value[0]["name"].is_string(), "{list}: {value}");
    }
}

#[test]
fn the_two_commands_that_remove_understand_the_same() {
    for sure in ["-y", "--yes", "--force"] {
        let beast = Beast::new();
        daemon(&beast, &["one"]);
        beast.run(&["ask", "hello"], b"");
        assert_eq!(beast.run(&["history", "rm", "--all", sure], b"").report(), "exit 0\nout: \"\"\nerr: ");
        assert_eq!(beast.run(&["history"], b"").stdout, "");
        beast.write(".local/share/beast/models/mine.gguf", "GGUF and more");
        assert_eq!(beast.run(&["models", "rm", sure, "mine"], b"").report(), "exit 0\nout: \"\"\nerr: ");
    }
}

#[test]
fn a_value_that_says_nothing_is_refused() {
    let beast = Beast::new();
    for value in ["to=", "to= "] {
        let ran = beast.run(&["translate", "-p", value], b"some text");
        let expected = "exit 2\nout: \"\"\nerr: beastctl: the value of `to` is empty, but the prompt `translate` needs one; \
                        try: -p to=VALUE\n";
        assert_eq!(ran.report(), expected);
    }
    // This prompt allows an empty value, because its default is empty.
    beast.write("config/beast/prompts/rate.md", "---\nvariables: {style: \"\"}\n---\nRate it{{style}}.\n");
    let daemon = beast.daemon(|peer| {
        peer.answer(&["5"]);
        peer.generate();
    });
    assert_eq!(beast.run(&["rate", "-p", "style="], b"some text").code, Some(0));
    daemon.join().unwrap();
}

#[test]
fn a_conversation_may_have_a_name_in_any_script() {
    let beast = Beast::new();
    daemon(&beast, &["one"]);
    assert_eq!(beast.run(&["ask", "--session", "ünïcode", "hello"], b"").code, Some(0));
    let ran: Ran = beast.run(&["history"], b"");
    assert!(ran.stdout.starts_with("ünïcode  "), "{ran:?}");
}

#[test]
fn the_model_in_use_is_marked_wherever_it_is() {
    let beast = Beast::new();
    let states = || {
        let list: Value = serde_json::from_str(&beast.run(&["models", "--json"], b"").stdout).unwrap();
        let used = list.as_array().unwrap().iter().filter(|model| model["state"] == "in_use");
        used.map(|model| model["name"].as_str().unwrap().replace(beast.dir.path().to_str().unwrap(), "DIR"))
            .collect::<Vec<_>>()
    };
    assert_eq!(states(), ["builtin"]);
    assert!(beast.run(&["models"], b"").stdout.contains("in use   the tiny model built into beastd\n"));
    let other = beast.write("other/mine.gguf", "GGUF and more");
    beast.write("config/beast/config.toml", format!("model = {other:?}\n"));
    assert_eq!(states(), ["DIR/other/mine.gguf"]);
    let output = feed(beast.command(&["models"]), b"").wait_with_output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("mine.gguf"));
}
