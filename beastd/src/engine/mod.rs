//! The engine: traits that the worker drives, small enough to fake.

mod adjust;
mod constraint;
mod context;
mod context_options;
mod digits;
mod draft;
mod embedder;
mod error;
#[cfg(test)]
pub mod fake;
mod found;
mod gbnf;
mod head;
pub mod kernels;
mod kv_type;
#[cfg(target_os = "linux")]
mod large_pages;
mod lark;
#[cfg(target_os = "linux")]
mod likeliest;
mod llama;
mod logprobs;
mod model;
mod outputs;
mod page_repair;
mod patterns;
mod plugin;
mod raw;
mod read_ahead;
mod sampler;
mod scan;
mod schema;
mod sizes;
mod state;
mod time;
mod traits;
pub mod trial;
mod vocab;

pub use constraint::Constraint;
pub use context_options::ContextOptions;
pub use draft::DraftModel;
pub use error::LoadError;
pub use kv_type::KvType;
pub use llama::LlamaEngine;
pub use model::{LoadedModel, ModelOptions, load, log_to_tracing};
pub use plugin::{Device, devices, load_plugin};
pub use raw::{keep_memory_together, log_last_words, needs, return_memory, settle_environment};
pub use sizes::{LayerSizes, ModelSizes, sizes};
pub use state::{SavedState, Seal};
pub use vocab::LlamaVocab;

pub use traits::{Drafter, Engine, EngineError, Guesses, IsInterrupted, MAX_PIECES, Piece, Vocab};

/// Name and version of the engine's wrapper, as in Cargo.lock (`build.rs`).
pub const ENGINE: &str = concat!("llama.cpp (llama-cpp-2 ", env!("BEAST_LLAMA_CPP_2_VERSION"), ")");

/// The build of the engine, for files on disk that only the same build may trust. llama.cpp's own source comes with the
/// wrapper's bindings.
pub const ENGINE_BUILD: &str = concat!(
    "llama.cpp (llama-cpp-2 ",
    env!("BEAST_LLAMA_CPP_2_VERSION"),
    ", llama-cpp-sys-2 ",
    env!("BEAST_LLAMA_CPP_SYS_2_VERSION"),
    ")"
);

/// The engine for display and calibrations, with or without our kernels, since that changes the speed.
pub fn build(are_kernels_wanted: bool) -> String {
    match kernels::instruction_set().filter(|_| are_kernels_wanted) {
        Some(set) => format!("{ENGINE}, kernels of beastd for {set}"),
        None => ENGINE.to_owned(),
    }
}
