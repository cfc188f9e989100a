use std::fs;

use beast_tests::gguf::{self, Gguf};

use super::*;

/// Whether a file suits that says nothing but this.
fn is_of(values: &[(&str, gguf::Value)], tensors: &[&str], n_threads: usize) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    let metadata = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let tensor = |name: &&str| gguf::Tensor { name: (*name).to_owned(), dims: vec![32], kind: 0, offset: 0 };
    let tensors: Vec<_> = tensors.iter().map(tensor).collect();
    let data = vec![0; 128 * tensors.len()];
    fs::write(&path, Gguf { version: 3, metadata, tensors, data }.bytes()).expect("writable");
    is_ours(&path, n_threads)
}

fn text(text: &str) -> gguf::Value {
    gguf::Value::Text(text.into())
}

fn number(n: u32) -> gguf::Value {
    gguf::Value::u32(n)
}

/// A model with eight heads of this size, and more values or others.
fn with(size: u32, more: &[(&str, gguf::Value)]) -> bool {
    let mut all = vec![
        ("general.architecture", text("llama")),
        ("llama.embedding_length", number(8 * size)),
        ("llama.attention.head_count", number(8)),
    ];
    all.retain(|(key, _)| more.iter().all(|(other, _)| other != key));
    all.extend_from_slice(more);
    is_of(&all, &["blk.0.attn_q.weight"], 2)
}

#[test]
fn heads_that_are_rotated_suit_and_all_others_do_not() {
    assert!(with(64, &[]) && with(128, &[]) && with(256, &[]));
    assert!(!with(32, &[]) && !with(96, &[]) && !with(512, &[]) && !with(0, &[]));
    for key in ["key_length", "value_length", "key_length_swa", "value_length_swa"] {
        let key = format!("llama.attention.{key}");
        assert!(with(64, &[(&key, number(128))]), "{key}");
        assert!(!with(64, &[(&key, number(80))]) && !with(64, &[(&key, number(512))]), "{key}");
        assert!(!with(64, &[(&key, text("64"))]), "{key}");
    }
}

#[test]
fn attention_that_llama_cpp_computes_does_not_suit() {
    for key in UNCOMMON {
        assert!(!with(64, &[(&format!("llama.{key}"), number(1))]), "{key}");
    }
    let of = |architecture: &str, tensors: &[&str]| {
        let (width, heads) =
            (format!("{architecture}.embedding_length"), format!("{architecture}.attention.head_count"));
        let values = [("general.architecture", text(architecture)), (&width, number(512)), (&heads, number(8))];
        is_of(&values, tensors, 2)
    };
    assert!(of("qwen3", &["blk.0.attn_q.weight"]) && !of("gemma2", &[]) && !of("bloom", &[]));
    assert!(!of("gpt-oss", &["blk.0.attn_sinks.weight"]));
}

#[test]
fn heads_must_be_enough_for_the_threads_and_not_share_one() {
    let kv = |n: gguf::Value| with(64, &[("llama.attention.head_count_kv", n)]);
    let of_layers = |all: &[i32]| {
        let all = all.iter().map(|n| gguf::Value::Scalar(gguf::I32, n.to_le_bytes().to_vec())).collect();
        gguf::Value::Array(gguf::I32, all)
    };
    assert!(kv(number(1)) && kv(of_layers(&[0, 2, 0, 8])) && !kv(number(0)) && !kv(of_layers(&[])) && !kv(text("8")));
    let values = |n_heads, n_kv_heads| {
        [
            ("general.architecture", text("llama")),
            ("llama.embedding_length", number(64 * n_heads)),
            ("llama.attention.head_count", number(n_heads)),
            ("llama.attention.head_count_kv", number(n_kv_heads)),
        ]
    };
    assert!(is_of(&values(32, 1), &[], 4) && !is_of(&values(32, 1), &[], 5), "a thread does the work of four");
    assert!(is_of(&values(32, 8), &[], 32) && !is_of(&values(48, 1), &[], 2), "48 heads share one");
}

#[test]
fn what_a_file_does_not_say_does_not_suit_and_stops_nobody() {
    assert!(!is_of(&[], &["blk.0.attn_q.weight"], 2) && !is_of(&[("general.architecture", number(7))], &[], 2));
    assert!(!is_of(&[("general.architecture", text("llama"))], &[], 2));
    assert!(!with(64, &[("llama.attention.head_count", number(0))]));
    assert!(!is_ours(Path::new("/dev/null"), 2) && !is_ours(Path::new("/does/not/exist"), 2));
}

#[test]
fn only_a_large_cache_is_of_8_bits() {
    let cub = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cub/cub.gguf"));
    assert!(is_ours(cub, 8) && !is_ours(cub, 9));
    assert_eq!(KvType::best(cub, LEAST_CELLS - 1, 2), KvType::F16);
    let large = if kernels::have_attention() { KvType::Q8_0 } else { KvType::F16 };
    assert_eq!(KvType::best(cub, LEAST_CELLS, 2), large);
}
