//! `embed` and `similar`: what they send, what they print, and which vectors they compute again.

use std::{fs, thread::JoinHandle};

use beast_protocol::{Embed, Embedded, ErrorCode, Event, Request, WireError};
use expect_test::expect;

use crate::harness::{Beast, Peer, Ran, feed};

fn asked(peer: &mut Peer) -> Embed {
    match peer.request() {
        Request::Embed(embed) => embed,
        other => panic!("not an embedding: {other:?}"),
    }
}

/// A vector whose angle grows with the number of `a`s in a text: `a` and `aa` are closer than `a` and `aaaa`.
fn vector(text: &str) -> Vec<f32> {
    let angle = text.matches('a').count() as f32 / 10.0;
    vec![angle.cos(), angle.sin()]
}

fn embedded(texts: &[String], model: u8) -> Event {
    Event::Embedded(Embedded {
        model: "cub".into(),
        fingerprint: Some([model; 32]),
        vectors: texts.iter().map(|text| vector(text)).collect(),
        ..Embedded::default()
    })
}

/// Answers this many requests on one connection; returns their texts.
fn daemon(beast: &Beast, n_requests: usize, model: u8) -> JoinHandle<Vec<Vec<String>>> {
    beast.daemon(move |peer| {
        let answer = |_| {
            let texts = asked(peer).texts;
            peer.send(&embedded(&texts, model));
            texts
        };
        (0..n_requests).map(answer).collect()
    })
}

/// Runs beastctl against a fresh daemon; also returns the texts that it sent, one list per request.
fn run(beast: &Beast, n_requests: usize, model: u8, arguments: &[&str], input: &str) -> (Ran, Vec<Vec<String>>) {
    let daemon = daemon(beast, n_requests, model);
    let ran = beast.run(arguments, input.as_bytes());
    let sent = daemon.join().unwrap();
    fs::remove_file(beast.socket()).unwrap();
    (ran, sent)
}

