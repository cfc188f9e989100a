use super::*;

#[test]
fn the_flag_wins_then_the_environment_then_the_terminal() {
    use ColorChoice::{Always, Auto, Never};
    for (choice, is_terminal, variables, expected) in [
        (None, true, &[][..], true),
        (None, false, &[], false),
        (None, true, &[("TERM", "dumb")], false),
        (None, true, &[("NO_COLOR", "1")], false),
        (None, true, &[("NO_COLOR", "")], true),
        (None, false, &[("CLICOLOR_FORCE", "1")], true),
        (None, false, &[("CLICOLOR_FORCE", "0")], false),
        (None, false, &[("CLICOLOR_FORCE", "")], false),
        (None, true, &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], true),
        (None, true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (Some(Auto), true, &[("NO_COLOR", "1")], false),
        (Some(Always), false, &[("NO_COLOR", "1"), ("TERM", "dumb")], true),
        (Some(Never), true, &[("CLICOLOR_FORCE", "1")], false),
    ] {
        let var = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        assert_eq!(decide(choice, is_terminal, var), expected, "{choice:?} {is_terminal} {variables:?}");
    }
}
