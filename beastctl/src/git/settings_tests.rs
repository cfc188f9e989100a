use super::*;

fn settings(entries: &[&str]) -> Settings {
    let mut settings = Settings::default();
    entries.iter().for_each(|entry| settings.take(entry));
    settings
}

#[test]
fn the_last_entry_wins_and_no_value_means_yes() {
    assert_eq!(settings(&["user.name\nbeast.hook", "beast.hooks\nfalse"]), Settings::default());
    for no in ["false", "No", "OFF", "0", ""] {
        assert!(!settings(&[&format!("beast.hook\n{no}")]).is_enabled, "{no:?}");
    }
    assert!(settings(&["beast.hook\nfalse", "beast.hook"]).is_enabled);
    assert_eq!(settings(&["beast.hooktimeout\n3s", "beast.hooktimeout\n 4s "]).timeout.as_deref(), Some(" 4s "));
}

#[test]
fn a_comment_begins_as_git_begins_it() {
    assert_eq!(settings(&["core.commentchar\n;"]).comment, ";");
    assert_eq!(settings(&["core.commentchar\n;", "core.commentstring\n//"]).comment, "//");
    assert_eq!(settings(&["core.commentchar\n;", "core.commentchar\nauto"]).comment, "#");
    assert_eq!(settings(&["core.commentchar\n"]).comment, "#");
}

#[test]
fn only_a_clear_no_in_the_environment_is_one() {
    for (value, is) in [("0", true), ("false", true), ("", true), ("1", false), ("nope", false)] {
        assert_eq!(is_off(Some(value.into())), is, "{value:?}");
    }
    assert!(!is_off(None));
}
