use beast_protocol::{LoadStage, Notice};
use expect_test::expect;

use super::*;

/// The status of a daemon that has just started loading.
pub(crate) fn status() -> Status {
    Status {
        version: "0.0.1".into(),
        engine: "llama.cpp".into(),
        pid: 42,
        uptime_ms: 900,
        state: State::Loading { stage: LoadStage::Weights, fraction: 0.425 },
        profile: "baseline".into(),
        socket: "/s".into(),
        http: Vec::new(),
        configured: "/m.gguf".into(),
        model: None,
        models: Vec::new(),
        upstreams: Vec::new(),
        memory_budget: None,
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
        n_prefix_bytes: 0,
        stored: StoredPrefixes::default(),
        speculation: SpeculationStatus::default(),
        tuning: Tuning::default(),
        n_preempted: 0,
        busy_us: 0,
        notices: vec![Notice { kind: NoticeKind::Warning, text: "two\nlines".into() }],
    }
}

/// Without a model and requests, there is nothing to divide by.
#[test]
fn a_daemon_that_loads_says_how_far_it_is() {
    expect![[r#"
        state     loading: weights 42 %
        daemon    beastd 0.0.1, process 42, up 900ms
        socket    /s
        engine    llama.cpp
        model     /m.gguf, unloaded
        profile   baseline: batch 512, prefill in chunks of 128, 2 threads
        slots     0 of 1 busy, 3 waiting, 4 connections
        prefixes  0 cached, 0 tokens; 0 hits saved 0 tokens
        cells     0 of 0 used
        totals    0 requests, 0 prompt tokens, 0 answer tokens, 0 preempted
        loading   process start               2.1 ms  100 %
        warning   two lines
    "#]]
    .assert_eq(&describe(&status()));
}

#[test]
fn an_upstream_model_says_where_it_is_and_how_it_does() {
    let new = UpstreamStatus { name: "team".into(), urls: vec!["https://a/v1".into()], ..UpstreamStatus::default() };
    let used = UpstreamStatus {
        urls: vec!["https://a/v1".into(), "https://b/v1".into()],
        model: Some("big".into()),
        n_ctx: Some(32768),
        fallback: Some("cub".into()),
        n_running: 1,
        n_requests: 20,
        n_prompt_tokens: 3000,
        n_generated_tokens: 400,
        problem: Some("cannot be reached".into()),
        ..new.clone()
    };
    let lines = [new, used].map(|upstream| upstream_row(&upstream) + "\n");
    expect![[r#"
        team: https://a/v1, 0 running, 0 requests, 0 prompt tokens, 0 answer tokens
        team: big at https://a/v1, https://b/v1, context of 32768 tokens, 1 running, 20 requests, 3000 prompt tokens, 400 answer tokens, cub in its place; failed: cannot be reached
    "#]].assert_eq(&lines.concat());
}

#[test]
fn the_other_states_say_why() {
    assert_eq!(state(&State::Failed { message: "no file; try: another".into() }), "failed: no file; try: another");
    assert_eq!(state(&State::Draining), "draining: finishing its last requests");
}

#[test]
fn guessing_says_who_and_how_well_or_why_not() {
    let speculation = SpeculationStatus { n_max: 8, ..SpeculationStatus::default() };
    let off = SpeculationStatus { reason: Some("turned off by speculation = \"off\"".into()), ..speculation.clone() };
    let lookup = SpeculationStatus { drafters: vec!["lookup".into()], ..speculation.clone() };
    let reason = Some("no draft model belongs to this one".into());
    let less = SpeculationStatus { reason, ..lookup.clone() };
    let both = SpeculationStatus {
        drafters: vec!["lookup".into(), "draft".into()],
        draft_model: Some("cub-draft".into()),
        n_drafted: 80,
        n_accepted: 60,
        ..speculation.clone()
    };
    let lines = [speculation, off, lookup, less, both].map(|speculation| format!("{:?}\n", guessing(&speculation)));
    expect![[r#"
        None
        Some("off: turned off by speculation = \"off\"")
        Some("lookup, up to 8 tokens")
        Some("lookup, up to 8 tokens; no draft model belongs to this one")
        Some("lookup, draft (draft model cub-draft), up to 8 tokens; 60 of 80 accepted (75 %)")
    "#]]
    .assert_eq(&lines.concat());
}

#[test]
fn tuning_says_where_it_comes_from() {
    let measured = Tuning {
        origin: "measured 2026-11-23".into(),
        is_calibrated: true,
        is_repacked: true,
        kv_cache: "f16".into(),
        decode_width: 4,
    };
    let (origin, kv_cache) = ("defaults for x86".into(), "q8_0".into());
    let guessed = Tuning { origin, kv_cache, decode_width: 1, ..Tuning::default() };
    let lines = [Tuning::default(), measured, guessed].map(|it| format!("{:?}\n", tuning(&it)));
    expect![[r#"
        None
        Some("weights repacked, KV cache f16, 4 answers per step; calibrated: measured 2026-11-23")
        Some("weights as stored, KV cache q8_0, 1 answer per step; defaults for x86")
    "#]]
    .assert_eq(&lines.concat());
}

#[test]
fn stored_prefixes_are_shown_when_there_are_any() {
    let with = |stored| super::stored(&Status { stored, ..status() });
    assert_eq!(with(StoredPrefixes::default()), None);
    let there = StoredPrefixes { n_entries: 5, n_bytes: 3_400_000, n_restored: 0 };
    assert_eq!(with(there.clone()).unwrap(), "5 on disk, 3.4 MB");
    assert_eq!(with(StoredPrefixes { n_restored: 2, ..there }).unwrap(), "5 on disk, 3.4 MB, 2 restored");
}
