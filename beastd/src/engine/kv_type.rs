//! The type of the numbers in a KV cache, and which one suits a model.

use std::path::Path;

use llama_cpp_2::context::params::KvCacheType;
use llama_cpp_2::gguf::GgufContext;

use super::{kernels, raw};

/// A type of the numbers in KV cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KvType {
    #[default]
    F16,
    /// Blocks of 32 numbers of 8 bits with one factor of 16 bits.
    Q8_0,
}

/// Smaller caches save little memory, and reading them takes a small share of a step.
const LEAST_CELLS: usize = 16_384;
/// Before rounding, llama.cpp rotates heads whose sizes are multiples of this, which keeps outliers from spoiling their
/// block (`attn_rot_k` in llama-kv-cache.cpp).
const ROTATED: u32 = 64;
/// Largest head that our kernels attend to.
const MOST: u32 = 256;

impl KvType {
    pub fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
        }
    }

    /// The size of so many numbers.
    pub fn n_bytes(self, n: u64) -> u64 {
        match self {
            Self::F16 => n.saturating_mul(2),
            Self::Q8_0 => n.div_ceil(32).saturating_mul(34),
        }
    }

    /// The better one for the model at `path` on a CPU: Q8_0 for a large cache that our kernels attend to. llama.cpp's
    /// own are slower with it.
    pub fn best(path: &Path, n_cells: usize) -> Self {
        if n_cells >= LEAST_CELLS && kernels::attend() && is_ours(path) { Self::Q8_0 } else { Self::F16 }
    }
}

impl From<KvType> for KvCacheType {
    fn from(kv_type: KvType) -> Self {
        match kv_type {
            KvType::F16 => Self::F16,
            KvType::Q8_0 => Self::Q8_0,
        }
    }
}

/// Whether our kernels compute the attention of the model at `path`, and llama.cpp rotates its heads.
fn is_ours(path: &Path) -> bool {
    let has_sinks = raw::tensors(path).is_none_or(|tensors| tensors.iter().any(|tensor| tensor.name.contains("sinks")));
    let Some(file) = GgufContext::from_file(path).filter(|_| !has_sinks) else { return false };
    let architecture = file.val_str(file.find_key("general.architecture")).unwrap_or_default().to_owned();
    suits(|key| {
        let index = file.find_key(&format!("{architecture}.{key}"));
        match index {
            0.. if file.kv_type(index) == raw::UINT32 => Value::Number(file.val_u32(index)),
            0.. => Value::Other,
            _ => Value::None,
        }
    })
}

/// A value of a file's metadata.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Number(u32),
    Other,
}

/// Keys of attention that our kernels leave to llama.cpp: caps, biases by distance (ALiBi), latent vectors (MLA).
const UNCOMMON: [&str; 3] = ["attn_logit_softcapping", "attention.max_alibi_bias", "attention.key_length_mla"];

/// Whether attention is of the common kind and all heads are rotated. `value` takes a key without its architecture.
fn suits(value: impl Fn(&str) -> Value) -> bool {
    let or = |key: &str, otherwise| if value(key) == Value::None { otherwise } else { value(key) };
    let usual = match (value("embedding_length"), value("attention.head_count")) {
        (Value::Number(width), Value::Number(n_heads @ 1..)) => Value::Number(width / n_heads),
        _ => Value::Other,
    };
    let (keys, values) = (or("attention.key_length", usual), or("attention.value_length", usual));
    let of_windows = [or("attention.key_length_swa", keys), or("attention.value_length_swa", values)];
    let is_rotated = |size| matches!(size, Value::Number(n @ 1..=MOST) if n.is_multiple_of(ROTATED));
    UNCOMMON.iter().all(|key| value(key) == Value::None) && [keys, values].into_iter().chain(of_windows).all(is_rotated)
}

#[cfg(test)]
#[path = "kv_type_tests.rs"]
mod tests;
