//! The prefix cache: states at the exact end of a prefix, each in a slot of its own, to be copied into a running slot.
//!
//! States are copied, never rewound: a hybrid model cannot return to the middle of a sequence, but copying a whole
//! state takes microseconds.

use crate::batch::{SlotId, Token};

/// A cached prefix.
#[derive(Debug)]
struct Entry {
    place: SlotId,
    tokens: Vec<Token>,
    n_hits: u64,
    priority: u64,
    /// Whether it ends before the user's text begins.
    is_instruction: bool,
    /// Whether it is on disk.
    is_saved: bool,
}

/// All cached prefixes. The least useful one is evicted first: age counts in evictions, and every hit lets a prefix
/// survive [`WORTH_OF_A_USE`] more of them. So a prompt in occasional use survives any number of one-time inputs, and
/// is evicted once it is no longer used.
#[derive(Debug)]
pub struct PrefixCache {
    entries: Vec<Entry>,
    free: Vec<SlotId>,
    n_evicted: u64,
    n_hits: u64,
    n_tokens_saved: u64,
}

/// Evictions that a prefix survives per hit, and the most hits that count.
const WORTH_OF_A_USE: u64 = 16;
const MAX_USES: u64 = 8;

/// Shorter prefixes are not worth a slot.
pub const MIN_TOKENS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrefixStats {
    pub n_entries: usize,
    /// Their tokens, which is their number of KV cells.
    pub n_tokens: usize,
    /// Cache hits.
    pub n_hits: u64,
    pub n_tokens_saved: u64,
}

impl PrefixCache {
    /// An empty cache with these slots.
    pub fn new(places: Vec<SlotId>) -> Self {
        Self { entries: Vec::new(), free: places, n_evicted: 0, n_hits: 0, n_tokens_saved: 0 }
    }

    /// The longest cached prefix of `tokens` that leaves at least one token to compute: slot and length.
    pub fn find(&self, tokens: &[Token]) -> Option<(SlotId, usize)> {
        let is_prefix = |entry: &&Entry| entry.tokens.len() < tokens.len() && tokens.starts_with(&entry.tokens);
        let longest = self.entries.iter().filter(is_prefix).max_by_key(|entry| entry.tokens.len())?;
        Some((longest.place, longest.tokens.len()))
    }

    /// Records a hit of the prefix in `place`.
    pub fn hit(&mut self, place: SlotId) {
        let now = self.n_evicted;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.place == place) {
            entry.n_hits += 1;
            entry.priority = now + WORTH_OF_A_USE * entry.n_hits.min(MAX_USES);
            self.n_hits += 1;
            self.n_tokens_saved += entry.tokens.len() as u64;
        }
    }

    /// Whether exactly these tokens are cached.
    pub fn contains(&self, tokens: &[Token]) -> bool {
        self.entries.iter().any(|entry| entry.tokens == tokens)
    }

    /// Whether there is a free slot.
    pub fn has_place(&self) -> bool {
        !self.free.is_empty()
    }

    /// Takes a free slot.
    pub fn take_place(&mut self) -> Option<SlotId> {
        self.free.pop()
    }

    /// Returns a slot that was taken but not used.
    pub fn give_place_back(&mut self, place: SlotId) {
        self.free.push(place);
    }

    /// Caches these tokens in a slot that was taken.
    pub fn insert(&mut self, place: SlotId, tokens: Vec<Token>, is_instruction: bool) {
        let priority = self.n_evicted;
        self.entries.push(Entry { place, tokens, n_hits: 0, priority, is_instruction, is_saved: false });
    }

    /// A prefix worth saving to disk that is not there yet: an instruction, or one that was hit.
    pub fn next_to_save(&self) -> Option<(SlotId, Vec<Token>)> {
        let is_worth_it = |entry: &&Entry| !entry.is_saved && (entry.is_instruction || entry.n_hits > 0);
        self.entries.iter().find(is_worth_it).map(|entry| (entry.place, entry.tokens.clone()))
    }

    /// Marks the prefix in `place` as saved.
    pub fn set_saved(&mut self, place: SlotId) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.place == place) {
            entry.is_saved = true;
        }
    }

    /// Evicts the least useful prefix, except the one in `spare`; returns its slot.
    pub fn evict(&mut self, spare: Option<SlotId>) -> Option<SlotId> {
        let candidates = self.entries.iter().enumerate().filter(|(_, entry)| Some(entry.place) != spare);
        let (n, _) = candidates.min_by_key(|(_, entry)| entry.priority)?;
        // Keeps the order, so that the older of two with equal priority is evicted first.
        let entry = self.entries.remove(n);
        self.n_evicted += 1;
        self.free.push(entry.place);
        Some(entry.place)
    }

    pub fn stats(&self) -> PrefixStats {
        PrefixStats {
            n_entries: self.entries.len(),
            n_tokens: self.entries.iter().map(|entry| entry.tokens.len()).sum(),
            n_hits: self.n_hits,
            n_tokens_saved: self.n_tokens_saved,
        }
    }

    /// The occupied slots, each with its number of tokens.
    pub fn held(&self) -> impl Iterator<Item = (SlotId, usize)> {
        self.entries.iter().map(|entry| (entry.place, entry.tokens.len()))
    }
}
