//! Input, and what is rejected before a daemon is contacted.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use expect_test::{Expect, expect};

use crate::harness::{Beast, Ran, feed, spawn};

/// The content of the user turn.
fn user_turn(beast: &Beast, arguments: &[&str], input: &[u8]) -> String {
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["ok"]);
        request
    });
    let ran = beast.run(arguments, input);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    daemon.join().unwrap().messages.pop().unwrap().content
}

fn refused(beast: &Beast, arguments: &[&str], input: &[u8], expected: Expect) {
    expected.assert_eq(&beast.run(arguments, input).report());
}

#[test]
fn several_files_have_headings_and_stdin_is_a_dash() {
    let beast = Beast::new();
    beast.write("a.txt", "alpha\n");
    beast.write("b.txt", "\u{feff}beta\r\n");
    let text = user_turn(&beast, &["summarize", "a.txt", "-", "b.txt"], b"middle");
    expect![[r#"
        "==> a.txt <==\nalpha\n\n==> stdin <==\nmiddle\n\n==> b.txt <==\nbeta\r\n""#]]
    .assert_eq(&format!("{text:?}"));
}

#[test]
fn a_question_follows_its_material() {
    let text = user_turn(&Beast::new(), &["ask", "what", "is", "this?"], b"material\n");
    assert_eq!(text, "material\n\nwhat is this?");
    assert_eq!(user_turn(&Beast::new(), &["ask", "and", "alone?"], b" \n"), "and alone?");
    assert_eq!(user_turn(&Beast::new(), &["ask"], b"from stdin?\n"), "from stdin?\n");
    assert_eq!(user_turn(&Beast::new(), &["ask", "-", "why?"], b"x"), "x\n\nwhy?");
}

#[test]
fn invalid_utf8_is_replaced_and_told() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["ok"]);
        request
    });
    let ran = beast.run(&["summarize"], b"caf\xe9 \xff\xfe");
    assert_eq!(daemon.join().unwrap().messages[1].content, "caf\u{fffd} \u{fffd}\u{fffd}");
    expect![[r#"
        exit 0
        out: "ok\n"
        err: beastctl: warning: 3 bytes of invalid UTF-8 were replaced in stdin
    "#]]
    .assert_eq(&ran.report());
}

#[test]
fn unusable_input_is_refused_before_any_request() {
    let beast = Beast::alone();
    beast.write("binary", b"ab\0c");
    beast.write("good", b"good");
    std::fs::create_dir(beast.path("folder")).unwrap();
    refused(
        &beast,
        &["summarize"],
        b" \n\t",
        expect![[r#"
        exit 2
        out: ""
        err: beastctl: the input is empty; try: cat FILE | beastctl summarize, or beastctl summarize FILE
    "#]],
    );
    refused(
        &beast,
        &["commit-msg"],
        b"",
        expect![[r#"
        exit 2
        out: ""
        err: beastctl: the input is empty, and git diff failed: fatal: not a git repository (or any of the parent directories): .git; try: git diff --staged | beastctl commit-msg
    "#]],
    );
    refused(
        &beast,
        &["ask"],
        b"",
        expect![[r#"
        exit 2
        out: ""
        err: beastctl: the input is empty; try: beastctl ask 'QUESTION'
    "#]],
    );
    refused(
        &beast,
        &["summarize", "good", "binary"],
        b"",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: binary is binary (a NUL byte at offset 2); try: convert it to text first, for example with pdftotext or iconv -t UTF-8
        "#]],
    );
    refused(
        &beast,
        &["summarize", "good", "missing"],
        b"",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: cannot read missing: No such file or directory (os error 2); try: ls, to see what is there
        "#]],
    );
    refused(
        &beast,
        &["run", "explain", "folder"],
        b"",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: cannot read folder: is a directory; try: name its files, like folder/*
        "#]],
    );
    refused(
        &beast,
        &["summarize", "-", "-"],
        b"text",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: `-` is named more than once; try: use `-` once, and name other files
        "#]],
    );
}

#[test]
fn an_endless_input_is_left_as_soon_as_it_is_too_long() {
    let beast = Beast::alone();
    let mut yes = spawn(Command::new("yes").stdout(Stdio::piped()));
    let mut command = beast.command(&["summarize"]);
    command.stdin(yes.stdout.take().unwrap());
    let ran = Ran::of(spawn(&mut command), beast.dir.path());
    // The command holds the reading end too, and `yes` exits only when all readers are gone.
    drop(command);
    expect![[r#"
        exit 4
        out: ""
        err: beastctl: the input is more than 32 MiB, and one request holds at most 32 MiB; try: send a part of it, for example with head -c
    "#]]
    .assert_eq(&ran.report());
    yes.wait().unwrap();
}

#[test]
fn a_file_that_is_too_long_is_not_even_read() {
    let beast = Beast::alone();
    std::fs::File::create(beast.path("big")).unwrap().set_len(50_000_000).unwrap();
    refused(
        &beast,
        &["summarize", "big"],
        b"",
        expect![[r#"
            exit 4
            out: ""
            err: beastctl: the input is 47.7 MiB, and one request holds at most 32 MiB; try: send a part of it, for example with head -c
        "#]],
    );
}

/// It is within the limit for input, but exceeds that of the frame, which contains the instruction as well.
#[test]
fn an_input_that_fills_the_frame_alone_is_refused_too() {
    let beast = Beast::new();
    let daemon = beast.daemon(crate::harness::Peer::sees_the_end);
    let ran = Ran::of(feed(beast.command(&["summarize"]), &vec![b'a'; 32 * 1024 * 1024]), beast.dir.path());
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("beastd accepts at most 32 MiB; try: shorten the input"), "{ran:?}");
    assert!(daemon.join().unwrap());
}

#[test]
fn the_users_own_prompt_wins_and_its_mistakes_have_a_line() {
    let beast = Beast::new();
    beast.write("config/beast/prompts/summarize.md", "---\nmax_tokens: 7\n---\nSay it in Latin.\n");
    beast.write("config/beast/prompts/wrong.md", "---\nengine: x\n---\ntext");
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["ok"]);
        request
    });
    assert_eq!(beast.run(&["summarize"], b"text").code, Some(0));
    let request = daemon.join().unwrap();
    assert_eq!((request.messages[0].content.as_str(), request.max_tokens), ("Say it in Latin.", Some(7)));
    refused(
        &beast,
        &["run", "wrong"],
        b"text",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: DIR/config/beast/prompts/wrong.md:2: unknown key `engine`; try: one of description, model, system, variables, sampling, max_tokens, soft_limit, distinct, stop, one_line, think, schema, reduce
        "#]],
    );
    refused(
        &beast,
        &["run", "sumarize"],
        b"text",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: no prompt `sumarize`, did you mean `summarize`?; try: use one of ask, commit-msg, explain, fix, keywords, review, shell, summarize, title, tldr, translate, wrong, or beastctl prompts new sumarize
        "#]],
    );
    refused(
        &beast,
        &["run", "../wrong"],
        b"text",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: invalid prompt name `../wrong`; try: use a name without `/` that starts with a letter or digit; its file is NAME.md
        "#]],
    );
}

#[test]
fn a_mistake_on_the_command_line_is_one_line() {
    let beast = Beast::alone();
    refused(
        &beast,
        &["sumarize"],
        b"",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: unknown command `sumarize`, did you mean `summarize`?; try: beastctl --help for commands, beastctl prompts for prompts
        "#]],
    );
    refused(
        &beast,
        &["summarize", "--temp", "-1"],
        b"",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: invalid value '-1' for '--temp <T>': must be a number, 0 or more; try: beastctl summarize --help
        "#]],
    );
    refused(
        &beast,
        &["ask", "--max-tokens", "0", "q"],
        b"",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: invalid value '0' for '--max-tokens <N>': must be a whole number, 1 or more; try: beastctl ask --help
        "#]],
    );
    refused(
        &beast,
        &["run"],
        b"",
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: missing <PROMPT>; try: beastctl run --help
        "#]],
    );
}

#[test]
fn the_time_limit_holds_for_stdin_too() {
    for (arguments, is_begun) in [(&["ask", "hi"][..], false), (&["summarize"], true), (&["commit-msg"], true)] {
        let beast = Beast::new();
        let mut child = spawn(&mut beast.command(&[&["--timeout", "100ms"], arguments].concat()));
        // stdin stays open, like that of a program that never ends.
        let mut stdin = child.stdin.take().unwrap();
        if is_begun {
            stdin.write_all(b"some text\n").unwrap();
        }
        expect![[r#"
            exit 1
            out: ""
            err: beastctl: the input did not end within 100ms; try: raise --timeout, or add < /dev/null if there is no input
        "#]]
        .assert_eq(&Ran::of(child, beast.dir.path()).report());
    }
}
