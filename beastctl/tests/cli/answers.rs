//! Output of successful runs.

use std::{io::Read, sync::mpsc};

use beast_protocol::{Event, FinishReason, LoadStage, Message, Notice, NoticeKind, Role, Sampling};
use expect_test::expect;

use crate::harness::{Beast, feed};

#[test]
fn the_answer_is_all_there_is_with_one_newline() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.send(&Event::Loading { stage: LoadStage::Weights, fraction: 0.5 });
        peer.send(&Event::Queued { position: 2 });
        peer.started();
        peer.send(&Event::Progress { n_done: 5, n_total: 9 });
        peer.say(&["\n A", " short", " line.\n", "\n"]);
        peer.done(FinishReason::Stop);
        request
    });
    let ran = beast.run(&["summarize", "--temp", "0", "--max-tokens", "64", "--stop", "END"], b"some text\n");
    expect![[r#"
        exit 0
        out: "A short line.\n"
        err: "#]]
    .assert_eq(&ran.report());
    let request = daemon.join().unwrap();
    assert_eq!(request.messages[0].role, Role::System);
    assert_eq!(request.messages[1], Message::new(Role::User, "some text\n"));
    assert_eq!(request.sampling, Sampling { temp: Some(0.0), ..Sampling::default() });
    assert_eq!((request.max_tokens, request.stop), (Some(64), vec!["END".to_owned()]));
}

/// Streaming is about order, not speed: each piece is printed before the daemon sends the next.
#[test]
fn each_piece_is_out_before_the_next_is_chosen() {
    let beast = Beast::new();
    let (go_on, may_go_on) = mpsc::channel();
    let daemon = beast.daemon(move |peer| {
        peer.generate();
        peer.started();
        peer.say(&["first"]);
        may_go_on.recv().unwrap();
        peer.say(&[" second"]);
        peer.done(FinishReason::Stop);
    });
    let mut child = feed(beast.command(&["summarize"]), b"text");
    let mut first = [0; 5];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first");
    go_on.send(()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), " second\n");
    daemon.join().unwrap();
}

#[test]
fn json_is_one_object_with_everything() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        let notices = vec![
            Notice { kind: NoticeKind::Info, text: "the built-in model answers".into() },
            Notice { kind: NoticeKind::Warning, text: "no chat template".into() },
        ];
        peer.send(&Event::Started { model: "cub".into(), n_prompt: 9, n_ctx: 4096, notices });
        peer.say(&["yes", "\n"]);
        peer.done(FinishReason::MaxTokens);
    });
    let ran = beast.run(&["ask", "--json", "really?"], b"");
    assert_eq!(ran.code, Some(0));
    let mut object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let client = object.as_object_mut().unwrap().remove("client").unwrap();
    for field in ["first_token_ms", "total_ms", "lag_ms_median", "lag_ms_max"] {
        assert!(client[field].as_f64().is_some_and(|ms| ms >= 0.0), "{field} in {client}");
    }
    expect![[r#"
        {
          "text": "yes",
          "reasoning": null,
          "tool_calls": [],
          "model": "cub",
          "finish_reason": "max_tokens",
          "truncated": true,
          "usage": {
            "n_prompt": 9,
            "n_cached": 4,
            "n_generated": 3,
            "n_drafted": 2,
            "n_accepted": 1
          },
          "parts": null,
          "timings": {
            "queued_ms": 0.01,
            "prefill_ms": 2.0,
            "decode_ms": 4.0,
            "first_token_ms": 3.0,
            "prompt_tokens_per_second": 2500.0,
            "answer_tokens_per_second": 500.0
          },
          "notices": [
            {
              "kind": "info",
              "text": "the built-in model answers"
            },
            {
              "kind": "warning",
              "text": "no chat template"
            },
            {
              "kind": "warning",
              "text": "the answer is truncated at 3 tokens (--max-tokens)"
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&object).unwrap());
    expect![[r#"
        beastctl: warning: no chat template
        beastctl: warning: the answer is truncated at 3 tokens (--max-tokens)
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn no_stream_writes_once_and_stats_say_what_it_took() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.answer(&["a", " b"]);
    });
    let ran = beast.run(&["summarize", "--no-stream", "--stats"], b"text");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "a b\n"));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines[0].starts_with("first token ") && lines[0].contains("delivery lag"), "{}", ran.stderr);
    expect![
        "prompt 9 tokens (4 cached) at 2500.0 tokens/s, answer 3 tokens at 500.0 tokens/s, 1 of 2 draft tokens accepted"
    ]
    .assert_eq(lines[1]);
}

#[test]
fn a_cut_answer_says_so_and_fails_only_under_strict() {
    for (arguments, expected) in [
        (
            &["summarize"][..],
            expect![[r#"
                exit 0
                out: "half\n"
                err: beastctl: warning: the answer is truncated at 3 tokens (--max-tokens)
            "#]],
        ),
        (
            &["summarize", "-q"],
            expect![[r#"
                exit 0
                out: "half\n"
                err: "#]],
        ),
        (
            &["summarize", "--strict", "-q"],
            expect![[r#"
                exit 5
                out: "half\n"
                err: beastctl: the answer is truncated at 3 tokens (--max-tokens); try: raise --max-tokens, or shorten the input
            "#]],
        ),
    ] {
        let beast = Beast::new();
        beast.daemon(|peer| {
            peer.generate();
            peer.started();
            peer.say(&["half"]);
            peer.done(FinishReason::MaxTokens);
        });
        expected.assert_eq(&beast.run(arguments, b"text").report());
    }
}

#[test]
fn an_empty_answer_prints_nothing_but_is_told() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.answer(&["\n", " "]);
    });
    expect![[r#"
        exit 0
        out: ""
        err: beastctl: warning: the answer is empty
    "#]]
    .assert_eq(&beast.run(&["summarize"], b"text").report());
}
