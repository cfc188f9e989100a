use super::*;

#[test]
fn a_line_is_cut_by_what_it_shows() {
    for (line, n_columns, expected) in [
        ("abc", 2, "ab"),
        ("abc", 3, "abc"),
        ("日本語", 5, "日本"),
        ("日本語", 6, "日本語"),
        ("e\u{301}e\u{301}e", 2, "e\u{301}e\u{301}"),
        ("", 0, ""),
        ("a", 0, ""),
    ] {
        assert_eq!(cut(line, n_columns), expected, "{line} {n_columns}");
    }
}

#[test]
fn an_excerpt_is_a_line_that_tells_whether_more_follows() {
    for (text, n_columns, expected) in [
        ("ééééé", 5, "ééééé"),
        ("éééééé", 5, "éééé…"),
        ("日本語", 5, "日本…"),
        ("日本語", 6, "日本語"),
        ("a\u{1b}[31mb", 20, "a [31mb"),
        (" a\n\nb \n", 3, "a b"),
        ("one two", 5, "one…"),
    ] {
        assert_eq!(excerpt(text, n_columns), expected, "{text} {n_columns}");
    }
    assert_eq!(excerpt(&format!("a{}b", "\n".repeat(100)), 10), "a…");
}
