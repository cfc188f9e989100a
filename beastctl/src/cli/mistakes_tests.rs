use clap::Parser;

use super::*;

fn said(words: &[&str]) -> String {
    let arguments = words.iter().map(OsString::from);
    let error = Cli::try_parse_from(std::iter::once("beastctl".into()).chain(arguments.clone())).unwrap_err();
    crate::output::usage_line(&told(&error, arguments.clone()), &crate::cli::command_of(arguments))
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
    assert!(said(&["--timeout", "-1", "status"]).contains("'--timeout <DURATION>': must be a time above 0"));
    assert_eq!(variable("--color <WHEN>", &[]).as_deref(), Some("BEAST_COLOR"));
    assert_eq!(variable("--color <WHEN>", &["--color".into()]), None);
    assert_eq!(variable("--temp <T>", &[]), None);
}

#[test]
fn help_is_that_of_the_command() {
    let help = |words: &[&str]| help(words.iter().map(OsString::from)).to_string();
    assert!(help(&["-q"]).contains("beastctl summarize"));
    assert!(help(&["-q", "hook"]).contains("Usage: beastctl hook"));
}
