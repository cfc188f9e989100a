use super::*;

#[test]
fn bash_gets_names_that_stay_one_word() {
    assert_eq!(quoted("two words it's"), "two\\ words\\ it\\'s");
    assert_eq!(quoted("~/a-b_c.gguf"), "~/a-b_c.gguf");
    assert_eq!(quoted("a$(b)ü"), "a\\$\\(b\\)ü");
}

#[test]
fn an_open_quote_stays_as_it_was_opened() {
    assert_eq!(quoted_within("it's $2", '\''), r"it'\''s $2");
    assert_eq!(quoted_within(r#"a "b" $c `d` \"#, '"'), r#"a \"b\" \$c \`d\` \\"#);
}

#[test]
fn what_bash_has_quoted_is_read_as_it_was_meant() {
    for (typed, meant) in [
        (r"two\ words", "two words"),
        ("'two words'", "two words"),
        ("\"it's", "it's"),
        (r#""a \"b\"""#, "a \"b\""),
        (r"'\'", r"\"),
        ("--plain", "--plain"),
        ("", ""),
    ] {
        assert_eq!(unquoted(OsStr::new(typed)), meant, "{typed}");
    }
}

#[test]
fn words_that_bash_has_divided_are_one_again() {
    for (words, index, whole) in [
        (&["p", "--color", "=", "a"][..], 3, &["p", "--color=a"][..]),
        (&["p", "--color", "="], 2, &["p", "--color="]),
        (&["p", "--color", "=", "never", "run", "x"], 5, &["p", "--color=never", "run", "x"]),
        (&["p", "t", "-p", "to", "=", "E", "more"], 5, &["p", "t", "-p", "to=E"]),
        (&["p", "a", ":", "b"], 3, &["p", "a:b"]),
        (&["p", "="], 1, &["p", "="]),
        (&["p", ""], 1, &["p", ""]),
    ] {
        let words: Vec<_> = words.iter().map(OsString::from).collect();
        let whole: Vec<_> = whole.iter().map(OsString::from).collect();
        let index_of_last = whole.len() - 1;
        assert_eq!(joined(&words, index), (whole, index_of_last), "{words:?}");
    }
}
