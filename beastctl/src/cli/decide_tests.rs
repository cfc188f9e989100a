use clap::{Parser, error::ErrorKind};

use super::*;
use crate::cli::{Cli, Verb};

fn decide(arguments: &[&str]) -> Result<DecideOptions, ErrorKind> {
    match Cli::try_parse_from([&["beastctl", "decide"], arguments].concat()) {
        Ok(Cli { verb: Verb::Decide(options), .. }) => Ok(options),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn a_question_may_have_options_or_a_scale() {
    let options = decide(&["one?", "two?", "-f", "a.txt", "-f", "-", "--unsure", "0.2"]).unwrap();
    assert_eq!((options.questions.len(), options.files.len(), options.unsure), (2, 2, Some(0.2)));
    assert_eq!(decide(&["q", "--choice", "a,b", "--choice", "c"]).unwrap().choice, ["a", "b", "c"]);
    for (text, low, high) in [("1..5", 1, 5), ("-2..2", -2, 2), ("0..=10", 0, 10)] {
        assert_eq!(decide(&["q", "--score", text]).unwrap().score, Some(Scale { low, high }), "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (arguments, kind) in [
        (&[][..], ErrorKind::MissingRequiredArgument),
        (&["q", "--choice", "a,b", "--score", "1..5"], ErrorKind::ArgumentConflict),
        (&["q", "--unsure", "0.2", "--score", "1..5"], ErrorKind::ArgumentConflict),
        (&["q", "-n", "-f", "a"], ErrorKind::ArgumentConflict),
        (&["q", "--stream-json"], ErrorKind::UnknownArgument),
        (&["q", "--score", "5..1"], ErrorKind::ValueValidation),
        (&["q", "--score", "1..1"], ErrorKind::ValueValidation),
        (&["q", "--score", "1..1000"], ErrorKind::ValueValidation),
        (&["q", "--score", "-2147483648..2147483647"], ErrorKind::ValueValidation),
        (&["q", "--score", "1-5"], ErrorKind::ValueValidation),
        (&["q", "--unsure", "1.5"], ErrorKind::ValueValidation),
        (&["q", "--unsure", "NaN"], ErrorKind::ValueValidation),
    ] {
        assert_eq!(decide(arguments).unwrap_err(), kind, "{arguments:?}");
    }
}
