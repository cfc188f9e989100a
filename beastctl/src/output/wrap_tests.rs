use super::*;

/// The wrapped text, fed in pieces of `n_chars`.
fn wrapped(text: &str, n_columns: usize, n_chars: usize) -> String {
    let (mut wrap, mut out) = (Wrap::new(n_columns), String::new());
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(n_chars) {
        wrap.push(&piece.iter().collect::<String>(), &mut out);
    }
    wrap.end(&mut out);
    out
}

#[test]
fn words_go_to_the_next_line_before_the_edge() {
    for (text, n_columns, expected) in [
        ("one two three", 20, "one two three"),
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two\nthree"),
        ("one two  three", 7, "one two\nthree"),
        ("  one two", 6, "  one\ntwo"),
        ("naïve café", 5, "naïve\ncafé"),
        // Combining characters have no width.
        ("e\u{301}e\u{301} e\u{301}", 4, "e\u{301}e\u{301} e\u{301}"),
        // Wide characters take two columns, and have no blanks between words.
        ("你好世界", 4, "你好\n世界"),
        ("你好。世界", 4, "你\n好。\n世界"),
        ("a你好", 4, "a你\n好"),
        ("「你」好", 6, "「你」\n好"),
        ("👩\u{200d}💻", 2, "👩\u{200d}💻"),
        // A word that is longer than a line is left to the terminal.
        ("a averyverylongword b", 8, "a\naveryverylongword b"),
        ("sixteen-letters- b", 8, "sixteen-letters-\nb"),
        ("a\tb", 9, "a\tb"),
        ("a\tb", 8, "a\nb"),
    ] {
        for n_chars in [1, 2, 100] {
            assert_eq!(wrapped(text, n_columns, n_chars), expected, "{text:?} {n_columns} {n_chars}");
        }
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let text = "Lorem ipsum dolor sit amet, 这是一个很长的句子，没有空格。 consectetur ".repeat(20);
    for n_columns in [30, 40, 79, 80, 100] {
        let whole = wrapped(&text, n_columns, usize::MAX);
        assert!(whole.lines().all(|line| width(line) <= n_columns), "{n_columns}\n{whole}");
        assert_eq!(wrapped(&text, n_columns, 1), whole, "{n_columns}");
        let words = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(words(&whole), words(&text));
    }
}

#[test]
fn a_word_is_seen_while_it_grows_unless_it_may_move() {
    let (mut wrap, mut out) = (Wrap::new(80), String::new());
    wrap.push("beg", &mut out);
    assert_eq!(out, "beg");
    wrap.push(&format!("in {} mid", "x".repeat(60)), &mut out);
    assert!(out.ends_with('x'), "{out}");
    wrap.push("dle ", &mut out);
    assert!(out.ends_with(" middle"), "{out}");
    wrap.push("toolong", &mut out);
    assert!(out.ends_with("\ntoolong"), "{out}");
}

#[test]
fn codes_take_no_room_and_stay_where_they_are() {
    let (mut wrap, mut out) = (Wrap::new(8), String::new());
    wrap.push("one ", &mut out);
    wrap.code("<b>", &mut out);
    wrap.push("two", &mut out);
    wrap.code("</b>", &mut out);
    wrap.push(" three", &mut out);
    wrap.end(&mut out);
    assert_eq!(out, "one <b>two</b>\nthree");
}

#[test]
fn what_continues_hangs_below_its_beginning() {
    let (mut wrap, mut out) = (Wrap::new(10), String::new());
    wrap.push("- ", &mut out);
    wrap.hang("  ");
    wrap.push("one two three", &mut out);
    wrap.end(&mut out);
    assert_eq!(out, "- one two\n  three");
    assert_eq!(lines("name  what it is for\nlong\n", 14), "name  what it\n      is for\nlong\n");
    assert_eq!(lines("a-name-of-half-a-line  x y z\n", 24), "a-name-of-half-a-line  x\ny z\n");
    assert_eq!(lines("\x1b[32mok\x1b[0m  all is well\n", 9), "\x1b[32mok\x1b[0m  all\n    is\n    well\n");
    assert_eq!(lines("", 10), "");
}
