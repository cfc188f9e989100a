//! The type of the numbers in a KV cache, and which one suits a model.

use std::path::Path;

use beast_kernels::Attention;
use beast_launchd::file;
use beast_launchd::gguf::{self, Head, Value};
use llama_cpp_2::context::params::KvCacheType;

use super::{kernels, raw};

/// A type of the numbers in KV cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KvType {
    #[default]
    F16,
    /// Blocks of 32 numbers of 8 bits with one factor of 16 bits.
    Q8_0,
}

/// With smaller caches, Q8_0 saves little memory and little of a step's time.
const LEAST_CELLS: usize = 16_384;
/// Before rounding, llama.cpp rotates heads whose sizes are multiples of this, which keeps outliers from spoiling their
/// block (`attn_rot_k` in llama-kv-cache.cpp).
const ROTATED_UNIT: u64 = 64;
/// Keys of models whose attention our kernels leave to llama.cpp: caps, biases (ALiBi and others), latent vectors
/// (MLA). The last key marks hybrids: how many of their past states fit into llama.cpp's graph beside rotation is
/// unmeasured.
const UNCOMMON: [&str; 5] = [
    "attn_logit_softcapping",
    "attention.max_alibi_bias",
    "attention.relative_buckets_count",
    "attention.key_length_mla",
    "ssm.conv_kernel",
];
/// Architectures with the same features that llama.cpp knows by name, without a key (`src/models`).
const UNCOMMON_ARCHITECTURES: [&str; 8] =
    ["baichuan", "bloom", "gemma2", "gpt-oss", "grok", "jina-bert-v2", "lfm2moe", "refact"];

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

    /// The better type for a model on a CPU: Q8_0 for a large cache whose attention our kernels compute. llama.cpp's
    /// kernels are slower with Q8_0.
    pub fn best(path: &Path, n_cells: usize, n_threads: usize) -> Self {
        let is_q8_0 = n_cells >= LEAST_CELLS && kernels::have_attention() && is_ours(path, n_threads);
        if is_q8_0 { Self::Q8_0 } else { Self::F16 }
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
fn is_ours(path: &Path, n_threads: usize) -> bool {
    let has_sinks = |tensors: Vec<raw::Tensor>| tensors.iter().any(|tensor| tensor.name.contains("attn_sinks"));
    if raw::tensors(path).is_none_or(has_sinks) {
        return false;
    }
    let with = |arrays: &[&str]| {
        let file = file::open(path).ok()?;
        let len = file.metadata().ok()?.len();
        gguf::read(file, len, arrays).ok()?
    };
    let suits = || {
        let architecture = with(&[])?.text("general.architecture")?.to_owned();
        let [heads, kv_heads] = ["", "_kv"].map(|of| format!("{architecture}.attention.head_count{of}"));
        suits(&with(&[&heads, &kv_heads])?, n_threads)
    };
    suits().unwrap_or(false)
}

/// The same for the model with this header; `None` if it does not say.
fn suits(head: &Head, n_threads: usize) -> Option<bool> {
    let architecture = head.text("general.architecture")?;
    let value = |key: &str| head.get(&format!("{architecture}.{key}"));
    if UNCOMMON_ARCHITECTURES.contains(&architecture) || UNCOMMON.iter().any(|key| value(key).is_some()) {
        return Some(false);
    }
    let n_heads = numbers(value("attention.head_count"))?;
    let n_kv_heads =
        value("attention.head_count_kv").map_or_else(|| Some(n_heads.clone()), |all| numbers(Some(all)))?;
    let (most, fewest) = (*n_heads.iter().max()?, *n_kv_heads.iter().min()?);
    let usual = numbers(value("embedding_length"))?.first()? / most;
    let size = |key: &str, usual: u64| value(key).map_or(Some(usual), |size| numbers(Some(size))?.first().copied());
    let (keys, values) = (size("attention.key_length", usual)?, size("attention.value_length", usual)?);
    let of_windows = [size("attention.key_length_swa", keys)?, size("attention.value_length_swa", values)?];
    let is_rotated = |size: u64| size > 0 && size.is_multiple_of(ROTATED_UNIT) && size <= Attention::MOST_SIZE as u64;
    let are_rotated = [keys, values].into_iter().chain(of_windows).all(is_rotated);
    // With many threads, a single row has one item per KV head.
    let are_many = fewest.saturating_mul(Attention::THREADS_OF_ITEM as u64) >= n_threads as u64;
    Some(are_rotated && are_many && most.div_ceil(fewest) <= Attention::MOST_GROUP as u64)
}

/// A number, or one for each layer. Layers without attention have zero, and are left out.
fn numbers(value: Option<&Value>) -> Option<Vec<u64>> {
    let all = match value? {
        Value::Integer(n) => vec![*n],
        Value::Integers(all) => all.clone(),
        _ => return None,
    };
    all.into_iter().filter(|n| *n != 0).map(|n| u64::try_from(n).ok()).collect()
}

#[cfg(test)]
#[path = "kv_type_tests.rs"]
mod tests;
