//! `decide`: its requests and output, and that exit code 1 means no and nothing else.

use std::{fs::OpenOptions, process::Child, sync::mpsc, thread::JoinHandle};

use beast_protocol::{
    AnswerOption, Decide, Decided, ErrorCode, Event, Notice, NoticeKind, Place, Question, QuestionKind, Request,
    Timings, Usage, WireError,
};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Beast, Peer, Ran, feed};

fn decided(probabilities: Vec<Vec<f32>>) -> Event {
    let temperatures = vec![1.0; probabilities.len()];
    let (usage, timings) = (Usage::default(), Timings::default());
    Event::Decided(Decided { model: "cub".into(), probabilities, temperatures, usage, timings, notices: Vec::new() })
}

fn asked(peer: &mut Peer) -> Decide {
    match peer.request() {
        Request::Decide(decide) => decide,
        other => panic!("not a decision: {other:?}"),
    }
}

fn daemon(beast: &Beast, event: Event) -> JoinHandle<Decide> {
    beast.daemon(move |peer| {
        let asked = asked(peer);
        peer.send(&event);
        asked
    })
}

/// The output and the request of a run to which the daemon replies with these probabilities.
fn run(arguments: &[&str], input: &[u8], probabilities: Vec<Vec<f32>>) -> (String, Decide) {
    let beast = Beast::new();
    let daemon = daemon(&beast, decided(probabilities));
    let ran = beast.run(&[&["decide"], arguments].concat(), input);
    (ran.report(), daemon.join().unwrap())
}

#[test]
fn the_exit_code_is_the_answer() {
    for (arguments, yes, report) in [
        (&["is it?"][..], 0.9, "exit 0\nout: \"yes\\n\"\nerr: "),
        (&["is it?"], 0.1, "exit 1\nout: \"no\\n\"\nerr: "),
        (&["is it?", "--unsure", "0.2"], 0.45, "exit 6\nout: \"unsure\\n\"\nerr: "),
        (&["is it?", "--unsure", "0.2"], 0.3, "exit 1\nout: \"no\\n\"\nerr: "),
    ] {
        let (ran, asked) = run(arguments, b"a diff\n", vec![vec![yes, 1.0 - yes]]);
        assert_eq!(ran, report, "{arguments:?} {yes}");
        assert_eq!((asked.state.as_str(), asked.questions), ("a diff\n", vec![Question::yes_no("is it?")]));
    }
}

#[test]
fn a_choice_and_a_score_are_printed() {
    let (ran, asked) = run(&["what?", "--choice", "bug,feature"], b"text", vec![vec![0.25, 0.75]]);
    assert_eq!(ran, "exit 0\nout: \"feature\\n\"\nerr: ");
    let options = ["bug", "feature"].map(AnswerOption::new).to_vec();
    assert_eq!(asked.questions, [Question { text: "what?".into(), kind: QuestionKind::Choice, options }]);
    let (ran, asked) = run(&["how?", "--score", "1..3", "--truncate", "tail"], b"text", vec![vec![0.0, 0.25, 0.75]]);
    assert_eq!(ran, "exit 0\nout: \"3\\n\"\nerr: ");
    assert_eq!((asked.questions[0].options.len(), asked.drop, asked.is_raw), (3, Some(Place::Tail), false));
}

