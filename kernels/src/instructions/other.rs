//! Other architectures have none.

use crate::attention::Compute as ComputeAttention;
use crate::blocks::Weights;
use crate::product::Way;

/// No instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {}

impl InstructionSet {
    pub const ALL: &[Self] = &[];

    pub fn is_supported(self) -> bool {
        match self {}
    }

    pub fn name(self) -> &'static str {
        match self {}
    }

    pub fn most_few(self) -> usize {
        match self {}
    }

    pub fn most_fewest(self, _weights: Weights) -> usize {
        match self {}
    }

    pub fn fewest(self, _weights: Weights) -> Option<Way> {
        match self {}
    }

    pub fn few(self, _weights: Weights) -> Option<Way> {
        match self {}
    }

    pub fn tiles(self, _weights: Weights) -> Option<Way> {
        match self {}
    }

    pub fn attention(self) -> Option<ComputeAttention> {
        match self {}
    }
}
