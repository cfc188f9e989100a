//! The ledger of KV cells: how many each slot holds of the shared pool.

use crate::batch::SlotId;

/// Only counts; the engine owns the cells.
#[derive(Debug, Clone)]
pub struct KvCache {
    n_cells: usize,
    held: Vec<usize>,
}

impl KvCache {
    /// An empty pool of `n_cells` cells for `n_slots` slots.
    pub fn new(n_cells: usize, n_slots: usize) -> Self {
        Self { n_cells, held: vec![0; n_slots] }
    }

    /// Free cells.
    pub fn n_free(&self) -> usize {
        self.n_cells - self.n_used()
    }

    /// Cells in use.
    pub fn n_used(&self) -> usize {
        self.held.iter().sum()
    }

    /// Cells of the slot.
    pub fn held(&self, slot: SlotId) -> usize {
        self.held[slot.0 as usize]
    }

    /// Gives the slot `n` more cells, which must be free.
    pub fn take(&mut self, slot: SlotId, n: usize) {
        assert!(n <= self.n_free(), "the plan takes {n} cells of {} free ones", self.n_free());
        self.held[slot.0 as usize] += n;
    }

    /// Takes back the last `n` cells of the slot.
    pub fn give_back(&mut self, slot: SlotId, n: usize) {
        self.held[slot.0 as usize] -= n;
    }

    /// Takes back all cells of the slot.
    pub fn release(&mut self, slot: SlotId) {
        self.held[slot.0 as usize] = 0;
    }
}
