//! Valid, truncated and garbled headers, and their metadata.

use std::{fs, io::Cursor, path::Path};

use super::*;

fn built_in() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cub/cub.gguf")).unwrap()
}

fn damage(bytes: &[u8]) -> Option<Damage> {
    check(Cursor::new(bytes), bytes.len() as u64).err()
}

#[test]
fn a_whole_model_is_sound_and_a_cut_one_is_not() {
    let model = built_in();
    assert!(damage(&model).is_none());
    assert!(matches!(damage(&model[..model.len() / 2]), Some(Damage::Cut(n)) if n <= model.len() as u64));
    for len in [4, 10, 24, 1000] {
        assert!(matches!(damage(&model[..len]), Some(Damage::Headless)), "{len}");
    }
}

#[test]
fn what_is_no_model_is_seen_by_its_beginning() {
    assert!(matches!(damage(b"<!doctype html>"), Some(Damage::Magic)));
    assert!(matches!(damage(b""), Some(Damage::Magic)));
}

#[test]
fn numbers_that_make_no_sense_are_not_believed() {
    let mut many = built_in();
    many[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(damage(&many), Some(Damage::Garbled)));
    // Increases the length of the first key.
    let mut long = built_in();
    long[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(damage(&long), Some(Damage::Garbled)));
    // An unknown version is left to the engine.
    let mut later = built_in();
    later[4] = 9;
    assert!(damage(&later).is_none());
}

#[test]
fn any_bytes_are_a_head_or_damaged() {
    let head = built_in()[..16 * 1024].to_vec();
    beast_tests::fuzz::fuzz("GGUF heads", &[&head, &head[..200]], &["GGUF", "\u{8}\0\0\0\0\0\0\0"], |bytes| {
        drop(read(Cursor::new(bytes), bytes.len() as u64, &["tokenizer.ggml.tokens"]));
    });
}

#[test]
fn values_are_kept_and_arrays_when_they_are_asked_for() {
    const TOKENS: &str = "tokenizer.ggml.tokens";
    let model = built_in();
    let head = |arrays: &[&str]| {
        read(Cursor::new(&model), model.len() as u64, arrays).expect("sound").expect("of a known version")
    };
    let without = head(&[]);
    assert_eq!(without.text("general.architecture"), Some("lfm2"));
    assert!(matches!(without.get("lfm2.block_count"), Some(Value::Integer(1..=64))));
    assert!(matches!(without.get("lfm2.attention.layer_norm_rms_epsilon"), Some(Value::Float(n)) if *n > 0.0));
    let Some(Value::Other(n)) = without.get(TOKENS) else { panic!("an array that nobody has asked for") };
    assert!(matches!(head(&[TOKENS]).get(TOKENS), Some(Value::Texts(texts)) if texts.len() as u64 == *n));
    const HEADS: &str = "lfm2.attention.head_count_kv";
    assert_eq!(without.get(HEADS), Some(&Value::Other(8)));
    assert_eq!(head(&[HEADS]).get(HEADS), Some(&Value::Integers(vec![0, 0, 2, 0, 0, 2, 0, 2])));
    assert_eq!(head(&["tokenizer.ggml.token_type"]).get("tokenizer.ggml.token_type"), Some(&Value::Other(*n)), "long");
}

/// A count that leads beyond the end of the file must not cause sixteen million reads there.
#[test]
fn the_end_of_the_file_ends_every_count() {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.push(b'k');
    bytes.extend(ARRAY.to_le_bytes());
    bytes.extend(U32.to_le_bytes());
    bytes.extend(MAX_COUNT.to_le_bytes());
    assert!(matches!(damage(&bytes), Some(Damage::Headless)));
}
