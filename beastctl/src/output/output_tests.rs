use expect_test::expect;

use super::*;

#[test]
fn the_words_of_others_stay_on_one_line() {
    expect!["a b c  [31m d"].assert_eq(&one_line("a\n  b\r\n\nc\t\u{1b}[31m\rd\n"));
}

#[test]
fn a_mistake_of_usage_is_one_line() {
    let text = "error: unexpected argument '--tmep' found\n\n  tip: a similar argument exists: '--temp'\n\n\
                Usage: beastctl summarize --temp <T> [FILE]...\n\nFor more information, try '--help'.\n";
    expect!["unknown option '--tmep'; did you mean '--temp'?; try: beastctl summarize --help"]
        .assert_eq(&usage_line(text, "beastctl summarize"));
    let text = "error: invalid value\n\nFor more information, try '--help'.\n";
    expect!["invalid value; try: beastctl --help"].assert_eq(&usage_line(text, "beastctl"));
}
