use super::*;

fn printed(pieces: &[&str], is_streamed: bool, is_terminal: bool) -> String {
    let mut answer = Answer::new(Vec::new(), is_streamed, is_terminal);
    for piece in pieces {
        answer.push(piece).unwrap();
    }
    answer.finish().unwrap();
    String::from_utf8(answer.out).unwrap()
}

#[test]
fn there_is_exactly_one_newline_at_the_end() {
    for pieces in [
        &["a b"][..],
        &["a b\n"],
        &["a", " b", "\n", "\n\n"],
        &["\n\n", " ", "a b \n\t"],
        &["", "a", " ", "", "b", ""],
        &["  a b\r\n"],
    ] {
        assert_eq!(printed(pieces, true, false), "a b\n", "{pieces:?}");
        assert_eq!(printed(pieces, false, false), "a b\n", "{pieces:?}");
    }
}

#[test]
fn whitespace_inside_comes_with_the_text_after_it() {
    assert_eq!(printed(&["a\n", "\n", "  b\n\n", "c\n"], true, false), "a\n\n  b\n\nc\n");
}

#[test]
fn nothing_is_held_back_but_whitespace() {
    let mut answer = Answer::new(Vec::new(), true, false);
    answer.push(" one \n").unwrap();
    assert_eq!(answer.out, b"one");
    answer.push("two").unwrap();
    assert_eq!(answer.out, b"one \ntwo");
    assert_eq!(answer.text(), "one \ntwo");
}

#[test]
fn no_text_is_no_line() {
    assert_eq!(printed(&[], true, false), "");
    assert_eq!(printed(&[" ", "\n"], true, false), "");
    assert_eq!(printed(&["\n"], false, false), "");
}

#[test]
fn only_a_terminal_is_protected_from_control_characters() {
    let pieces = ["a\x1b[31mb\x07", "\tc\u{9b}d\ne"];
    assert_eq!(printed(&pieces, true, false), "a\x1b[31mb\x07\tc\u{9b}d\ne\n");
    assert_eq!(printed(&pieces, true, true), "a\u{fffd}[31mb\u{fffd}\tc\u{fffd}d\ne\n");
}

#[test]
fn half_an_answer_stays_when_it_was_streamed_and_is_not_begun_when_not() {
    for (is_streamed, expected) in [(true, "half\n"), (false, "")] {
        let mut answer = Answer::new(Vec::new(), is_streamed, false);
        answer.push("half ").unwrap();
        answer.abandon().unwrap();
        assert_eq!(String::from_utf8(answer.out).unwrap(), expected);
    }
}
