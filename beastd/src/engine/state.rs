//! The state of a slot, in llama.cpp's format: from `Engine::save`, or read back from a disk and checked.

use sha2::{Digest, Sha256};

/// The saved state of a slot. llama.cpp trusts these bytes, so they come only from an engine's `save` or from
/// [`SavedState::unseal`]. A state fits engines with the same model and build of llama.cpp. One that is kept longer
/// than its engine must be sealed together with a text that names both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState(Vec<u8>);

/// SHA-256 of a state and its origin. Protects against accidents and mistakes, not against an attacker who can write
/// the file: the file's owner and mode do that.
pub type Seal = [u8; 32];

impl SavedState {
    /// From bytes that an engine has just written.
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

    /// The state, if these bytes were sealed as a state of exactly this origin; else `None`.
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
