use expect_test::expect;

use super::*;

#[test]
fn what_is_known_is_a_line_each() {
    let mut facts = Facts::default();
    facts.add("machine", "AMD EPYC, 2 cores".to_owned());
    facts.add("model", None);
    facts.add("warning", Some("two\nlines".to_owned()));
    expect![[r#"
        machine   AMD EPYC, 2 cores
        warning   two lines
    "#]]
    .assert_eq(&facts.text());
}
