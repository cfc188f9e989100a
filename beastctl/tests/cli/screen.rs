//! What a user at a terminal sees: the formatted answer, and the status line.

use std::{process::Command, sync::mpsc};

use beast_protocol::{ErrorCode, Event, FinishReason, LoadStage, Notice, NoticeKind, Part, Round, Span, WireError};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use unicode_width::UnicodeWidthStr;

use crate::{
    conversations::daemon,
    harness::{Beast, feed},
    terminal::{Seen, Terminal},
};

const ERASE: &str = "\r\x1b[K";
const ANSWER: &[&str] =
    &["# He", "ading\nSome **bo", "ld** and `co", "de`.\n* it", "em\n", "\x1b[2Jx\u{9b}\n```sh\nls *\n", "```"];

fn command(beast: &Beast, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = beast.command(arguments);
    command.env("TERM", "xterm").env("LANG", "C.UTF-8").envs(variables.iter().copied());
    command
}

/// stdout after [`ANSWER`].
fn answered(arguments: &[&str], variables: &[(&str, &str)], is_terminal: bool) -> String {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.answer(ANSWER);
    });
    let command = command(&beast, &[&["summarize"], arguments].concat(), variables);
    if is_terminal {
        let (code, out, _) = Seen::start(command, 80, b"text").finish();
        assert_eq!(code, Some(0));
        return out;
    }
    let output = feed(command, b"text").wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_terminal_shows_markdown_painted_and_obeys_nothing_of_it() {
    let painted = answered(&[], &[], true);
    expect![[r#"
        ESC[1;4mHeadingESC[0m
        Some ESC[1mboldESC[0m and ESC[36mcodeESC[0m.
        • item
        �[2Jx�
        ESC[2;3mshESC[0m
        ESC[2mls *ESC[0m
    "#]]
    .assert_eq(&painted.replace('\x1b', "ESC"));
    assert_eq!(answered(&["--no-stream"], &[], true), painted);
    assert_eq!(answered(&["--color", "always"], &[("NO_COLOR", "1")], false), painted);
    assert_eq!(answered(&[], &[("CLICOLOR_FORCE", "1")], false), painted);
}

#[test]
fn whoever_wants_it_plain_gets_it_plain() {
    let plain = ANSWER.concat() + "\n";
    let safe = plain.replace(['\x1b', '\u{9b}'], "\u{fffd}");
    for (arguments, variables) in [
        (&["--no-markdown"][..], &[][..]),
        (&[], &[("BEAST_MARKDOWN", "never")]),
        (&["--color", "never"], &[]),
        (&[], &[("BEAST_COLOR", "never")]),
        (&[], &[("NO_COLOR", "1")]),
        (&[], &[("TERM", "dumb")]),
    ] {
        assert_eq!(answered(arguments, variables, true), safe, "{arguments:?} {variables:?}");
    }
    assert_eq!(answered(&[], &[], false), plain, "a pipe");
    assert_eq!(answered(&[], &[("LANG", "C")], false), plain, "a pipe in another locale");
    assert_eq!(answered(&["-x"], &[], true), "ls *\n");
}

const LONG: &str = "The quick brown fox jumps over the lazy dog, and **nobody** is surprised.\n```\na line of code that is longer than the terminal\n```\n";

/// The output on a terminal of 30 columns.
fn narrow(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        let pieces: Vec<String> = LONG.chars().map(String::from).collect();
        peer.answer(&pieces.iter().map(String::as_str).collect::<Vec<_>>());
    });
    let (code, out, _) = Seen::start(command(&beast, arguments, variables), 30, b"text").finish();
    assert_eq!(code, Some(0));
    out.replace('\x1b', "ESC")
}

#[test]
fn words_stay_whole_at_the_edge_of_a_terminal() {
    let shown = narrow(&["summarize"], &[]);
    expect![[r#"
        The quick brown fox jumps over
        the lazy dog, and ESC[1mnobodyESC[0m is
        surprised.
        ESC[2ma line of code that is longer than the terminalESC[0m
    "#]]
    .assert_eq(&shown);
    assert_eq!(narrow(&["summarize", "--no-stream"], &[]), shown);
    expect![[r#"
        The quick brown fox jumps over
        the lazy dog, and **nobody**
        is surprised.
        ```
        a line of code that is longer than the terminal
        ```
    "#]]
    .assert_eq(&narrow(&["summarize"], &[("NO_COLOR", "1")]));
    // Exactly as the model wrote it.
    assert_eq!(narrow(&["summarize", "--no-markdown"], &[]), LONG);
    let in_pipe = answered(&[], &[("COLUMNS", "30")], false);
    assert_eq!(in_pipe, ANSWER.concat() + "\n");
}

#[test]
fn a_conversation_is_shown_like_the_answers_that_it_keeps() {
    let beast = Beast::new();
    daemon(&beast, &["**yes**, and a few words that do not fit into one line\n```\nopen", "no"]);
    beast.run(&["ask", "--session", "talk", "Is that a question of several words?"], b"");
    beast.run(&["ask", "--session", "talk", "again?"], b"");
    let show = ["history", "show", "talk"];
    let (_, out, _) = Seen::start(command(&beast, &show, &[]), 30, b"").finish();
    expect![[r#"
        ESC[2m│ ESC[0;3mIs that a question of
        │ several words?ESC[0m

        ESC[1myesESC[0m, and a few words that do
        not fit into one line
        ESC[2mopenESC[0m

        ESC[2m│ ESC[0;3magain?ESC[0m

        no
    "#]]
    .assert_eq(&out.replace('\x1b', "ESC"));
    // A pipe gets the plain text.
    expect![[r#"
        > Is that a question of several words?

        **yes**, and a few words that do not fit into one line
        ```
        open

        > again?

        no
    "#]]
    .assert_eq(&beast.run(&show, b"").stdout);
}

#[test]
fn tables_and_help_keep_their_words_whole() {
    let beast = Beast::new();
    for arguments in [&["models"][..], &["prompts"], &["models", "show", "lfm2-2.6b"]] {
        let wide = beast.run(arguments, b"").stdout;
        let (_, out, _) = Seen::start(command(&beast, arguments, &[]), 60, b"").finish();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&out.replace(&beast.dir.path().display().to_string(), "DIR")), words(&wide));
        let too_wide = |line: &&str| line.width() > 60 && line.split_whitespace().count() > 2;
        assert_eq!(out.lines().filter(too_wide).collect::<Vec<_>>(), Vec::<&str>::new(), "{arguments:?}");
    }
    let (_, _, err) = Seen::start(command(&beast, &["chat"], &[]), 44, b"/help\n").finish();
    expect![[r#"
        /clear          start a new conversation
        /system [TEXT]  show the system turn, or
                        start a new conversation
                        with this one
        /save NAME      name this conversation for
                        --session
        /retry          ask the last question again
        /edit [TEXT]    write a question in your
                        editor, beginning with TEXT
                        or the last question
        /file PATH      add a file to the next
                        question
        /quit           quit; so do Ctrl-D, exit,
                        quit, /exit and /bye
        Enclose a question of several lines in """,
        or end a line with \ to continue it.
        Ctrl-C stops an answer.
    "#]]
    .assert_eq(&err);
}

#[test]
fn an_object_on_a_terminal_commands_nothing() {
    for option in ["--json", "--stream-json"] {
        let shown = answered(&[option], &[], true);
        assert!(shown.contains(r"\u001b[2Jx\u009b"), "{shown}");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
}

#[test]
fn an_object_of_a_conversation_commands_no_terminal() {
    let beast = Beast::new();
    daemon(&beast, &["a\u{9b}b\u{7f}"]);
    beast.run(&["ask", "\u{9b}?"], b"");
    for arguments in [&["history", "show", "--json"], &["history", "list", "--json"]] {
        let shown = beast.ok(arguments);
        assert!(shown.contains(r"\u009b") && !shown.trim_end().contains(char::is_control), "{shown:?}");
    }
}

#[test]
fn help_is_coloured_as_it_is_asked_for() {
    let beast = Beast::new();
    for (arguments, variables, expected) in [
        (&["--help"][..], &[][..], false),
        (&["--help", "--color=always"], &[], true),
        (&["--color", "always", "ask", "--help"], &[("BEAST_COLOR", "never")], true),
        (&["--help"], &[("CLICOLOR_FORCE", "1")], true),
        (&["--help"], &[("BEAST_COLOR", "always")], true),
    ] {
        let output = feed(command(&beast, arguments, variables), b"").wait_with_output().unwrap();
        assert_eq!(output.stdout.contains(&0x1b), expected, "{arguments:?} {variables:?}");
    }
    let (code, out, err) = Seen::start(command(&beast, &["ask", "--tmep"], &[("NO_COLOR", "1")]), 80, b"").finish();
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(!err.contains('\x1b'), "{err:?}");
    let (.., err) = Seen::start(command(&beast, &["ask", "--tmep"], &[]), 80, b"").finish();
    assert!(err.starts_with("\x1b[1mbeastctl:\x1b[0m unknown option"), "{err:?}");
}

#[test]
fn an_empty_choice_of_colours_is_none() {
    assert_eq!(answered(&[], &[("BEAST_COLOR", "")], false), ANSWER.concat() + "\n");
}

#[test]
fn text_is_on_the_terminal_before_the_next_piece_comes() {
    let beast = Beast::new();
    let (go_on, may_go_on) = mpsc::channel();
    beast.daemon(move |peer| {
        peer.generate();
        peer.started();
        for piece in ["first **sec", "ond** third", " end"] {
            peer.say(&[piece]);
            may_go_on.recv().unwrap();
        }
        peer.done(FinishReason::Stop);
    });
    let seen = Seen::start(command(&beast, &["summarize"], &[]), 80, b"text");
    for text in ["first", "third", "end"] {
        seen.out.wait_for(text);
        go_on.send(()).unwrap();
    }
    let (code, out, _) = seen.finish();
    assert_eq!((code, out.as_str()), (Some(0), "first \x1b[1msecond\x1b[0m third end\n"));
}

/// The frames of the status line, in order, and the output after the last.
fn frames(err: &str) -> (Vec<&str>, &str) {
    let mut lines: Vec<&str> = err.split(ERASE).collect();
    assert_eq!(lines.remove(0), "", "{err:?}");
    let rest = lines.pop().unwrap();
    (lines, rest)
}

#[test]
fn the_line_moves_while_nothing_happens_and_is_gone_before_the_answer() {
    for (locale, spins) in [("C.UTF-8", ["⠋ ", "⠙ ", "⠹ "]), ("C", ["| ", "/ ", "- "])] {
        let beast = Beast::new();
        let (go_on, may_go_on) = mpsc::channel();
        beast.daemon(move |peer| {
            peer.generate();
            peer.send(&Event::Queued { position: 2 });
            may_go_on.recv().unwrap();
            peer.started();
            peer.say(&["first"]);
            peer.send(&Event::Progress { n_done: 5, n_total: 9 });
            may_go_on.recv().unwrap();
            peer.say(&[" second"]);
            peer.done(FinishReason::Stop);
        });
        let seen = Seen::start(command(&beast, &["summarize"], &[("LANG", locale)]), 80, b"text");
        for spin in spins {
            seen.err.wait_for(&format!("{ERASE}{spin}in the queue, 2 ahead"));
        }
        go_on.send(()).unwrap();
        seen.out.wait_for("first");
        go_on.send(()).unwrap();
        let (code, out, err) = seen.finish();
        assert_eq!((code, out.as_str()), (Some(0), "first second\n"));
        let (frames, rest) = frames(&err);
        assert_eq!(rest, "", "{err:?}");
        assert!(frames.iter().all(|frame| frame.ends_with("2 ahead")), "{err:?}");
    }
}

#[test]
fn nobody_is_told_who_cannot_see_it_or_does_not_want_to() {
    for (arguments, variables) in [(&["-q"][..], &[][..]), (&[], &[("TERM", "dumb")])] {
        let beast = Beast::new();
        let (go_on, may_go_on) = mpsc::channel();
        beast.daemon(move |peer| {
            peer.generate();
            peer.send(&Event::Queued { position: 2 });
            may_go_on.recv().unwrap();
            // The delay for a status line has passed, so a new state would be shown at once, before the answer.
            peer.send(&Event::Queued { position: 1 });
            peer.started();
            peer.say(&["first"]);
            may_go_on.recv().unwrap();
            peer.done(FinishReason::Stop);
        });
        let started = std::time::Instant::now();
        let seen = Seen::start(command(&beast, &[&["summarize"], arguments].concat(), variables), 80, b"text");
        // Waits as long as another run takes to show its line.
        let other = line_of_another(&Beast::new());
        assert!(other.contains("7 ahead") && started.elapsed().as_millis() > 150);
        go_on.send(()).unwrap();
        seen.out.wait_for("first");
        go_on.send(()).unwrap();
        assert_eq!(seen.finish(), (Some(0), "first\n".into(), String::new()), "{arguments:?}");
    }
}

fn line_of_another(beast: &Beast) -> String {
    let (go_on, may_go_on) = mpsc::channel();
    beast.daemon(move |peer| {
        peer.generate();
        peer.send(&Event::Queued { position: 7 });
        may_go_on.recv().unwrap();
        peer.answer(&["x"]);
    });
    let seen = Seen::start(command(beast, &["summarize"], &[]), 80, b"text");
    seen.err.wait_for("7 ahead");
    go_on.send(()).unwrap();
    seen.finish().2
}

fn part(n_done: u32, is_cut: bool, text: &str) -> Event {
    let (round, index, n_parts, n_tokens, n_overlap, span) = (1, n_done - 1, 3, 100, 0, Span::default());
    Event::Part(Part { round, index, n_done, n_parts, span, n_tokens, n_overlap, is_cut, text: text.into() })
}

#[test]
fn a_long_text_shows_how_far_it_is_and_what_was_found() {
    let beast = Beast::new();
    let (go_on, may_go_on) = mpsc::channel();
    beast.daemon(move |peer| {
        peer.generate();
        peer.send(&Event::Round(Round { round: 1, n_parts: 3, n_tokens: 38_211 }));
        may_go_on.recv().unwrap();
        peer.send(&part(1, false, &format!("{}\x1b[2J", "日本語の文章".repeat(10))));
        may_go_on.recv().unwrap();
        peer.send(&part(2, true, "Two"));
        peer.send(&part(3, false, "Three"));
        peer.send(&Event::Round(Round { round: 2, n_parts: 2, n_tokens: 90 }));
        may_go_on.recv().unwrap();
        peer.answer(&["All."]);
    });
    let seen = Seen::start(command(&beast, &["summarize"], &[]), 60, b"text");
    for line in [" part 1/3", " part 2/3", " merging 1/2 (round 2)"] {
        seen.err.wait_for(line);
        go_on.send(()).unwrap();
    }
    let (code, out, err) = seen.finish();
    assert_eq!((code, out.as_str()), (Some(0), "All.\n"));
    let (frames, rest) = frames(&err);
    expect![[r#"
        ESC[1mbeastctl:ESC[0m warning: 1 of 5 parts was truncated at the token limit; something may be missing
        ESC[1mbeastctl:ESC[0m read in 3 parts, 38,211 tokens
    "#]]
    .assert_eq(&rest.replace('\x1b', "ESC"));
    let cut = frames.iter().find(|frame| frame.contains("part 2/3")).unwrap();
    assert!(cut.contains("  日本語") && matches!(cut.width(), 58 | 59), "{cut:?}");
}

#[test]
fn the_line_is_gone_whatever_the_end() {
    let refusal = Event::Failed(WireError::new(ErrorCode::Engine, "broken"));
    // Without an event, the daemon disappears in the middle.
    for end in [Some(refusal), None] {
        let beast = Beast::alone();
        let (go_on, may_go_on) = mpsc::channel();
        beast.daemon(move |peer| {
            peer.generate();
            peer.send(&Event::Loading { stage: LoadStage::Weights, fraction: 0.5 });
            may_go_on.recv().unwrap();
            end.iter().for_each(|event| peer.send(event));
        });
        let seen = Seen::start(command(&beast, &["summarize"], &[]), 80, b"text");
        seen.err.wait_for("loading: weights 50 %");
        go_on.send(()).unwrap();
        let (code, out, err) = seen.finish();
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(frames(&err).1.starts_with("\x1b[1mbeastctl:\x1b[0m "), "{err:?}");
    }
}

#[test]
fn ctrl_c_leaves_a_clean_line_and_no_style() {
    let beast = Beast::new();
    let (go_on, may_go_on) = mpsc::channel();
    let daemon = beast.daemon(move |peer| {
        peer.generate();
        peer.send(&Event::Queued { position: 2 });
        may_go_on.recv().unwrap();
        let notices = vec![Notice { kind: NoticeKind::Info, text: "a note".into() }];
        peer.send(&Event::Started { model: "cub".into(), n_prompt: 9, n_ctx: 4096, notices });
        peer.say(&["# Half a heading"]);
        peer.sees_the_end()
    });
    let seen = Seen::start(command(&beast, &["summarize"], &[]), 80, b"text");
    seen.err.wait_for("2 ahead");
    go_on.send(()).unwrap();
    seen.out.wait_for("heading");
    kill_process(Pid::from_child(&seen.child), Signal::INT).unwrap();
    let (code, out, err) = seen.finish();
    assert_eq!((code, out.as_str()), (Some(130), "\x1b[1;4mHalf a heading\x1b[0m\n"));
    assert_eq!(frames(&err).1, "\x1b[1mbeastctl:\x1b[0m a note\n");
    assert!(daemon.join().unwrap());
}

#[test]
fn an_answer_that_is_kept_back_still_moves() {
    let beast = Beast::new();
    let (go_on, may_go_on) = mpsc::channel();
    beast.daemon(move |peer| {
        peer.generate();
        peer.started();
        peer.say(&["{\"a\":"]);
        may_go_on.recv().unwrap();
        peer.say(&[" 1}"]);
        peer.done(FinishReason::Stop);
    });
    let seen = Seen::start(command(&beast, &["summarize", "--no-stream"], &[]), 80, b"text");
    seen.err.wait_for("⠙ writing the answer");
    go_on.send(()).unwrap();
    let (code, out, err) = seen.finish();
    assert_eq!((code, out.as_str()), (Some(0), "{\"a\": 1}\n"));
    assert_eq!(frames(&err).1, "");
}

#[test]
fn a_daemon_that_takes_long_to_start_is_not_silence() {
    let beast = Beast::alone();
    let gate = beast.fifo("gate");
    beast.beastd(&format!("read line < {}\necho 'no luck' >&2\nexit 1", gate.display()));
    let err = Terminal::new(80);
    let mut command = command(&beast, &["summarize"], &[]);
    command.stderr(err.stdio());
    let child = feed(command, b"text");
    err.wait_for("⠙ starting beastd");
    std::fs::write(&gate, "go\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b""[..]));
    assert!(frames(&err.finish()).1.contains("no luck"));
}
