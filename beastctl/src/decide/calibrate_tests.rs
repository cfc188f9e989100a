use std::io::Write;

use super::*;

fn read_text(text: &str, answers: &Answers, question: Option<&str>) -> Result<Vec<Example>, DecideError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    read(file.path(), answers, question)
}

#[test]
fn labels_are_words_numbers_or_truth_values() {
    let place = |line: &str, answers: &Answers| example(line, answers, Some("Is it?")).map(|example| example.right);
    for (label, right) in [("true", 0), ("false", 1), ("\"yes\"", 0), ("\"No\"", 1)] {
        let line = format!(r#"{{"text": "a", "label": {label}}}"#);
        assert_eq!(place(&line, &Answers::YesNo), Ok(right), "{line}");
    }
    let choice = Answers::Choice(vec!["spam".into(), "ham".into()]);
    assert_eq!(place(r#"{"text": "a", "label": "ham"}"#, &choice), Ok(1));
    let score = Answers::Score(crate::cli::Scale { low: -1, high: 3 });
    assert_eq!(place(r#"{"text": "a", "label": 2}"#, &score), Ok(3));
}

#[test]
fn a_line_that_is_no_example_is_named() {
    let good = r#"{"text": "a", "label": "yes", "question": "Is it?"}"#;
    let with = |bad: &str| format!("{good}\n\n{bad}\n");
    for (bad, why) in [
        ("{", "EOF"),
        (r#"{"text": "a"}"#, "label"),
        (r#"{"text": "a", "label": "yes"}"#, "no question"),
        (r#"{"text": "a", "label": "maybe", "question": "Is it?"}"#, "`maybe` is not one"),
        (r#"{"text": "a", "lable": "yes", "label": "yes"}"#, "lable"),
    ] {
        match read_text(&with(bad), &Answers::YesNo, None) {
            Err(DecideError::Example { line: 3, why: told, .. }) => assert!(told.contains(why), "{told}"),
            other => panic!("{bad}: {other:?}"),
        }
    }
}

#[test]
fn a_few_examples_are_too_few() {
    let lines = |n: usize| {
        r#"{"text": "a", "label": "yes"}
"#
        .repeat(n)
    };
    let outcome = read_text(&lines(9), &Answers::YesNo, Some("Is it?"));
    assert!(matches!(outcome, Err(DecideError::TooFew { n: 9, .. })), "{outcome:?}");
    assert_eq!(read_text(&lines(10), &Answers::YesNo, Some("Is it?")).unwrap().len(), 10);
}