#[test]
fn each_line_becomes_an_object_with_its_place() {
    let beast = Beast::new();
    let (ran, sent) = run(&beast, 1, 1, &["embed"], "a\n\nbb \n");
    expect![[r#"
        exit 0
        out: "{\"file\":null,\"line\":1,\"text\":\"a\",\"embedding\":[0.9950042,0.09983342]}\n{\"file\":null,\"line\":3,\"text\":\"bb\",\"embedding\":[1.0,0.0]}\n"
        err: "#]]
    .assert_eq(&ran.report());
    assert_eq!(sent, [["a", "bb"]]);
    beast.write("x.txt", "one\ntwo\n\nthree\n");
    beast.write("y.txt", "four\n");
    let (ran, sent) = run(&beast, 1, 1, &["embed", "--by", "paragraph", "x.txt", "y.txt"], "");
    assert_eq!(sent, [["one\ntwo", "three", "four"]]);
    let places: Vec<_> = ran.stdout.lines().map(|line| line.split(",\"text\"").next().unwrap().to_owned()).collect();
    let expected =
        ["{\"file\":\"x.txt\",\"line\":1", "{\"file\":\"x.txt\",\"line\":4", "{\"file\":\"y.txt\",\"line\":1"];
    assert_eq!(places, expected);
}

#[test]
fn binary_output_is_the_numbers_alone() {
    let beast = Beast::new();
    let out = beast.path("out.f32");
    let daemon = daemon(&beast, 1, 1);
    let mut command = beast.command(&["embed", "--binary"]);
    command.stdout(fs::File::create(&out).unwrap());
    let ran = Ran::of(feed(command, b"a\nbb\n"), beast.dir.path());
    daemon.join().unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected: Vec<u8> = [vector("a"), vector("b")].concat().iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(fs::read(out).unwrap(), expected);
}

#[test]
fn many_texts_are_sent_in_several_requests() {
    let beast = Beast::new();
    let input: String = (0..600).map(|n| format!("{n}\n")).collect();
    let (ran, sent) = run(&beast, 10, 1, &["embed"], &input);
    assert_eq!(ran.stdout.lines().count(), 600);
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [[64; 9].as_slice(), &[24]].concat());
    assert_eq!(sent.concat()[599], "599");
}

#[test]
fn the_most_similar_come_first() {
    let beast = Beast::new();
    let (ran, sent) = run(&beast, 2, 1, &["similar", "a", "-n", "2"], "aaaa\nb\naaa\n");
    assert_eq!(ran.report(), "exit 0\nout: \"0.995\\t2\\tb\\n0.980\\t3\\taaa\\n\"\nerr: ");
    assert_eq!(sent[0], ["a"]);
    beast.write("x.txt", "aaaa\n\nfar away, aaaaaaa\n");
    beast.write("y.txt", "bbb\n\na word\n");
    let (ran, _) = run(&beast, 2, 1, &["similar", "a", "x.txt", "y.txt", "--by", "paragraph"], "");
    expect![[r#"
        exit 0
        out: "1.000\ty.txt:3\ta word\n0.995\ty.txt:1\tbbb\n0.955\tx.txt:1\taaaa\n0.622\tx.txt:3\tfar away, aaaaaaa\n"
        err: "#]]
    .assert_eq(&ran.report());
    let (ran, _) = run(&beast, 2, 1, &["similar", "a", "x.txt", "y.txt", "--by", "file", "--json"], "");
    let files: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["file"].clone())
        .collect();
    assert_eq!(files, ["y.txt", "x.txt"], "once each");
    let (ran, _) = run(&beast, 1, 1, &["similar", "a"], "\n \n");
    assert_eq!(ran.report(), "exit 1\nout: \"\"\nerr: ", "nothing to rank");
    let (ran, _) = run(&beast, 2, 1, &["similar", "a", "--min", "0.9999"], "bbb\n");
    assert_eq!(ran.report(), "exit 1\nout: \"\"\nerr: ", "like grep");
}

#[test]
fn a_second_search_computes_only_what_has_changed() {
    let beast = Beast::new();
    beast.write("x.txt", "aaa\nb\naa\nb\n");
    let search = ["similar", "a", "x.txt"];
    let (first, sent) = run(&beast, 2, 1, &search, "");
    let mut texts = sent[1].clone();
    texts.sort();
    assert_eq!(texts, ["aa", "aaa", "b"], "equal texts once");
    let (second, sent) = run(&beast, 1, 1, &search, "");
    assert_eq!((&second.stdout, sent.len()), (&first.stdout, 1), "only the query");
    beast.write("x.txt", "aaa\nb\nnew\n");
    assert_eq!(run(&beast, 2, 1, &search, "").1[1], ["new"]);
    let (_, sent) = run(&beast, 2, 2, &search, "");
    assert_eq!(sent[1].len(), 3, "another model");
    let (_, sent) = run(&beast, 2, 2, &[&search[..], &["--no-index"]].concat(), "");
    assert_eq!(sent[1].len(), 3);
    let (_, sent) = run(&beast, 2, 2, &[&search[..], &["--by", "paragraph"]].concat(), "");
    assert_eq!(sent[1], ["aaa\nb\nnew"]);
}

#[test]
fn a_truncated_text_is_computed_and_told_each_time() {
    let beast = Beast::new();
    beast.write("x.txt", "aaa\nb\n");
    for _ in 0..2 {
        let daemon = beast.daemon(|peer| {
            let mut sent = Vec::new();
            for _ in 0..2 {
                let texts = asked(peer).texts;
                let truncated = (0..).zip(&texts).filter(|(_, text)| *text == "aaa").map(|(nth, _)| nth).collect();
                let Event::Embedded(embedded) = embedded(&texts, 1) else { unreachable!() };
                peer.send(&Event::Embedded(Embedded { truncated, ..embedded }));
                sent.extend(texts);
            }
            sent
        });
        let ran = beast.run(&["similar", "a", "x.txt"], b"");
        let warning = "beastctl: warning: 1 text was longer than the context, and only the beginning counts\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), warning));
        assert!(daemon.join().unwrap().contains(&"aaa".to_owned()), "the context may be larger next time");
        fs::remove_file(beast.socket()).unwrap();
    }
}

#[test]
fn a_text_that_is_too_long_is_named() {
    let embed = |arguments: &[&str]| {
        let beast = Beast::new();
        beast.write("x.txt", "a\n\nlong\n");
        let daemon = beast.daemon(|peer| {
            let texts = asked(peer).texts;
            let Event::Embedded(embedded) = embedded(&texts, 1) else { unreachable!() };
            peer.send(&Event::Embedded(Embedded { truncated: vec![1], ..embedded }));
        });
        let ran = beast.run(&[&["embed", "x.txt"], arguments].concat(), b"");
        daemon.join().unwrap();
        (ran.code, ran.stdout.lines().count(), ran.stderr)
    };
    let (code, n_lines, error) = embed(&[]);
    let expected = "beastctl: x.txt:3 is longer than the context; try: pass --truncate to embed its beginning, or raise \
                    n_ctx\n";
    assert_eq!((code, n_lines, error.as_str()), (Some(4), 1, expected));
    let (code, n_lines, error) = embed(&["--truncate"]);
    assert!(code == Some(0) && n_lines == 2 && error.starts_with("beastctl: warning: 1 text was longer"), "{error}");
}

#[test]
fn an_interrupted_search_keeps_what_it_has_computed() {
    let beast = Beast::new();
    let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
    beast.write("x.txt", lines.join("\n"));
    let daemon = beast.daemon(|peer| {
        for _ in 0..2 {
            let texts = asked(peer).texts;
            peer.send(&embedded(&texts, 1));
        }
        asked(peer);
        peer.send(&Event::Failed(WireError::new(ErrorCode::Engine, "it failed; try: again")));
    });
    assert_eq!(beast.run(&["similar", "a", "x.txt"], b"").code, Some(1));
    daemon.join().unwrap();
    fs::remove_file(beast.socket()).unwrap();
    let (ran, sent) = run(&beast, 2, 1, &["similar", "a", "x.txt", "-n", "1"], "");
    assert_eq!((ran.code, sent[1].len()), (Some(0), 100 - 64));
}

#[test]
fn a_name_with_a_tab_does_not_break_the_table() {
    let beast = Beast::new();
    beast.write("a\tb\nc", "text\n");
    let (ran, _) = run(&beast, 2, 1, &["similar", "a", "a\tb\nc"], "");
    assert_eq!((ran.stdout.lines().count(), ran.stdout.matches('\t').count()), (1, 2), "{ran:?}");
}

#[test]
fn what_cannot_be_embedded_is_told_before_anything_is_asked() {
    let beast = Beast::new();
    for (arguments, input, report) in [
        (
            &["embed"][..],
            " \n",
            "exit 2\nout: \"\"\nerr: beastctl: the input is empty; try: beastctl embed notes.txt\n",
        ),
        (
            &["similar", " "],
            "text\n",
            "exit 2\nout: \"\"\nerr: beastctl: the query is empty; try: beastctl similar 'QUERY' FILE\n",
        ),
        (
            &["similar", "a", "none.txt"],
            "",
            "exit 2\nout: \"\"\nerr: beastctl: cannot read none.txt: No such file or directory (os error 2); \
             try: ls, to see what is there\n",
        ),
        (
            &["similar", "a", "-n", "0"],
            "text\n",
            "exit 2\nout: \"\"\nerr: beastctl: invalid value '0' for '--top <N>': 0 is not a number from 1 to 1000000; \
             try: beastctl similar --help\n",
        ),
    ] {
        assert_eq!(beast.run(arguments, input.as_bytes()).report(), report, "{arguments:?}");
    }
    beast.write("notes.md", "text\n");
    let error = "beastctl: notes.md is a file, not a query; try: beastctl similar QUERY notes.md\n";
    let ran = beast.run(&["similar", "notes.md"], b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(2), error), "the query was forgotten");
    assert_eq!(beast.run(&["embed", "--no-start"], b"text").code, Some(3));
}

#[test]
fn of_several_files_one_that_is_no_text_is_skipped() {
    let beast = Beast::new();
    beast.write("x.txt", "a\n");
    beast.write("image.png", b"\x89PNG\0\0");
    let (ran, sent) = run(&beast, 1, 1, &["embed", "x.txt", "image.png"], "");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1));
    assert!(ran.stderr.starts_with("beastctl: warning: skipped: image.png is binary"), "{ran:?}");
    assert_eq!(sent, [["a"]]);
}

