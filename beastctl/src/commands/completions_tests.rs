use super::*;

#[test]
fn the_commands_and_the_prompts_make_one_parser() {
    command().debug_assert();
}

#[test]
fn bash_gets_names_that_stay_one_word() {
    assert_eq!(quoted_for_bash("two words\nit's"), "two\\ words\nit\\'s");
    assert_eq!(quoted_for_bash("~/a-b_c.gguf\n--x=y"), "~/a-b_c.gguf\n--x=y");
    assert_eq!(quoted_for_bash("a$(b)\nü"), "a\\$\\(b\\)\nü");
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
