use super::*;

#[test]
fn the_built_in_model_is_the_sum_of_its_parts() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cub/cub.gguf"));
    let tensors = raw::tensors(path).expect("it is a GGUF file");
    let sizes = sizes(path).expect("it is a GGUF file");
    assert_eq!(sizes.layers.len(), 8);
    let n_tensors: u64 = tensors.iter().map(|tensor| tensor.n_bytes).sum();
    let has_output = tensors.iter().any(|tensor| tensor.name == "output.weight");
    let embeddings = tensors.iter().find(|tensor| tensor.name == "token_embd.weight").expect("embeddings").n_bytes;
    let n_layers: u64 = sizes.layers.iter().map(|layer| layer.weights).sum();
    assert_eq!(n_layers + sizes.output, if has_output { n_tensors - embeddings } else { n_tensors });
    // A layer has either attention or a convolution, so it has either KV cells or a recurrent state.
    assert!(sizes.layers.iter().all(|layer| (layer.cell > 0) != (layer.state > 0)), "{sizes:?}");
    assert!(sizes.n_hidden > sizes.n_embd && sizes.n_vocab > sizes.n_embd, "{sizes:?}");
}

#[test]
fn what_is_no_model_has_no_sizes() {
    assert_eq!(sizes(Path::new("/dev/null")), None);
    assert_eq!(sizes(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path()), None);
}

#[test]
fn names_of_layers_are_read_and_nonsense_is_not() {
    assert_eq!(layer("blk.7.attn_k.weight"), Some((7, "attn_k.weight")));
    for name in ["blk.x.attn_k.weight", "blk.99999999.a", "blk.7", "output.weight"] {
        assert_eq!(layer(name), None);
    }
}
