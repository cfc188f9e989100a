use clap::{Parser, error::ErrorKind};

use super::*;
use crate::cli::{Cli, Verb};

fn parse(arguments: &[&str]) -> Result<(OutputOptions, Option<ColorChoice>), ErrorKind> {
    match Cli::try_parse_from([&["beastctl", "ask"], arguments].concat()) {
        Ok(Cli { verb: Verb::Ask { options, .. }, color, .. }) => Ok((options.output, color)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for arguments in [
        &["--json", "--stream-json"][..],
        &["--stream-json", "--no-stream"],
        &["--schema", "a", "--grammar", "b"],
        &["-x", "--schema", "a"],
        &["--extract", "--grammar", "a"],
    ] {
        assert_eq!(parse(arguments).unwrap_err(), ErrorKind::ArgumentConflict, "{arguments:?}");
    }
    let (output, _) = parse(&["-x", "--json", "--no-stream", "--no-markdown"]).unwrap();
    assert!(output.form.extract && output.json && output.no_stream && output.no_markdown);
}

#[test]
fn colours_are_one_of_three() {
    assert_eq!(parse(&["--color", "always"]).unwrap().1, Some(ColorChoice::Always));
    assert_eq!(parse(&["--color="]).unwrap().1, Some(ColorChoice::Auto), "an empty BEAST_COLOR");
    assert_eq!(parse(&["--color", "red"]).unwrap_err(), ErrorKind::InvalidValue);
}

#[test]
fn wishes_are_found_in_what_cannot_be_parsed() {
    let wishes = |arguments: &[&str], variable: Option<&str>| Wishes::of(arguments, variable.map(OsStr::new));
    let of = |color, stream_json| Wishes { color, stream_json };
    assert_eq!(wishes(&["ask", "--tmep"], None), of(ColorChoice::Auto, false));
    assert_eq!(wishes(&["ask", "--tmep"], Some("never")), of(ColorChoice::Never, false));
    assert_eq!(wishes(&["--color", "always", "x"], Some("never")), of(ColorChoice::Always, false));
    assert_eq!(wishes(&["--color=never", "--stream-json"], None), of(ColorChoice::Never, true));
    assert_eq!(wishes(&["--color"], Some("blue")), of(ColorChoice::Auto, false));
    assert_eq!(wishes(&["ask", "--", "--stream-json", "--color=never"], None), of(ColorChoice::Auto, false));
}
