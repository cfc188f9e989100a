//! Sizes of a llama.cpp context, and how one is made of them.

use std::num::NonZeroU32;

use llama_cpp_2::context::params::LlamaContextParams;

use super::context::Context;
use super::error::LoadError;
use super::kv_type::KvType;
use super::model::LoadedModel;

/// Sizes of a context.
#[derive(Debug, Clone, Copy)]
pub struct ContextOptions {
    /// KV cells for all slots.
    pub n_cells: usize,
    /// Whether each place has its own share of the cells, instead of all sharing one pool. A step then neither reads
    /// the cells of other sequences nor masks them. But a copy has to move cells, and places that are not adjacent are
    /// computed in separate passes.
    pub is_divided: bool,
    /// How the cells keep numbers.
    pub kv_type: KvType,
    /// Sequences: slots and cached prefixes.
    pub n_places: usize,
    /// Most tokens per step.
    pub n_batch: usize,
    /// Most tokens per graph pass; compute buffers grow with it.
    pub n_ubatch: usize,
    /// CPU threads when nothing else uses the CPU.
    pub n_threads: usize,
    /// Most drafts per row: past states that a hybrid model keeps per slot to roll drafts back.
    pub n_draft: usize,
}

pub(super) fn new_context<'model>(
    model: &'model LoadedModel,
    options: &ContextOptions,
) -> Result<Context<'model>, LoadError> {
    Context::new(model, params(options)).map_err(|_| {
        let path = model.path().to_owned();
        // A larger context, so memory was not the reason.
        let with_f16 = ContextOptions { kv_type: KvType::F16, ..*options };
        if options.kv_type != KvType::F16 && Context::new(model, params(&with_f16)).is_ok() {
            return LoadError::KvType { path, kv_type: options.kv_type.name() };
        }
        LoadError::Context { path, n_cells: options.n_cells }
    })
}

/// Context parameters for these sizes.
pub(super) fn params(options: &ContextOptions) -> LlamaContextParams {
    let n_threads = i32::try_from(options.n_threads).unwrap_or(i32::MAX);
    let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    // llama.cpp requires room for one output per sequence, however small the steps are.
    let n_batch = options.n_batch.max(options.n_places);
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(as_u32(options.n_cells)))
        .with_n_batch(as_u32(n_batch))
        // llama.cpp requires that a pass holds more than one row of drafts, whose states must stay together.
        .with_n_ubatch(as_u32(options.n_ubatch.max(options.n_draft + 2).min(n_batch)))
        .with_n_seq_max(as_u32(options.n_places))
        .with_n_rs_seq(as_u32(options.n_draft))
        .with_n_threads(n_threads)
        .with_n_threads_batch(n_threads)
        .with_kv_unified(!options.is_divided)
        .with_type_k(options.kv_type.into())
        .with_type_v(options.kv_type.into())
        .with_no_perf(true)
}
