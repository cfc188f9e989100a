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
