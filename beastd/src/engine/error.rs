//! Why a model cannot be loaded.

use std::path::PathBuf;

/// Why a model or its context cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be opened.
    #[error("cannot read the model {}: {source}; try: check `model` in the configuration", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// It is not a GGUF file.
    #[error(
        "{} is not a GGUF file (it does not begin with \"GGUF\"); try: convert the model, or choose another",
        path.display()
    )]
    NotGguf { path: PathBuf },
    /// llama.cpp rejects it.
    #[error(
        "llama.cpp cannot load {}: it is truncated, damaged or unsupported; try: download it again, or choose another \
         model",
        path.display()
    )]
    Refused { path: PathBuf },
    /// Its header is invalid, or its trial failed.
    #[error("cannot use the model {}: {reason}; try: download it again, or choose another model", path.display())]
    Unusable { path: PathBuf, reason: String },
    /// The message of a failed trial.
    #[error("{0}")]
    Trial(String),
    /// The draft model does not fit this model.
    #[error(
        "the draft model {} has a different vocabulary from the model's; try: use a draft model of the same family",
        path.display()
    )]
    Vocabulary {
        /// The draft model's file.
        path: PathBuf,
    },
    /// Most likely not enough memory for the context.
    #[error(
        "not enough memory for a context of {n_cells} cells for {}; try: lower n_ctx or n_slots", path.display()
    )]
    Context {
        /// The model's file.
        path: PathBuf,
        /// KV cells requested.
        n_cells: usize,
    },
    /// Its heads do not consist of whole blocks of numbers.
    #[error("the model {} does not support a KV cache of type {kv_type}; try: set kv_cache = \"f16\"", path.display())]
    KvType {
        /// The model's file.
        path: PathBuf,
        kv_type: &'static str,
    },
}