#[test]
fn what_the_daemon_says_is_believed_only_if_it_fits() {
    let failed = |event: Event| {
        let beast = Beast::new();
        let daemon = beast.daemon(move |peer| {
            asked(peer);
            peer.send(&event);
        });
        let ran = beast.run(&["embed"], b"a\nb\n");
        daemon.join().unwrap();
        (ran.code, ran.stderr)
    };
    let error = WireError::new(ErrorCode::TooLong, "input 1 is too long; try: shorten it");
    assert_eq!(failed(Event::Failed(error)), (Some(4), "beastctl: input 1 is too long; try: shorten it\n".into()));
    let mismatch = "beastctl: invalid response from beastd: the vectors do not match the texts; \
                    try: beastctl stop, then repeat the command\n";
    for vectors in [vec![vec![1.0]], vec![vec![1.0], vec![0.6, 0.8]], vec![vec![], vec![]]] {
        let event = Event::Embedded(Embedded { vectors, ..Embedded::default() });
        assert_eq!(failed(event), (Some(1), mismatch.into()));
    }
}

#[test]
fn vectors_of_two_models_are_never_mixed() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        for model in [1, 2] {
            let texts = asked(peer).texts;
            peer.send(&embedded(&texts, model));
        }
    });
    let ran = beast.run(&["similar", "a"], b"text\n");
    daemon.join().unwrap();
    let error = "beastctl: the model changed during the command; try: repeat the command\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), error));
}
