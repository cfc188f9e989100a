use super::*;

#[test]
fn times_of_the_server_are_understood() {
    let timings = json!({
        "cache_n": 4, "prompt_n": 26, "prompt_ms": 10.5, "predicted_n": 13, "predicted_ms": 15.0,
        "draft_n": 8, "draft_n_accepted": 6,
    });
    let expected = Answer {
        n_prompt: 30,
        n_cached: 4,
        n_after_first: 12,
        n_drafted: 8,
        n_accepted: 6,
        prefill: Duration::from_micros(10_500),
        decode: Duration::from_millis(15),
        first_token: Duration::from_millis(11),
    };
    assert_eq!(answer(&timings, expected.first_token), Some(expected));
    assert_eq!(answer(&json!({ "cache_n": 4 }), Duration::ZERO), None);
}

#[test]
fn a_report_names_files_without_their_folders() {
    assert_eq!(in_words(&["-np", "4", "-md", "/models/d.gguf"]), "-np 4 -md d.gguf");
}
