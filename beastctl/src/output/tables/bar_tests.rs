use expect_test::expect;

use super::*;

#[test]
fn a_bar_is_as_long_as_its_share() {
    let shares = [0.0, 0.001, 0.1, 0.25, 0.5, 0.51, 0.99, 1.0, 7.0, -1.0, f64::NAN];
    let bars: String =
        shares.map(|share| format!("{share:<6}|{:<11}|{}\n", bar(share, 10, true), bar(share, 10, false))).concat();
    expect![[r#"
        0     |           |
        0.001 |▏          |#
        0.1   |█          |#
        0.25  |██▌        |###
        0.5   |█████      |#####
        0.51  |█████▏     |#####
        0.99  |█████████▉ |##########
        1     |██████████ |##########
        7     |██████████ |##########
        -1    |           |
        NaN   |           |
    "#]]
    .assert_eq(&bars);
}

#[test]
fn the_first_variable_that_is_set_decides() {
    for (variables, expected) in [
        (&[][..], false),
        (&[("LANG", "en_US.UTF-8")], true),
        (&[("LANG", "C.utf8")], true),
        (&[("LANG", "C")], false),
        (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false),
        (&[("LC_ALL", ""), ("LC_CTYPE", "UTF-8"), ("LANG", "C")], true),
    ] {
        let var = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
        assert_eq!(says_utf8(var), expected, "{variables:?}");
    }
}
