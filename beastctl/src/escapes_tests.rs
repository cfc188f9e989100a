use super::*;

#[test]
fn only_the_text_stays() {
    for (coloured, plain) in [
        ("\u{1b}[1mdiff --git a/b b/b\u{1b}[m\n", "diff --git a/b b/b\n"),
        ("\u{1b}[38;2;1;2;3m+grün\u{1b}[0m\r\n \u{1b}[K\n", "+grün\r\n \n"),
        ("\u{1b}]8;;https://example.org\u{1b}\\link\u{1b}]8;;\u{7} end", "link end"),
        ("\u{1b}(Ba\u{1b}=b", "ab"),
        ("cut\u{1b}[3\n+next\u{1b}\n-last\u{1b}]no end\nline\u{1b}", "cut\n+next\n-last\nline"),
        ("[31m is text", "[31m is text"),
    ] {
        assert_eq!(removed(coloured), plain, "{coloured:?}");
    }
}
