use expect_test::expect;

use super::*;
use crate::output::tables::{Layout, table_text};

const FOUND: &str = r#"{"version":1,"measured_at":"2026-11-23T04:00:00Z","engine":"llama.cpp",
    "machine":{"cpu":"AMD EPYC","n_cores":2},"model":{"name":"LFM2-2.6B","fingerprint":"ab","n_bytes":123},
    "chosen":{"n_threads":2,"repack":false,"prefill_chunk":128,"decode_width":4},
    "variants":[{"repack":false,"n_threads":2,"prefill_tps":98.1,"decode_tps":18.2},
                {"repack":true,"n_threads":1,"prefill_tps":40.0,"decode_tps":12.5}],
    "prefill":[{"n_tokens":64,"ms":800.0},{"n_tokens":128,"ms":1300.0}],
    "verify":[{"n_tokens":1,"ms":54.0},{"n_tokens":4,"ms":81.0}],
    "decode":[{"n_seqs":1,"ms":54.0},{"n_seqs":4,"ms":108.0}]}"#;

fn found() -> Value {
    serde_json::from_str(FOUND).unwrap()
}

#[test]
fn each_line_has_its_meaning() {
    let lines = [
        r#"{"progress":{"n_done":3,"n_total":21,"what":"prompts, 2 threads"}}"#,
        r#"{"calibration":{"version":1}}"#,
        r#"{"written":"/models/a.calibration.json"}"#,
        r#"{"progress":{"n_done":-3,"n_total":21,"what":"x"}}"#,
        r#"{"news":"of a later version"}"#,
        r#"["progress"]"#,
        "warming up",
        "",
    ];
    let parsed: String = lines.iter().map(|line| format!("{:?}\n", Line::parse(line.as_bytes()))).collect();
    expect![[r#"
        Progress { n_done: 3, n_total: 21, what: "prompts, 2 threads" }
        Calibration(Object {"version": Number(1)})
        Written("/models/a.calibration.json")
        Other
        Other
        Other
        Other
        Other
    "#]]
    .assert_eq(&parsed);
    assert_eq!(Line::parse(b"\xff\xfe"), Line::Other);
}

#[test]
fn what_was_found_is_shown_with_what_was_chosen() {
    let table = Calibration::parse(&found()).unwrap().table();
    expect![[r#"

        calibration: LFM2-2.6B on AMD EPYC, 2 cores, 2026-11-23T04:00:00Z
          chosen (*): 2 threads, weights as stored, prefill in chunks of 128, 4 answers per step
          prefill, tokens/s
          * 2 threads, weights as stored    98.1         ████████████████████████████████
            1 thread, weights repacked      40.0         █████████████
          decode, tokens/s
          * 2 threads, weights as stored    18.2         ████████████████████████████████
            1 thread, weights repacked      12.5         ██████████████████████
          prefill chunk, by number of tokens, ms, less is better
            64 tokens                      800.0  x1.00  ███████████████████▊              12.50 ms each
          * 128 tokens                    1300.0  x1.62  ████████████████████████████████  10.16 ms each
          verifying drafts, by number of tokens, ms, less is better
            1 token                         54.0  x1.00  █████████████████████▍            54.00 ms each
            4 tokens                        81.0  x1.50  ████████████████████████████████  20.25 ms each
          decoding several answers, one token each, ms, less is better
            1 answer                        54.0  x1.00  ████████████████                  54.00 ms each
          * 4 answers                      108.0  x2.00  ████████████████████████████████  27.00 ms each
    "#]]
    .assert_eq(&table_text(&table, Layout { width: 100, is_utf8: true }));
}

/// An incomplete calibration would be shown as if values had not been measured.
#[test]
fn what_lacks_something_is_refused() {
    for name in ["measured_at", "machine", "model", "chosen", "variants", "prefill", "verify", "decode"] {
        let mut object = found();
        object.as_object_mut().unwrap().remove(name);
        assert_eq!(Calibration::parse(&object), None, "{name}");
    }
    let mut object = found();
    object["verify"][0]["ms"] = "fast".into();
    assert_eq!(Calibration::parse(&object), None);
    assert_eq!(Calibration::parse(&Value::Null), None);
}
