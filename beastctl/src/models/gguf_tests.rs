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
    // The length of the first key.
    let mut long = built_in();
    long[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(damage(&long), Some(Damage::Garbled)));
    // A version that nobody knows yet is left to the engine.
    let mut later = built_in();
    later[4] = 9;
    assert!(damage(&later).is_none());
}

#[test]
fn any_bytes_are_a_head_or_damaged() {
    let head = built_in()[..16 * 1024].to_vec();
    beast_tests::fuzz::fuzz("GGUF heads", &[&head, &head[..200]], &["GGUF", "\u{8}\0\0\0\0\0\0\0"], |bytes| {
        let _ = check(std::io::Cursor::new(bytes), bytes.len() as u64);
    });
}