#[test]
fn several_questions_have_a_line_each_and_are_a_yes_together() {
    let arguments = ["is it a?", "is it\tb?", "is it c?", "--unsure", "0.2"];
    let (ran, asked) = run(&arguments, b"text", vec![vec![0.9, 0.1], vec![0.55, 0.45], vec![0.8, 0.2]]);
    expect![[r#"
        exit 6
        out: "is it a?\tyes\t0.900\nis it b?\tunsure\t0.550\nis it c?\tyes\t0.800\n"
        err: "#]]
    .assert_eq(&ran);
    assert_eq!(asked.questions.len(), 3);
    let (ran, _) = run(&arguments, b"text", vec![vec![0.9, 0.1], vec![0.55, 0.45], vec![0.2, 0.8]]);
    assert!(ran.starts_with("exit 1\n"), "{ran}");
}

#[test]
fn json_has_all_probabilities() {
    let (ran, _) = run(&["is it?", "--json"], b"text", vec![vec![0.9, 0.1]]);
    expect![[r#"
        exit 0
        out: "{\"question\":\"is it?\",\"type\":\"yes_no\",\"answer\":\"yes\",\"probabilities\":{\"yes\":0.9,\"no\":0.1},\"temperature\":1.0,\"model\":\"cub\"}\n"
        err: "#]]
    .assert_eq(&ran);
    let (ran, _) = run(&["a?", "b?", "--json"], b"text", vec![vec![0.9, 0.1], vec![0.2, 0.8]]);
    assert!(ran.starts_with("exit 1\nout: \"[{") && ran.contains("}]\\n"), "{ran}");
}

#[test]
fn material_comes_from_files_or_from_nowhere() {
    let beast = Beast::new();
    beast.write("a.c", "int a;\n");
    beast.write("b.h", "int b;\n");
    let daemon = daemon(&beast, decided(vec![vec![0.9, 0.1]]));
    assert_eq!(beast.run(&["decide", "-f", "a.c", "-f", "b.h", "is it C?"], b"not this").code, Some(0));
    let state = daemon.join().unwrap().state;
    assert!(state.contains("a.c") && state.contains("int b;") && !state.contains("not this"), "{state}");
    let (ran, asked) = run(&["-n", "is 7 prime?"], b"not this", vec![vec![0.9, 0.1]]);
    assert_eq!((ran.as_str(), asked.state.as_str()), ("exit 0\nout: \"yes\\n\"\nerr: ", ""));
}

#[test]
fn notices_are_told_beside_the_answer_unless_somebody_wants_quiet() {
    for (quiet, told) in [(&[][..], "beastctl: warning: the end was left out\n"), (&["-q"], "")] {
        let beast = Beast::new();
        let Event::Decided(answers) = decided(vec![vec![0.9, 0.1]]) else { unreachable!() };
        let notices = vec![Notice { kind: NoticeKind::Warning, text: "the end was left out".into() }];
        let daemon = daemon(&beast, Event::Decided(Decided { notices, ..answers }));
        let ran = beast.run(&[&["decide", "is it?"], quiet].concat(), b"text");
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "yes\n", told));
        daemon.join().unwrap();
    }
}

#[test]
fn no_failure_is_taken_for_an_answer() {
    for (code, exit) in [
        (ErrorCode::Invalid, 2),
        (ErrorCode::TooLong, 4),
        (ErrorCode::Overloaded, 75),
        (ErrorCode::ModelUnavailable, 70),
        (ErrorCode::Engine, 70),
        (ErrorCode::Internal, 70),
        (ErrorCode::Protocol, 70),
    ] {
        let beast = Beast::new();
        let daemon = daemon(&beast, Event::Failed(WireError::new(code, "it failed; try: again")));
        let ran = beast.run(&["decide", "is it?"], b"text");
        assert_eq!(ran.report(), format!("exit {exit}\nout: \"\"\nerr: beastctl: it failed; try: again\n"));
        daemon.join().unwrap();
    }
    let beast = Beast::new();
    let code = |arguments: &[&str], input: &[u8]| beast.run(&[&["decide"], arguments].concat(), input).code;
    assert_eq!(code(&["is it?", "--no-start"], b"text"), Some(3), "no daemon");
    assert_eq!(code(&["is it?", "--no-start"], b" \n"), Some(2), "nothing to decide about");
    assert_eq!(code(&["is it?", "--no-start"], b""), Some(2), "nothing at all");
    assert_eq!(code(&["is it?", "--no-start"], b"a\0b"), Some(2), "binary");
    beast.write("image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    assert_eq!(code(&["is it?", "--no-start", "-f", "image.png"], b""), Some(2), "binary");
    assert_eq!(code(&["is it?", "-f", "missing"], b""), Some(2));
    let ran = beast.run(&["decide", "image.png", "is it?"], b"");
    let report = "beastctl: image.png is a file, not a question; try: beastctl decide -f image.png QUESTION\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), report));
    assert_eq!(code(&["is it?", "--stream-json"], b"text"), Some(2));
    assert_eq!(code(&["is it?", "--choice", "a"], b"text"), Some(2));
    assert_eq!(code(&["is it?", "--choice", "a,,b"], b"text"), Some(2));
    assert_eq!(code(&["is it?", "--score", "1..1000"], b"text"), Some(2));
    assert_eq!(code(&[" ", "--no-start"], b"text"), Some(2));
    assert_eq!(code(&[], b"text"), Some(2));
    let options = (0..1000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(code(&["is it?", "--choice", &options], b"text"), Some(2));
}

#[test]
fn a_time_limit_is_no_no() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        asked(peer);
        peer.sees_the_end()
    });
    let ran = beast.run(&["decide", "is it?", "--timeout", "0.2"], b"text");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(70), ""), "{ran:?}");
    daemon.join().unwrap();
}

