use expect_test::expect;

use super::*;
use crate::output::status::tests::status;

fn about(trust: Trust) -> About {
    let model = Model {
        name: "LFM2-2.6B".into(),
        path: "/link.gguf".into(),
        n_bytes: 1_560_000_000,
        n_params: 2_569_000_000,
        n_layers: 30,
        n_gpu_layers: 31,
        backend: "Metal".into(),
        n_ctx: 4096,
        n_ctx_train: 32768,
        has_chat_template: true,
        gpu: None,
    };
    About {
        machine: Machine { cpu: "Apple M4".into(), n_cores: 10, n_bytes: Some(16_000_000_000) },
        status: Status { model: Some(model), ..status() },
        file: Some("/models/lfm2.gguf".into()),
        settings: json!({ "model": "auto", "n_threads": "1" }),
        settings_text: Some("n_threads = 1".into()),
        n_repeats: 3,
        is_quick: false,
        trust,
        measured_at: "2026-11-23T04:00:00Z".into(),
    }
}

fn version_free(text: &str) -> String {
    text.replace(CLIENT, "VERSION")
}

#[test]
fn it_says_where_the_numbers_come_from() {
    expect![[r#"
        machine   Apple M4, 10 cores, 16.0 GB memory
        model     LFM2-2.6B, 2.6 B parameters, 1.6 GB
        file      /models/lfm2.gguf
        backend   Metal, 31/31 layers offloaded
        build     beastd 0.0.1, llama.cpp, beastctl VERSION
        settings  custom: n_threads = 1
        measured  2026-11-23T04:00:00Z, medians of 3 runs
        warning   these numbers are unreliable: rustc
    "#]]
    .assert_eq(&version_free(&about(Trust::Busy("rustc".into())).text()));
    let built_in = About { file: None, settings_text: None, n_repeats: 1, ..about(Trust::Idle) };
    expect![[r#"
        machine   Apple M4, 10 cores, 16.0 GB memory
        model     LFM2-2.6B, 2.6 B parameters, 1.6 GB
        file      built into beastd
        backend   Metal, 31/31 layers offloaded
        build     beastd 0.0.1, llama.cpp, beastctl VERSION
        measured  2026-11-23T04:00:00Z, once each
    "#]]
    .assert_eq(&version_free(&built_in.text()));
}

#[test]
fn a_chart_says_it_in_fewer_words() {
    let about = about(Trust::Unknown);
    expect![[r#"
        beast, LFM2-2.6B, 2.6 B parameters, 1.6 GB
        Apple M4, 10 cores, 16.0 GB memory, Metal, 31/31 layers offloaded
        beastd 0.0.1, llama.cpp, beastctl VERSION, 2026-11-23T04:00:00Z, medians of 3 runs
        cannot check on this system whether other programs use the cores"#]]
    .assert_eq(&version_free(&[vec![about.title()], about.lines()].concat().join("\n")));
}

#[test]
fn programs_get_all_of_it() {
    let object = about(Trust::Busy("rustc".into())).object(vec![json!("table")]);
    expect![[r#"
        {
          "format": 1,
          "measured_at": "2026-11-23T04:00:00Z",
          "is_trusted": false,
          "warning": "these numbers are unreliable: rustc",
          "n_repeats": 3,
          "is_quick": false,
          "machine": {
            "cpu": "Apple M4",
            "n_cores": 10,
            "memory_bytes": 16000000000
          },
          "model": {
            "name": "LFM2-2.6B",
            "path": "/models/lfm2.gguf",
            "n_bytes": 1560000000,
            "n_params": 2569000000,
            "n_layers": 30,
            "n_gpu_layers": 31,
            "backend": "Metal",
            "n_ctx": 4096,
            "n_ctx_train": 32768,
            "has_chat_template": true,
            "gpu": null
          },
          "backend": "Metal",
          "build": {
            "beastctl": "VERSION",
            "beastd": "0.0.1",
            "engine": "llama.cpp"
          },
          "profile": "baseline",
          "tuning": {
            "origin": "",
            "is_calibrated": false,
            "is_repacked": false,
            "kv_cache": "",
            "decode_width": 0
          },
          "settings": {
            "model": "auto",
            "n_threads": "1"
          },
          "tables": [
            "table"
          ]
        }"#]]
    .assert_eq(&version_free(&serde_json::to_string_pretty(&object).unwrap()));
}
