use beast_protocol::{LoadStage, Notice};
use expect_test::expect;

use super::*;

fn status() -> Status {
    Status {
        version: "0.0.1".into(),
        engine: "llama.cpp".into(),
        pid: 42,
        uptime_ms: 900,
        state: State::Loading { stage: LoadStage::Weights, fraction: 0.425 },
        profile: "baseline".into(),
        socket: "/s".into(),
        model: None,
        stages: vec![Stage { stage: LoadStage::ProcessStart, us: 2_100 }],
        n_slots: 1,
        n_running: 0,
        n_waiting: 3,
        n_cells_used: 0,
        n_cells: 0,
        n_batch: 512,
        prefill_chunk: 128,
        n_threads: 2,
        n_connections: 4,
        n_requests: 0,
        n_prompt_tokens: 0,
        n_generated_tokens: 0,
        n_prefixes: 0,
        n_prefix_tokens: 0,
        n_prefix_hits: 0,
        n_tokens_saved: 0,
        n_preempted: 0,
        busy_us: 0,
        notices: vec![Notice { kind: NoticeKind::Warning, text: "two\nlines".into() }],
    }
}

/// Without a model and without work there is nothing to divide by.
#[test]
fn a_daemon_that_loads_says_how_far_it_is() {
    expect![[r#"
        state     loading: weights 42 %
        daemon    beastd 0.0.1, process 42, up 900ms
        socket    /s
        engine    llama.cpp
        profile   baseline: batch 512, prompts in steps of 128, 2 threads
        slots     0 of 1 busy, 3 waiting, 4 connections
        prefixes  0 kept, 0 tokens; used 0 times, which saved 0 tokens
        cells     0 of 0 used
        totals    0 requests, 0 prompt tokens, 0 answer tokens, 0 preempted
        loading   process start               2.1 ms  100 %
        warning   two lines
    "#]]
    .assert_eq(&describe(&status()));
}

#[test]
fn the_other_states_say_why() {
    assert_eq!(state(&State::Failed { message: "no file; try: another".into() }), "failed: no file; try: another");
    assert_eq!(state(&State::Draining), "draining: it finishes its last requests");
}

#[test]
fn sizes_are_readable() {
    let sizes = [0, 999, 1_500, 24_000_000, 2_569_000_000].map(bytes);
    assert_eq!(sizes, ["0 B", "999 B", "1.5 kB", "24.0 MB", "2.6 GB"]);
}
