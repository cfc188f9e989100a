use clap::Parser;

use super::*;

fn said(words: &[&str]) -> String {
    let arguments = words.iter().map(OsString::from);
    let error = Cli::try_parse_from(std::iter::once("beastctl".into()).chain(arguments.clone())).unwrap_err();
    crate::output::usage_line(&told(&error, arguments.clone(), &["to".into()]), &crate::cli::command_of(arguments))
}

#[test]
fn a_file_that_begins_with_a_dash_is_named_whole() {
    let line = said(&["summarize", "-dash.txt"]);
    assert!(line.contains("if it is a file, '-- -dash.txt' or ./-dash.txt"), "{line}");
    let line = said(&["summarize", "-d"]);
    assert!(line.contains("'-- -d'"), "{line}");
}

#[test]
fn what_was_typed_is_blamed_for_itself() {
    assert!(said(&["--color=foo", "status"]).contains("'--color <WHEN>'"));
    assert!(said(&["--timeout", "-1", "status"]).contains("'--timeout <DURATION>': must be a duration above 0"));
    assert_eq!(variable("--color <WHEN>", &[]).as_deref(), Some("BEAST_COLOR"));
    assert_eq!(variable("--color <WHEN>", &["--color".into()]), None);
    assert_eq!(variable("--temp <T>", &[]), None);
}

#[test]
fn an_option_before_its_command_is_told_where_it_belongs() {
    assert_eq!(said(&["-m", "team", "ask", "hello"]), "-m must come after the command; try: beastctl ask -m …");
    assert_eq!(said(&["--temp", "0", "chat"]), "--temp must come after the command; try: beastctl chat --temp …");
    assert!(said(&["-m", "team", "hello"]).starts_with("unknown option '-m'"));
    assert!(said(&["--engine", "x", "ask", "hello"]).starts_with("unknown option '--engine'"));
}

#[test]
fn help_is_that_of_the_command() {
    let help = |words: &[&str]| help(words.iter().map(OsString::from)).to_string();
    assert!(help(&["-q"]).contains("beastctl summarize"));
    assert!(help(&["-q", "hook"]).contains("Usage: beastctl hook"));
}

#[test]
fn only_what_a_slip_could_have_made_is_suggested() {
    for (words, suggested) in [
        (&["ask", "--stip", "x"][..], Some("'--stop'")),
        (&["ask", "--force"], None),
        (&["models", "pull", "--force", "x"], None),
        (&["ask", "q", "--truncate", "al"], None),
        (&["ask", "q", "--truncate", "tial"], Some("'tail'")),
        (&["hook", "instal"], Some("'install'")),
        (&["run", "translate", "--to", "French"], Some("'-p to=VALUE'")),
        (&["run", "translate", "--to=French"], Some("'-p to=VALUE'")),
    ] {
        let line = said(words);
        match suggested {
            Some(name) => assert!(line.contains(&format!("; did you mean {name}?; try: ")), "{words:?}: {line}"),
            None => assert!(!line.contains("did you mean"), "{words:?}: {line}"),
        }
    }
}

#[test]
fn a_question_that_begins_with_a_dash_is_known_as_one() {
    for question in ["-x is what?", "--what is this?", "-p what?", "-1 + 2?"] {
        let line = said(&["ask", question]);
        let expected =
            format!("'{question}' starts with a dash, so it was parsed as options; try: beastctl ask -- '{question}'");
        assert_eq!(line, expected);
    }
    let line = said(&["ask", "-pto", "what is it?"]);
    assert!(line.contains("must be KEY=VALUE"), "{line}");
}

#[test]
fn numbers_are_asked_for_in_words() {
    for (words, expected) in [
        (&["ask", "q", "--seed", "-1"][..], "must be a whole number, 0 or more; without --seed each answer is random"),
        (&["ask", "q", "--top-k", "-1"], "must be a whole number, 0 or more; 0 allows all tokens"),
        (&["ask", "q", "--max-tokens", "0"], "must be a whole number, 1 or more"),
        (&["ask", "q", "--seed", "4294967296"], "must be at most 4294967295"),
        (&["bench", "--repeats", "0"], "0 is not a number from 1 to 100"),
        (&["ask", "q", "-p", "=x"], "must be KEY=VALUE"),
    ] {
        let line = said(words);
        assert!(line.contains(expected), "{words:?}: {line}");
    }
}
