use serde_json::json;

use super::*;

#[test]
fn costs_are_read() {
    let verify = json!([{ "n_tokens": 1, "ms": 44.5 }, { "n_tokens": 4, "ms": 70 }]);
    assert_eq!(parse_costs(&verify), Some(vec![(1, 44.5), (4, 70.0)]));
    assert_eq!(parse_costs(&json!([{ "n_tokens": 1 }])), None);
    assert_eq!(parse_costs(&Value::Null), None);
}

#[test]
fn it_is_looked_for_beside_the_model() {
    assert_eq!(file_of(Path::new("models/m.gguf")), Path::new("models/m.gguf.calibration.json"));
}
