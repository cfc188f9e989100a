//! Does everything with an untrusted model that could crash llama.cpp, once, in a disposable process.
//!
//! Never knows: its caller.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::{
    context_options::ContextOptions,
    error::LoadError,
    kv_type::KvType,
    llama::LlamaEngine,
    model::{LoadedModel, ModelOptions, load},
    raw,
    traits::Vocab,
    vocab::LlamaVocab,
};
use crate::batch::Token;

/// Words, punctuation, multi-byte characters, and one that no vocabulary has as a token.
const TEXT: &str = "Hello, world 42!\r\n\t\u{1}\u{7f}é漢🦀\u{10ffff}";
const SMALL: ContextOptions = ContextOptions {
    n_cells: 256,
    is_divided: false,
    kv_type: KvType::F16,
    n_places: 1,
    n_batch: 16,
    n_ubatch: 16,
    n_threads: 1,
    n_draft: 0,
};

/// Loads a model, reports that, encodes and decodes with its vocabulary, passes that to `check`, computes, and looks
/// for NaN weights.
///
/// # Errors
/// The failure that a daemon would have.
pub fn run(
    path: &Path,
    tell_loaded: impl FnOnce(),
    check: impl FnOnce(&LoadedModel, &dyn Vocab),
) -> Result<(), String> {
    let file = path.to_owned();
    let weights = thread::spawn(move || raw::broken_tensor(&file));
    let options = ModelOptions {
        path: path.to_owned(),
        device: None,
        n_gpu_layers: None,
        mmap: true,
        repack: false,
        kernels: true,
    };
    let loaded = Arc::new(load(&options, |_| true).map_err(|error| error.to_string())?);
    tell_loaded();
    let vocab = LlamaVocab::new(Arc::clone(&loaded));
    let tokens = vocab.tokenize(TEXT, true, true);
    let mut bytes = Vec::new();
    tokens.iter().for_each(|token| vocab.piece(*token, &mut bytes));
    check(&loaded, &vocab);
    // The type that a large cache gets: with Q8_0, llama.cpp builds a different graph.
    let options = ContextOptions { kv_type: KvType::best(path, usize::MAX, SMALL.n_threads), ..SMALL };
    let engine = LlamaEngine::new(&loaded, &options).map_err(|error| error.to_string());
    let first = tokens.first().copied().unwrap_or(Token(0));
    let computed = engine?.warm_up(first, false);
    // A broken tensor is a better reason than the failure of computing with it.
    match weights.join() {
        Ok(None) => {}
        Ok(Some(name)) => return Err(unusable(path, &format!("tensor {name} contains values that are not numbers"))),
        Err(_) => return Err(unusable(path, "its weights cannot be read")),
    }
    computed.map(drop).map_err(|error| unusable(path, &format!("a test computation failed: {error}")))
}

fn unusable(path: &Path, reason: &str) -> String {
    LoadError::Unusable { path: path.to_owned(), reason: reason.to_owned() }.to_string()
}
