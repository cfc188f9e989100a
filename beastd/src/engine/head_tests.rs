//! Impossible headers, made from the built-in model's.

use std::path::PathBuf;

use beast_tests::gguf::{Gguf, U32, Value as Its};

use super::*;

fn cub() -> Gguf {
    Gguf::parse(&std::fs::read(beast_tests::project("models/cub/cub.gguf")).expect("it is part of the project"))
}

/// Why a variant of cub is rejected; empty if it is not.
fn reason(change: impl FnOnce(&mut Gguf)) -> String {
    let mut model = cub();
    change(&mut model);
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("m.gguf");
    std::fs::write(&path, model.bytes()).expect("writable");
    match check(&path) {
        Err(LoadError::Unusable { reason, .. }) => reason,
        other => other.err().map(|error| error.to_string()).unwrap_or_default(),
    }
}

fn with(key: &'static str, value: Its) -> String {
    reason(|model| model.set(key, value))
}

#[test]
fn a_sound_head_is_left_to_llama_cpp() {
    assert_eq!(reason(|_| ()), "");
    assert_eq!(with("lfm2.block_count", Its::text("many")), "", "a wrong type is llama.cpp's to refuse");
}

#[test]
fn numbers_that_end_llama_cpp_are_seen() {
    for n in [0, 513, u32::MAX] {
        assert_eq!(with("lfm2.block_count", Its::u32(n)), format!("lfm2.block_count is {n}; it must be 1 to 512"));
    }
    for n in [0, 1, 1 << 31, u32::MAX] {
        let expected = format!("lfm2.context_length is {n}; it must be 2 to 2147483647");
        assert_eq!(with("lfm2.context_length", Its::u32(n)), expected);
    }
    for n in [f32::NAN, -1e-5, 0.0, f32::INFINITY] {
        let said = with("lfm2.attention.layer_norm_rms_epsilon", Its::f32(n));
        assert!(said.ends_with("it must be above 0"), "{said}");
    }
    assert_eq!(with("lfm2.context_length", Its::Scalar(U32, 2_u32.to_le_bytes().to_vec())), "");
}

#[test]
fn vocabularies_that_end_llama_cpp_are_seen() {
    assert_eq!(with("tokenizer.ggml.model", Its::text("no_vocab")), "it has no vocabulary");
    let twice = reason(|model| {
        let tokens = model.get_mut(TOKENS).expect("tokens").items();
        tokens[300] = tokens[301].clone();
    });
    assert!(twice.starts_with("its vocabulary has the token ") && twice.ends_with(" twice"), "{twice}");
    assert_eq!(with(TOKENS, Its::Array(8, Vec::new())), "its vocabulary is empty");
    let said = with("tokenizer.ggml.model", Its::text("llama"));
    assert!(said.starts_with("its vocabulary has no token for the byte 0x"), "{said}");
}
