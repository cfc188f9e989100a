//! status, stop and version.

use std::process::{Command, Stdio};

use beast_protocol::{
    Event, LoadStage, Model, Request, SpeculationStatus, Stage, State, Status, StoredPrefixes, Tuning, Welcome,
};
use expect_test::expect;

use crate::harness::{Beast, Peer, Ran, feed, spawn};

pub(crate) fn status() -> Status {
    Status {
        version: "0.0.1".into(),
        engine: "llama.cpp".into(),
        pid: 42,
        uptime_ms: 61_500,
        state: State::Ready,
        profile: "beast".into(),
        socket: "/run/beastd.sock".into(),
        http: vec!["127.0.0.1:8484".into(), "/run/http.sock".into()],
        configured: "auto".into(),
        model: Some(Model {
            name: "LFM2-2.6B".into(),
            path: "/lfm2.gguf".into(),
            n_bytes: 1_560_000_000,
            n_params: 2_569_000_000,
            n_layers: 30,
            n_gpu_layers: 31,
            backend: "Metal".into(),
            n_ctx: 4096,
            n_ctx_train: 32768,
            has_chat_template: true,
            gpu: None,
        }),
        models: Vec::new(),
        upstreams: Vec::new(),
        memory_budget: None,
        stages: vec![Stage { stage: LoadStage::Socket, us: 300 }, Stage { stage: LoadStage::Weights, us: 15_000_000 }],
        n_slots: 4,
        n_running: 1,
        n_waiting: 2,
        n_cells_used: 4096,
        n_cells: 16384,
        n_batch: 1024,
        prefill_chunk: 128,
        n_threads: 2,
        n_connections: 5,
        n_requests: 6,
        n_prompt_tokens: 700,
        n_generated_tokens: 300,
        n_prefixes: 3,
        n_prefix_tokens: 210,
        n_prefix_hits: 12,
        n_tokens_saved: 700,
        n_prefix_bytes: 1_200_000,
        stored: StoredPrefixes { n_entries: 5, n_bytes: 3_400_000, n_restored: 2 },
        speculation: SpeculationStatus {
            drafters: vec!["lookup".into(), "draft".into()],
            draft_model: Some("LFM2-350M".into()),
            reason: None,
            n_max: 8,
            n_drafted: 80,
            n_accepted: 60,
        },
        tuning: Tuning {
            origin: "measured on 2026-11-23".into(),
            is_calibrated: true,
            is_repacked: true,
            kv_cache: "q8_0".into(),
            decode_width: 4,
        },
        n_preempted: 0,
        busy_us: 2_000_000,
        notices: Vec::new(),
    }
}

fn answers_status(peer: &mut Peer) {
    assert_eq!(peer.request(), Request::Status);
    peer.send(&Event::Status(Box::new(status())));
}