#[test]
fn a_full_disk_is_no_answer() {
    let full = || OpenOptions::new().write(true).open("/dev/full");
    if full().is_err() {
        return;
    }
    let into_full = |beast: &Beast, arguments: &[&str]| {
        let mut command = beast.command(arguments);
        command.stdout(full().unwrap());
        Ran::of(feed(command, b""), beast.dir.path())
    };
    let beast = Beast::new();
    let daemon = daemon(&beast, decided(vec![vec![0.9, 0.1]]));
    assert_eq!(into_full(&beast, &["decide", "-n", "is it?"]).code, Some(70));
    daemon.join().unwrap();
    assert_eq!(into_full(&beast, &["decide", "--help"]).code, Some(70));
    assert_eq!(into_full(&beast, &["ask", "--help"]).code, Some(1), "elsewhere 1 is a failure");
}

/// A run whose request has reached the daemon, which replies when the test says so.
fn asking(beast: &Beast, event: Event) -> (Child, mpsc::Sender<()>, JoinHandle<()>) {
    let (tell, told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let daemon = beast.daemon(move |peer| {
        asked(peer);
        tell.send(()).unwrap();
        match may_go_on.recv() {
            Ok(()) => peer.send(&event),
            Err(mpsc::RecvError) => assert!(peer.sees_the_end(), "the daemon hears of it"),
        }
    });
    let child = feed(beast.command(&["decide", "is it?"]), b"text");
    told.recv().unwrap();
    (child, go_on, daemon)
}

#[test]
fn a_closed_pipe_changes_no_answer() {
    for (yes, code) in [(0.9, 0), (0.1, 1)] {
        let beast = Beast::new();
        let (mut child, go_on, daemon) = asking(&beast, decided(vec![vec![yes, 1.0 - yes]]));
        drop(child.stdout.take());
        go_on.send(()).unwrap();
        let ran = Ran::of(child, beast.dir.path());
        assert_eq!(ran.report(), format!("exit {code}\nout: \"\"\nerr: "));
        daemon.join().unwrap();
    }
}

#[test]
fn ctrl_c_is_no_answer() {
    let beast = Beast::new();
    let (child, go_on, daemon) = asking(&beast, decided(vec![vec![0.1, 0.9]]));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(Ran::of(child, beast.dir.path()).report(), "exit 130\nout: \"\"\nerr: ");
    drop(go_on);
    daemon.join().unwrap();
}

#[test]
fn a_daemon_that_ends_is_no_answer() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| drop(asked(peer)));
    let ran = beast.run(&["decide", "is it?", "--no-start"], b"text");
    daemon.join().unwrap();
    assert!(matches!(ran.code, Some(3 | 70)) && ran.stdout.is_empty() && ran.stderr.contains("; try: "), "{ran:?}");
}

#[test]
fn a_response_that_does_not_match_the_questions_is_no_answer() {
    for (why, probabilities) in [
        ("none", vec![]),
        ("one of two", vec![vec![0.9, 0.1]]),
        ("three of two", vec![vec![0.9, 0.1]; 3]),
        ("an option too few", vec![vec![0.9, 0.1], vec![1.0]]),
        ("no number", vec![vec![0.9, 0.1], vec![f32::NAN, f32::NAN]]),
    ] {
        let beast = Beast::new();
        let daemon = daemon(&beast, decided(probabilities));
        let ran = beast.run(&["decide", "is it?", "is it not?"], b"text");
        daemon.join().unwrap();
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(70), ""), "{why}: {ran:?}");
        assert!(ran.stderr.contains("the answers do not match the questions; try: "), "{why}: {ran:?}");
    }
}

#[test]
fn a_calibration_asks_without_a_temperature_and_keeps_what_fits() {
    let beast = Beast::new();
    // Correct 3 times out of 4, with 99 % confidence each time.
    let lines: String = (0..40).map(|n| format!("{{\"text\": \"text {n}\", \"label\": {}}}\n", n % 4 != 0)).collect();
    beast.write("labelled.jsonl", lines);
    let daemon = beast.daemon(|peer| {
        for n in 0..40 {
            let decide = asked(peer);
            assert!(decide.is_raw && decide.state == format!("text {n}"), "{decide:?}");
            peer.send(&decided(vec![vec![0.99, 0.01]]));
        }
        match peer.request() {
            Request::KeepTemperatures(fitted) => {
                peer.send(&Event::Failed(WireError::new(ErrorCode::Internal, "no room; try: some")));
                fitted
            }
            other => panic!("{other:?}"),
        }
    });
    let ran = beast.run(&["decide", "--calibrate", "labelled.jsonl", "is it?"], b"");
    let fitted = daemon.join().unwrap();
    let expected = (0.99f32 / 0.01).ln() / 3f32.ln();
    assert!((fitted.temperatures[0].1 - expected).abs() < 0.01, "{fitted:?} {expected}");
    assert_eq!((fitted.temperatures[0].0, fitted.n_examples), (QuestionKind::YesNo, 40));
    assert_eq!(ran.report(), "exit 70\nout: \"\"\nerr: beastctl: no room; try: some\n", "what is not kept is not told");
}
