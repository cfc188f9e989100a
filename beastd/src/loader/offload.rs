//! How many layers of a model fit into a GPU's memory. Arithmetic only: asks nobody, loads nothing.

use crate::engine::{ContextOptions, Device, ModelSizes};

/// What is left alone: the driver's own buffers, and a desktop that shows another window.
const RESERVE: u64 = 256 << 20;
/// The same, as a share of all memory.
const RESERVE_SHARE: u64 = 50;
/// Matrices of activations that a graph holds at once, in widths of the model and in widths of its hidden layer.
const N_ACTIVATIONS: u64 = 8;
const N_HIDDEN: u64 = 3;
/// Bytes of a number in such a matrix, in logits, and in the mask of attention, which is held twice.
const NUMBER: u64 = 4;
const MASK: u64 = 6;

/// What a model and its context take of a GPU, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need {
    /// As soon as any layer is there: compute buffers.
    pub(super) base: u64,
    /// The output layer, which goes first.
    pub(super) output: u64,
    /// Weights and states of each other layer. They follow from the last to the first, as llama.cpp takes them.
    pub(super) layers: Vec<u64>,
}

/// What fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// The output layer counted.
    pub(super) n_layers: u32,
    /// What they take.
    pub(super) n_bytes: u64,
}

impl Need {
    pub(super) fn new(sizes: &ModelSizes, context: &ContextOptions) -> Self {
        let (n_cells, n_batch) = (context.n_cells as u64, context.n_ubatch as u64);
        // Each place keeps its state, and one for each draft that may be taken back.
        let n_states = (context.n_places * (1 + context.n_draft)) as u64;
        let widths = N_ACTIVATIONS * sizes.n_embd + N_HIDDEN * sizes.n_hidden + sizes.n_vocab;
        let base = n_batch.saturating_mul(widths * NUMBER).saturating_add(n_batch.saturating_mul(n_cells * MASK));
        let layers = sizes.layers.iter().map(|layer| {
            let cells = layer.cell.saturating_mul(n_cells);
            layer.weights.saturating_add(cells).saturating_add(layer.state.saturating_mul(n_states))
        });
        Self { base, output: sizes.output, layers: layers.collect() }
    }

    /// Of the whole model.
    pub(super) fn total(&self) -> u64 {
        self.layers.iter().fold(self.base.saturating_add(self.output), |sum, layer| sum.saturating_add(*layer))
    }

    /// As many layers as `n_free` bytes hold, and no more than `n_most`.
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

/// What of a device's memory may be used.
pub(super) fn usable(device: &Device) -> u64 {
    // A driver that does not tell has to be believed to have enough; what then fails is tried again with less.
    if device.n_total == 0 {
        return u64::MAX;
    }
    device.n_free.saturating_sub(RESERVE.max(device.n_total / RESERVE_SHARE))
}

#[cfg(test)]
#[path = "offload_tests.rs"]
mod tests;
