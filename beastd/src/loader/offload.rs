//! How many layers of a model fit into a GPU's memory. Arithmetic only.

use crate::engine::{ContextOptions, Device, ModelSizes};

/// Reserved for the driver's own buffers and a desktop.
const RESERVE: u64 = 256 << 20;
/// The least reserve as a divisor of the device's total memory.
const RESERVE_SHARE: u64 = 50;
/// Matrices of activations that a graph holds at once, in widths of the model and in widths of its hidden layer.
const N_ACTIVATIONS: u64 = 8;
const N_HIDDEN: u64 = 3;
/// Bytes per number in such a matrix and in logits, and per cell of the attention mask, which is held in f32 and f16.
const NUMBER: u64 = 4;
const MASK: u64 = 6;

/// GPU memory that a model and its context need, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// Compute buffers, needed with any layer.
    pub(super) base: u64,
    /// The output layer, which goes first.
    pub(super) output: u64,
    /// Weights and states of each other layer. llama.cpp offloads them from the last to the first.
    pub(super) layers: Vec<u64>,
}

/// The layers that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Including the output layer.
    pub(super) n_layers: u32,
    /// Memory of these layers in bytes.
    pub(super) n_bytes: u64,
}

impl Need {
    pub(super) fn new(sizes: &ModelSizes, context: &ContextOptions) -> Self {
        let (n_cells, n_batch) = (context.n_cells as u64, context.n_ubatch as u64);
        // Each place keeps its state, and one per draft that may be rolled back.
        let n_states = (context.n_places * (1 + context.n_draft)) as u64;
        let widths = N_ACTIVATIONS * sizes.n_embd + N_HIDDEN * sizes.n_hidden + sizes.n_vocab;
        let n_masked = if context.is_divided { n_cells / context.n_places as u64 } else { n_cells };
        let base = n_batch.saturating_mul(widths * NUMBER).saturating_add(n_batch.saturating_mul(n_masked * MASK));
        let layers = sizes.layers.iter().map(|layer| {
            let cells = context.kv_type.n_bytes(layer.cell).saturating_mul(n_cells);
            layer.weights.saturating_add(cells).saturating_add(layer.state.saturating_mul(n_states))
        });
        Self { base, output: sizes.output, layers: layers.collect() }
    }

    /// Memory for the whole model in bytes.
    pub(super) fn total(&self) -> u64 {
        self.layers.iter().fold(self.base.saturating_add(self.output), |sum, layer| sum.saturating_add(*layer))
    }

    /// As many layers as fit into `n_free` bytes, but at most `n_most`.
    pub(super) fn plan(&self, n_free: u64, n_most: u32) -> Plan {
        let mut plan = Plan { n_layers: 0, n_bytes: self.base };
        for layer in std::iter::once(&self.output).chain(self.layers.iter().rev()) {
            let n_bytes = plan.n_bytes.saturating_add(*layer);
            if n_bytes > n_free || plan.n_layers == n_most {
                break;
            }
            plan = Plan { n_layers: plan.n_layers + 1, n_bytes };
        }
        if plan.n_layers == 0 { Plan { n_layers: 0, n_bytes: 0 } } else { plan }
    }
}

/// The memory of a device that may be used.
pub(super) fn usable(device: &Device) -> u64 {
    // A driver that reports nothing is assumed to have enough; a failure leads to an attempt with fewer layers.
    if device.n_total == 0 {
        return u64::MAX;
    }
    device.n_free.saturating_sub(RESERVE.max(device.n_total / RESERVE_SHARE))
}

#[cfg(test)]
#[path = "offload_tests.rs"]
mod tests;
