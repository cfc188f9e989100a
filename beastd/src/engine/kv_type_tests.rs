use super::Value::{None, Number, Other};
use super::*;

/// What is found in a file with these values.
fn found(values: &[(&str, Value)]) -> bool {
    suits(|key| values.iter().find(|(name, _)| *name == key).map_or(None, |(_, value)| *value))
}

#[test]
fn heads_that_are_rotated_suit_and_all_others_do_not() {
    let of_width = |width| [("embedding_length", Number(width)), ("attention.head_count", Number(8))];
    assert!(found(&of_width(512)) && found(&of_width(1024)) && found(&of_width(2048)));
    assert!(!found(&of_width(256)) && !found(&of_width(768)) && !found(&of_width(4096)) && !found(&of_width(0)));
    let with = |key, value| found(&[&of_width(512)[..], &[(key, value)]].concat());
    assert!(with("attention.key_length", Number(128)) && with("attention.value_length_swa", Number(256)));
    for key in
        ["attention.key_length", "attention.value_length", "attention.key_length_swa", "attention.value_length_swa"]
    {
        assert!(!with(key, Number(80)) && !with(key, Number(512)) && !with(key, Other), "{key}");
    }
    for key in ["attn_logit_softcapping", "attention.max_alibi_bias", "attention.key_length_mla"] {
        assert!(!with(key, Other), "{key}");
    }
}

#[test]
fn what_a_file_does_not_say_does_not_suit() {
    assert!(!found(&[]) && !found(&[("embedding_length", Number(512))]));
    assert!(!found(&[("embedding_length", Number(512)), ("attention.head_count", Other)]));
    assert!(!found(&[("embedding_length", Number(512)), ("attention.head_count", Number(0))]));
    assert!(!is_ours(Path::new("/dev/null")) && !is_ours(Path::new("/does/not/exist")));
}

#[test]
fn only_a_large_cache_is_of_8_bits() {
    let cub = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cub/cub.gguf"));
    assert!(is_ours(cub));
    assert_eq!(KvType::best(cub, LEAST_CELLS - 1), KvType::F16);
    let large = if kernels::attend() { KvType::Q8_0 } else { KvType::F16 };
    assert_eq!(KvType::best(cub, LEAST_CELLS), large);
}
