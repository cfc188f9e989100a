use super::*;

fn typed(lines: &[&str]) -> Vec<Typed> {
    let mut block = Block::default();
    let mut all: Vec<Typed> = lines.iter().filter_map(|line| block.push(line)).map(|entry| entry.typed).collect();
    all.extend(block.end().map(|entry| entry.typed));
    all
}

fn question(text: &str) -> Typed {
    Typed::Question(text.into())
}

#[test]
fn a_line_is_a_question() {
    assert_eq!(typed(&["hi", "", " ", "and?"]), [question("hi"), Typed::Nothing, Typed::Nothing, question("and?")]);
    assert_eq!(typed(&[]), []);
}

#[test]
fn quotes_hold_lines_together_as_they_are() {
    assert_eq!(typed(&["\"\"\"", "a \\", "", "/quit", "\"\"\"", "b"]), [question("a \\\n\n/quit"), question("b")]);
    assert_eq!(typed(&["\"\"\"a", "b\"\"\""]), [question("a\nb")]);
    assert_eq!(typed(&["\"\"\"a\"\"\" "]), [question("a")]);
    assert_eq!(typed(&["\"\"\"", "\"\"\""]), [Typed::Nothing]);
    assert_eq!(typed(&["\"\"\"", "the end comes first"]), [question("the end comes first")]);
}

#[test]
fn a_backslash_goes_on_with_the_next_line() {
    assert_eq!(typed(&["a\\", "b\\", "c", "d"]), [question("a\nb\nc"), question("d")]);
    assert_eq!(typed(&["a\\"]), [question("a\n")]);
}

/// Backslashes at the ends of pasted lines do not continue them.
#[test]
fn what_is_pasted_stays_as_it_is() {
    assert_eq!(typed(&["cc \\\n  -c a.c"]), [question("cc \\\n  -c a.c")]);
}

#[test]
fn what_is_recalled_means_the_same_again() {
    for lines in [&["\"\"\"", "/quit", "\"\"\""][..], &["a\\", "b"], &["/system  Be brief."], &["\"\"\"a \"\"\""]] {
        let mut block = Block::default();
        let first = lines.iter().find_map(|line| block.push(line)).unwrap();
        assert_eq!(block.push(&first.text), Some(first), "{lines:?}");
    }
}

#[test]
fn commands_begin_with_a_slash_and_paths_are_none() {
    use Command::*;
    for (line, command) in [
        ("/help", Help),
        (" /clear ", Clear),
        ("/system", System(None)),
        ("/system Be  brief.", System(Some("Be  brief.".into()))),
        ("/save parser", Save("parser".into())),
        ("/retry", Retry),
        ("/file my notes.txt", File("my notes.txt".into())),
        ("/quit", Quit),
    ] {
        assert_eq!(typed(&[line]), [Typed::Command(command)], "{line}");
    }
    for line in ["/etc/passwd is what?", "/ is a root", "/2", "1/2 + 1/3", "//"] {
        assert_eq!(typed(&[line]), [question(line)], "{line}");
    }
    assert_eq!(typed(&["/sava x"]), [Typed::Mistake("unknown command /sava".into())]);
    assert_eq!(typed(&["/save"]), [Typed::Mistake("/save needs an argument".into())]);
}

#[test]
fn what_never_ends_is_refused() {
    let mut block = Block::default();
    assert_eq!(block.push("\"\"\""), None);
    block.check().unwrap();
    assert_eq!(block.push(&"x".repeat(MAX_LEN)), None);
    assert!(matches!(block.check(), Err(InputError::TooLong { .. })));
}

#[test]
fn there_are_several_ways_to_say_goodbye() {
    for line in ["/quit", "/exit", "/bye"] {
        assert_eq!(Typed::line(line), Typed::Command(Command::Quit), "{line}");
    }
    assert!(["exit", " quit "].iter().all(|line| Typed::line(line).is_farewell()));
    assert!(!["exit code 3?", "how do I quit vi?"].iter().any(|line| Typed::line(line).is_farewell()));
}
