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

#[test]
fn lines_that_end_as_on_another_system_stay_lines() {
    let pieces = ["one\r", "\ntwo\r\n", "\r\nthree\rfour\r\n"];
    assert_eq!(printed(&pieces, true, true), "one\ntwo\n\nthree\u{fffd}four\n");
    assert_eq!(printed(&pieces, true, false), "one\r\ntwo\r\n\r\nthree\rfour\n");
}

#[test]
fn a_painted_answer_ends_plain_and_commands_nothing() {
    for is_streamed in [true, false] {
        let mut answer = Answer::new(Vec::new(), is_streamed, false).painted(Some(Markdown::new(true)));
        let added: String =
            [" **a", "** \x1b[2J\n", "# b", " \n"].iter().map(|piece| answer.push(piece).unwrap()).collect();
        answer.finish().unwrap();
        assert_eq!((answer.text(), added.as_str()), ("**a** \x1b[2J\n# b", "**a** \x1b[2J\n# b"));
        let expected = "\x1b[1ma\x1b[0m \u{fffd}[2J\n\x1b[1;4mb\x1b[0m\n";
        assert_eq!(String::from_utf8(answer.out).unwrap(), expected, "{is_streamed}");
    }
}

#[test]
fn a_part_of_an_answer_takes_its_place() {
    for (part, expected) in [("  ls\n\n", "  ls\n"), ("a\r\nb\r\n", "a\r\nb\n"), ("\n", ""), ("", "")] {
        let mut answer = Answer::new(Vec::new(), false, false);
        answer.push("all of it").unwrap();
        answer.finish_with(part).unwrap();
        assert_eq!(String::from_utf8(answer.out).unwrap(), expected);
    }
}