#[test]
fn status_is_for_people() {
    let beast = Beast::new();
    beast.daemon(answers_status);
    let ran = beast.run(&["status"], b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    expect![[r#"
        state     ready
        daemon    beastd 0.0.1, process 42, up 1m 1s
        socket    /run/beastd.sock
        http      http://127.0.0.1:8484, /run/http.sock
        engine    llama.cpp
        model     LFM2-2.6B, 2.6 B parameters, 1.6 GB
        file      /lfm2.gguf
        context   4096 tokens, trained for 32768
        backend   Metal, 31/31 layers offloaded
        profile   beast: batch 1024, prefill in chunks of 128, 2 threads
        tuning    weights repacked, KV cache q8_0, 4 answers per step; calibrated: measured on 2026-11-23
        drafts    lookup, draft (draft model LFM2-350M), up to 8 tokens; 60 of 80 accepted (75 %)
        slots     1 of 4 busy, 2 waiting, 5 connections
        prefixes  3 cached, 210 tokens, 1.2 MB; 12 hits saved 700 tokens
        stored    5 on disk, 3.4 MB, 2 restored
        cells     4096 of 16384 used (25 %)
        totals    6 requests, 700 prompt tokens, 300 answer tokens, 0 preempted
        speed     500.0 tokens/s, prompts and answers together, busy 2s
        loading   socket                      0.3 ms    0 %
                  weights                 15000.0 ms  100 %
                  total                   15000.3 ms  100 %
    "#]]
    .assert_eq(&ran.stdout);
}

#[test]
fn status_is_for_programs() {
    let beast = Beast::new();
    beast.daemon(answers_status);
    let ran = beast.run(&["status", "--json"], b"");
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&object["state"], &object["model"]["n_gpu_layers"]), (&"ready".into(), &31.into()));
    assert_eq!(object["http"], serde_json::json!(["127.0.0.1:8484", "/run/http.sock"]));
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn status_and_stop_never_start_a_daemon() {
    let beast = Beast::alone();
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: cannot reach beastd at DIR/beastd.sock (not running); try: beastd --daemonize
    "#]]
    .assert_eq(&beast.run(&["status"], b"").report());
    expect![[r#"
        exit 3
        out: "{\"state\":\"stopped\",\"socket\":\"DIR/beastd.sock\"}\n"
        err: beastctl: cannot reach beastd at DIR/beastd.sock (not running); try: beastd --daemonize
    "#]]
    .assert_eq(&beast.run(&["status", "--json"], b"").report());
    assert_eq!(beast.run(&["stop"], b"").report(), "exit 0\nout: \"\"\nerr: ", "it is stopped already");
}

#[test]
fn stop_waits_until_the_daemon_hangs_up() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        assert_eq!(peer.request(), Request::Shutdown);
        peer.send(&Event::Status(Box::new(Status { state: State::Draining, ..status() })));
    });
    assert_eq!(beast.run(&["stop"], b"").report(), "exit 0\nout: \"\"\nerr: ");
    daemon.join().unwrap();
}

#[test]
fn stop_does_not_wait_for_ever() {
    let beast = Beast::new();
    let daemon = beast.daemon(|peer| {
        peer.request();
        peer.sees_the_end()
    });
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: beastd did not exit within 100ms; try: raise --timeout, or check beastctl status
    "#]]
    .assert_eq(&beast.run(&["stop", "--timeout", "100ms"], b"").report());
    assert!(daemon.join().unwrap());
}

/// The newest client must be able to stop the oldest daemon, or users could not update.
#[test]
fn stop_ends_a_daemon_of_another_protocol() {
    let beast = Beast::new();
    // Stands for the daemon's process: a cat without input ends only with the signal.
    let mut process = spawn(Command::new("cat").stdin(Stdio::piped()));
    let welcome = Welcome { protocol: beast_protocol::VERSION + 1, version: "9.1.0".into(), pid: process.id() };
    let daemon = beast.daemon_of(welcome, Peer::sees_the_end);
    let stdin = process.stdin.take();
    let child = spawn(&mut beast.command(&["stop"]));
    // Reaped at once, as init does for a daemon.
    let status = process.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    drop(stdin);
    daemon.join().unwrap();
}

#[test]
fn version_knows_the_daemon_or_does_without() {
    let this = env!("CARGO_PKG_VERSION");
    let beast = Beast::alone();
    let ran = beast.run(&["version"], b"");
    expect![[r#"
        exit 0
        out: "beastctl VERSION, protocol 10\nbeastd is not running\n"
        err: "#]]
    .assert_eq(&ran.report().replace(this, "VERSION"));

    let daemon = beast.daemon(answers_status);
    let ran = beast.run(&["version"], b"");
    expect![[r#"
        exit 0
        out: "beastctl VERSION, protocol 10\nbeastd 0.0.1, protocol 10, process 4711, engine llama.cpp\n"
        err: "#]]
    .assert_eq(&ran.report().replace(this, "VERSION"));
    daemon.join().unwrap();

    let beast = Beast::new();
    beast.daemon_of(
        Welcome { protocol: beast_protocol::VERSION + 1, version: "9.1.0".into(), pid: 7 },
        Peer::sees_the_end,
    );
    let ran = beast.run(&["version", "--json"], b"");
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&object["protocol"], &object["daemon"]["protocol"]),
        (&beast_protocol::VERSION.into(), &(beast_protocol::VERSION + 1).into())
    );
}

#[test]
fn help_goes_to_stdout() {
    let ran = Beast::alone().run(&["--help"], b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.contains("beastctl summarize") && ran.stdout.contains("Exit codes:"), "{}", ran.stdout);
}

/// What many new users type first.
#[test]
fn without_a_word_there_is_help() {
    let ran = Beast::new().run(&[], b"");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("\nCommands:\n") && ran.stderr.contains("\nExamples:\n"), "{}", ran.stderr);
}

#[test]
fn help_is_a_command_too() {
    let beast = Beast::alone();
    for (asked, same) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "help"], &["--help"]),
        (&["-q", "help", "ask"], &["ask", "--help"]),
        (&["help", "prompts", "new"], &["prompts", "new", "--help"]),
        (&["help", "translate"], &["translate", "--help"]),
    ] {
        let (asked, same) = (beast.run(asked, b""), beast.run(same, b""));
        assert!(same.code == Some(0) && !same.stdout.is_empty(), "{same:?}");
        assert_eq!(asked.report(), same.report());
    }
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: unknown command `foo`; try: beastctl --help for commands, beastctl prompts for prompts
    "#]]
    .assert_eq(&beast.run(&["help", "foo"], b"").report());
}

#[test]
fn without_a_command_of_a_command_there_is_its_help() {
    let beast = Beast::alone();
    for (words, usage) in [(&["-q"][..], "Usage: beastctl [OPTIONS]"), (&["hook"], "Usage: beastctl hook")] {
        let ran = beast.run(words, b"");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
        assert!(ran.stderr.contains(usage) && !ran.stderr.contains("alfred"), "{ran:?}");
    }
}

/// The user has not typed the option, so the error names the variable.
#[test]
fn a_variable_that_makes_no_sense_is_named() {
    let beast = Beast::alone();
    let reports =
        [("BEAST_COLOR", "status"), ("BEAST_TIMEOUT", "status"), ("BEAST_MARKDOWN", "ask")].map(|(name, verb)| {
            let mut command = beast.command(&[verb]);
            command.env(name, "foo");
            Ran::of(feed(command, b"x"), beast.dir.path()).report()
        });
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: invalid value 'foo' for BEAST_COLOR [possible values: auto, always, never]; try: beastctl status --help
        exit 2
        out: ""
        err: beastctl: invalid value 'foo' for BEAST_TIMEOUT: must be a duration above 0, like 10s or 2m; try: beastctl status --help
        exit 2
        out: ""
        err: beastctl: invalid BEAST_MARKDOWN `foo`; expected `always` or `never`; try: export BEAST_MARKDOWN=never
    "#]].assert_eq(&reports.concat());
}
