use expect_test::expect;

use super::*;

#[test]
fn a_mistake_of_usage_is_one_line() {
    let text = "error: unexpected argument '--tmep' found\n\n  tip: a similar argument exists: '--temp'\n\n\
                Usage: beastctl summarize --temp <T> [FILE]...\n\nFor more information, try '--help'.\n";
    expect!["unknown option '--tmep'; did you mean '--temp'?; try: beastctl summarize --help"]
        .assert_eq(&usage_line(text, "beastctl summarize"));
    let text = "error: invalid value\n\nFor more information, try '--help'.\n";
    expect!["invalid value; try: beastctl --help"].assert_eq(&usage_line(text, "beastctl"));
}
