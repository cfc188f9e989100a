//! The GPU during a load: how many layers it gets, and how many after running out of memory.

use std::path::Path;

use beast_protocol::WireError;

use super::offload::{Need, usable};
use super::tuning::Tuning;
use crate::backends::{self, Choice};
use crate::config::Config;
use crate::engine::{self, ContextOptions, Device, KvType};

/// The GPU while a model is being loaded.
pub(super) struct Gpu {
    pub(super) device: Option<Device>,
    /// Why it gets fewer layers than possible, or none; a line each.
    pub(super) problems: Vec<String>,
    /// Whether each place has cells of its own.
    pub(super) is_divided: bool,
    /// Most layers it may get.
    n_most: u32,
    /// Layers assigned in this attempt, which may be too many.
    at_risk: u32,
    /// Bytes left for a draft model.
    n_left: u64,
    is_chosen: bool,
}

impl Gpu {
    pub(super) fn new(config: &Config) -> Self {
        let n_most = u32::try_from(config.n_gpu_layers).unwrap_or(u32::MAX);
        Self { device: None, problems: Vec::new(), is_divided: false, n_most, at_risk: 0, n_left: 0, is_chosen: false }
    }

    /// Chooses the device, once for all attempts.
    pub(super) fn choose(&mut self, config: &Config) {
        if !std::mem::replace(&mut self.is_chosen, true) {
            Choice { device: self.device, problems: self.problems } = backends::choose(config);
        }
    }

    /// Number of layers of the model at `path` to offload: all if their sizes are unknown. Divides the cells among the
    /// places if the whole model with divided cells takes no more than half of the memory.
    pub(super) fn plan(&mut self, config: &Config, tuning: &Tuning, path: &Path) -> u32 {
        let Some(device) = &self.device else { return 0 };
        self.at_risk = self.n_most;
        self.is_divided = false;
        if let Some(sizes) = engine::sizes(path) {
            let context = context(config, path, tuning);
            let n_usable = usable(device);
            let n_all = u32::try_from(sizes.layers.len() + 1).unwrap_or(u32::MAX);
            let divided = Need::new(&sizes, &divide(context, config.n_ctx));
            self.is_divided = config.n_cells == 0 && self.n_most >= n_all && divided.total() <= n_usable / 2;
            let need = if self.is_divided { divided } else { Need::new(&sizes, &context) };
            // A number in the configuration is taken as it is.
            let n_free = if config.n_gpu_layers < 0 { n_usable } else { u64::MAX };
            let plan = need.plan(n_free, self.n_most);
            self.n_left = n_usable.saturating_sub(plan.n_bytes);
            if plan.n_layers < n_all.min(self.n_most) {
                let (n, name) = (plan.n_layers, &device.name);
                let (total, free) = (gib(need.total()), gib(device.n_free));
                self.problems.push(format!(
                    "{n}/{n_all} layers offloaded to {name}: all need {total}, and {free} is free; try: lower n_ctx or \
                     n_slots"
                ));
            }
            self.at_risk = plan.n_layers;
        }
        self.at_risk
    }

    /// Whether it gets layers of this model.
    pub(super) fn is_used(&self) -> bool {
        self.device.is_some() && self.at_risk > 0
    }

    /// The GPU for the draft model at `path`, if all of it fits into what is left.
    pub(super) fn for_draft(&self, options: &ContextOptions, path: &Path) -> Option<Device> {
        let device = self.device.as_ref().filter(|_| self.is_used())?;
        let options = ContextOptions { is_divided: false, ..*options };
        let total = engine::sizes(path).map_or(0, |sizes| Need::new(&sizes, &options).total());
        (total <= self.n_left).then(|| device.clone())
    }

    /// Halves the layers for another attempt if a load failed for lack of GPU memory. llama.cpp reports that in its log
    /// only, which is part of the message.
    pub(super) fn retreat(&mut self, error: &WireError) -> bool {
        let text = error.message.to_lowercase();
        if self.at_risk == 0 || !(text.contains("memory") || text.contains("alloc")) {
            return false;
        }
        let name = self.device.as_ref().map_or("the GPU", |device| &*device.name);
        self.problems.push(match self.at_risk / 2 {
            0 => format!("{name} has too little memory for this model; using the CPU"),
            n => format!("{n} layers offloaded to {name}: {} did not fit", self.at_risk),
        });
        tracing::warn!(%error, n_layers = self.at_risk, "out of GPU memory; retrying with half the layers");
        self.n_most = self.at_risk / 2;
        self.at_risk = 0;
        true
    }

    /// To be called once the model is loaded, since later failures have other causes. Reads how much memory is left.
    pub(super) fn settle(&mut self, is_used: bool) {
        self.at_risk = 0;
        let index = self.device.take().filter(|_| is_used).map(|device| device.index);
        self.device = engine::devices().into_iter().find(|device| Some(device.index) == index);
    }
}

/// This context of the model at `path`, with the type of KV cache that is configured or best.
pub(super) fn with_kv_type(context: ContextOptions, config: &Config, path: &Path, on_gpu: bool) -> ContextOptions {
    let kv_type = match &*config.kv_cache {
        "q8_0" => KvType::Q8_0,
        "auto" if config.kernels && !on_gpu => KvType::best(path, context.n_cells, context.n_threads),
        _ => KvType::F16,
    };
    ContextOptions { kv_type, ..context }
}

/// The same context with `n_ctx` cells for each place.
fn divide(context: ContextOptions, n_ctx: usize) -> ContextOptions {
    ContextOptions { n_cells: context.n_places * n_ctx, is_divided: true, ..context }
}

/// The context of the model at `path` before its calibration is known.
pub(super) fn plain_context(config: &Config, path: &Path, on_gpu: bool) -> ContextOptions {
    let context = ContextOptions {
        n_cells: config.n_cells(config.n_ctx),
        is_divided: false,
        kv_type: KvType::F16,
        n_places: config.n_slots + config.n_prefixes,
        n_batch: config.n_batch,
        n_ubatch: config.prefill_chunk(on_gpu).max(config.n_slots),
        // With more threads, fewer models get a cache of 8 bits, which is smaller.
        n_threads: config.most_threads(),
        n_draft: config.n_draft(),
    };
    with_kv_type(context, config, path, on_gpu)
}

/// The context that the model at `path` will get on a GPU, before its training context is known.
fn context(config: &Config, path: &Path, tuning: &Tuning) -> ContextOptions {
    let limits = tuning.limits(config, config.n_ctx, true);
    let context = ContextOptions {
        n_cells: limits.n_cells,
        is_divided: false,
        kv_type: KvType::F16,
        n_places: limits.n_slots + limits.n_prefixes,
        n_batch: limits.n_batch,
        n_ubatch: limits.lone_chunk.max(limits.n_slots),
        n_threads: tuning.n_threads,
        n_draft: config.n_draft(),
    };
    with_kv_type(context, config, path, true)
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn gib(n_bytes: u64) -> String {
    format!("{:.1} GiB", n_bytes as f64 / (1_u64 << 30) as f64)
}

#[cfg(test)]
#[path = "gpu_tests.rs"]
mod tests;
