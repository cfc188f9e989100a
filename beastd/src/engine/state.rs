//! What a slot holds, as bytes of llama.cpp's: made by `Engine::save`, or on the way back from a disk by a check.

use sha2::{Digest, Sha256};

/// The saved state of a slot. llama.cpp trusts such bytes, so they come from nowhere else than from an engine's `save`,
/// or from [`SavedState::unseal`]. A state fits engines with the same model and build of llama.cpp: whoever keeps one
/// longer than its engine seals it together with a text that names both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState(Vec<u8>);

/// What tells that bytes are a certain state of a certain origin: SHA-256 of both. Against accidents and mistakes, not
/// against somebody who can write the file: that is for its owner and mode.
pub type Seal = [u8; 32];

impl SavedState {
    /// Of what an engine has just written.
    pub(super) fn of_engine(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The seal of this state and its origin: model, build, tokens, whatever must be the same when it is restored.
    pub fn seal(&self, origin: &[u8]) -> Seal {
        seal(origin, &self.0)
    }

    /// Bytes that were a state of just this origin when they were sealed; `None` for all others.
    pub fn unseal(origin: &[u8], bytes: Vec<u8>, sealed: &Seal) -> Option<Self> {
        (seal(origin, &bytes) == *sealed).then_some(Self(bytes))
    }
}

fn seal(origin: &[u8], bytes: &[u8]) -> Seal {
    Sha256::new_with_prefix(origin).chain_update(bytes).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_for_the_same_origin_becomes_a_state_again() {
        let state = SavedState::of_engine(vec![1, 2, 3]);
        let sealed = state.seal(b"origin");
        assert_eq!(SavedState::unseal(b"origin", vec![1, 2, 3], &sealed), Some(state));
        assert_eq!(SavedState::unseal(b"another", vec![1, 2, 3], &sealed), None);
        assert_eq!(SavedState::unseal(b"origin", vec![1, 2, 4], &sealed), None);
        assert_eq!(SavedState::unseal(b"origin", vec![1, 2, 3], &[0; 32]), None);
    }
}
