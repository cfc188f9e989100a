//! Sizes of a model by layer, read from its file before loading.

use std::path::Path;

use super::raw::{self, Tensor};

/// A model's parts in bytes, and its widths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelSizes {
    pub layers: Vec<LayerSizes>,
    /// The output layer, in bytes.
    pub output: u64,
    /// Width of the model, of its hidden layers, and of its output.
    pub n_embd: u64,
    pub n_hidden: u64,
    pub n_vocab: u64,
}

/// A layer; sizes are in bytes unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LayerSizes {
    pub weights: u64,
    /// Numbers in the KV cache per token.
    pub cell: u64,
    /// Recurrent state per sequence.
    pub state: u64,
}

/// Bytes per number in recurrent states (f32).
const STATE: u64 = 4;

/// The sizes of the model at `path`; `None` if it is not a GGUF file.
pub fn sizes(path: &Path) -> Option<ModelSizes> {
    Some(of_tensors(&raw::tensors(path)?))
}

fn of_tensors(tensors: &[Tensor]) -> ModelSizes {
    let mut sizes = ModelSizes::default();
    let mut embeddings = 0;
    let mut has_output = false;
    for Tensor { name, n_bytes, shape } in tensors {
        match name.as_str() {
            "token_embd.weight" => {
                (sizes.n_embd, sizes.n_vocab) = (shape[0], shape[1]);
                embeddings = *n_bytes;
            }
            "output.weight" => {
                has_output = true;
                sizes.output += n_bytes;
            }
            _ => match layer(name) {
                Some((n, part)) => {
                    if sizes.layers.len() <= n {
                        sizes.layers.resize(n + 1, LayerSizes::default());
                    }
                    add(&mut sizes.layers[n], part, shape, *n_bytes);
                    let is_hidden = part.starts_with("ffn_") && shape[0] == sizes.n_embd;
                    sizes.n_hidden = sizes.n_hidden.max(if is_hidden { shape[1] } else { 0 });
                }
                None => sizes.output += n_bytes,
            },
        }
    }
    // Without an output matrix, the embeddings serve as one and are held twice.
    if !has_output {
        sizes.output += embeddings;
    }
    sizes
}

fn add(layer: &mut LayerSizes, part: &str, shape: &[u64; 4], n_bytes: u64) {
    layer.weights = layer.weights.saturating_add(n_bytes);
    match part {
        "attn_k.weight" | "attn_v.weight" => layer.cell += shape[1],
        // Queries, keys and values in one matrix; keys and values are at most all of it.
        "attn_qkv.weight" => layer.cell += shape[1],
        "attn_kv_a_mqa.weight" => layer.cell += 2 * shape[1],
        "shortconv.conv.weight" | "ssm_conv1d.weight" => layer.state += (shape[0].max(1) - 1) * shape[1] * STATE,
        "ssm_a" => layer.state += shape[0].saturating_mul(shape[1]) * STATE,
        _ => {}
    }
}

/// `blk.7.attn_k.weight` is `attn_k.weight` of layer 7. No model has thousands.
fn layer(name: &str) -> Option<(usize, &str)> {
    let (n, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let n = n.parse().ok().filter(|n| *n < 4096)?;
    Some((n, part))
}

#[cfg(test)]
#[path = "sizes_tests.rs"]
mod tests;
