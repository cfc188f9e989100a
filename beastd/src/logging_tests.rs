use super::*;

#[test]
fn what_memory_was_too_little_for_is_no_damaged_file() {
    let told = |reason: &str| explained("it is damaged; try: another".into(), Some(reason.into()));
    for reason in [
        "ggml_aligned_malloc: failed to allocate memory",
        "alloc_tensor_range: Cannot allocate memory",
        "error loading model: error loading model vocabulary: std::bad_alloc",
    ] {
        let told = told(reason);
        assert!(told.starts_with("not enough memory") && told.contains("; try: ") && told.contains(reason), "{told}");
    }
    let unknown = "unknown model architecture: 'x'";
    assert_eq!(told(unknown), format!("it is damaged; try: another (llama.cpp: {unknown})"));
    assert_eq!(explained("it is damaged".into(), None), "it is damaged");
}
