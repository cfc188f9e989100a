//! `ask -f FILE`: files as material, each with its name.

use expect_test::expect;

use crate::harness::{Beast, Ran};

/// Runs `ask` in a folder with some files; also returns the question that it sends.
fn asked(arguments: &[&str], input: &[u8]) -> (Ran, String) {
    let beast = Beast::new();
    beast.write("a.c", "int a;\n");
    beast.write("b.h", b"caf\xe9");
    beast.write("blank", "\n \n");
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["x"]);
        request.messages.last().unwrap().content.clone()
    });
    let ran = beast.run(&[&["ask"], arguments].concat(), input);
    (ran, daemon.join().unwrap())
}

#[test]
fn each_file_has_its_name_and_the_question_follows() {
    assert_eq!(asked(&["-f", "a.c", "why", "so?"], b"").1, "==> a.c <==\nint a;\n\nwhy so?");
    let (ran, question) = asked(&["--file", "a.c", "-f", "b.h", "why?"], b"");
    assert_eq!(question, "==> a.c <==\nint a;\n\n==> b.h <==\ncaf\u{fffd}\n\nwhy?");
    assert_eq!(ran.stderr, "beastctl: warning: 1 byte of invalid UTF-8 was replaced in b.h\n");
}

#[test]
fn what_is_piped_in_goes_with_them() {
    assert_eq!(asked(&["-f", "a.c", "why?"], b"a log\n").1, "==> a.c <==\nint a;\n\n==> stdin <==\na log\n\nwhy?");
    assert_eq!(asked(&["-f", "-", "-f", "a.c", "why?"], b"log").1, "==> stdin <==\nlog\n\n==> a.c <==\nint a;\n\nwhy?");
    assert_eq!(asked(&["-f", "a.c"], b"why?\n").1, "==> a.c <==\nint a;\n\nwhy?", "the question is piped in");
    assert_eq!(
        asked(&["-f", "blank", "-f", "a.c", "why?"], b"\n").1,
        "==> blank <==\n\n \n\n==> a.c <==\nint a;\n\nwhy?"
    );
}

#[test]
fn files_that_cannot_be_read_are_told_as_everywhere() {
    let beast = Beast::new();
    beast.write("a.c", "int a;\n");
    beast.write("blank", "\n");
    beast.write("binary", b"a\0b");
    let mut said = String::new();
    for files in [&["missing.c"][..], &["."], &["binary"], &["blank"], &["a.c", "missing.c"], &["-", "-"]] {
        let files = files.iter().flat_map(|file| ["-f", file]);
        let arguments: Vec<&str> = ["ask", "--no-start", "why?"].into_iter().chain(files).collect();
        said += &beast.run(&arguments, b"").report();
    }
    said += &beast.run(&["ask", "--no-start", "-f", "a.c"], b"").report();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: cannot read missing.c: No such file or directory (os error 2); try: ls, to see what is there
        exit 2
        out: ""
        err: beastctl: cannot read .: is a directory; try: name its files, like ./*
        exit 2
        out: ""
        err: beastctl: binary is binary (a NUL byte at offset 1); try: convert it to text first, for example with pdftotext or iconv -t UTF-8
        exit 2
        out: ""
        err: beastctl: the input is empty; try: beastctl ask -f FILE 'QUESTION'
        exit 2
        out: ""
        err: beastctl: cannot read missing.c: No such file or directory (os error 2); try: ls, to see what is there
        exit 2
        out: ""
        err: beastctl: `-` is named more than once; try: use `-` once, and name other files
        exit 2
        out: ""
        err: beastctl: no question given; try: beastctl ask 'QUESTION'
    "#]].assert_eq(&said);
}
