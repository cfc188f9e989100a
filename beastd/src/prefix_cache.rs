//! Prefixes that are kept: the state at the exact end of a known beginning, in a place of its own, to be copied into a
//! slot.
//!
//! Copied, never rewound: a hybrid model cannot go back to the middle of a sequence, but a copy of a whole one costs
//! microseconds.

use crate::batch::{SlotId, Token};

/// A kept prefix.
#[derive(Debug)]
struct Entry {
    place: SlotId,
    tokens: Vec<Token>,
    n_hits: u64,
    priority: u64,
    /// It ends before somebody's text begins.
    is_instruction: bool,
    /// It is on disk.
    is_saved: bool,
}

/// All kept prefixes. The least useful goes first: time is counted in evictions, and every use lets a prefix outlive
/// [`WORTH_OF_A_USE`] of them, so that a prompt which is used now and then survives any number of inputs seen once, and
/// goes in the end when it is not used any more.
#[derive(Debug)]
pub struct PrefixCache {
    entries: Vec<Entry>,
    free: Vec<SlotId>,
    n_evicted: u64,
    n_hits: u64,
    n_tokens_saved: u64,
}

/// Evictions that a prefix outlives for each of its uses, of which so many count.
const WORTH_OF_A_USE: u64 = 16;
const MAX_USES: u64 = 8;

/// Shorter ones are not worth a place.
pub const MIN_TOKENS: usize = 16;

/// How the cache stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrefixStats {
    /// Prefixes kept.
    pub n_entries: usize,
    /// Their tokens, which are KV cells.
    pub n_tokens: usize,
    /// How often one was copied.
    pub n_hits: u64,
    /// Prompt tokens saved by the prefix cache.
    pub n_tokens_saved: u64,
}

impl PrefixCache {
    /// An empty cache with these places.
    pub fn new(places: Vec<SlotId>) -> Self {
        Self { entries: Vec::new(), free: places, n_evicted: 0, n_hits: 0, n_tokens_saved: 0 }
    }

    /// The longest prefix of `tokens` that is kept and leaves at least one token to compute: its place and length.
    pub fn find(&self, tokens: &[Token]) -> Option<(SlotId, usize)> {
        let is_prefix = |entry: &&Entry| entry.tokens.len() < tokens.len() && tokens.starts_with(&entry.tokens);
        let longest = self.entries.iter().filter(is_prefix).max_by_key(|entry| entry.tokens.len())?;
        Some((longest.place, longest.tokens.len()))
    }

    /// Notes that the prefix in `place` was copied.
    pub fn hit(&mut self, place: SlotId) {
        let now = self.n_evicted;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.place == place) {
            entry.n_hits += 1;
            entry.priority = now + WORTH_OF_A_USE * entry.n_hits.min(MAX_USES);
            self.n_hits += 1;
            self.n_tokens_saved += entry.tokens.len() as u64;
        }
    }

    /// Whether just these tokens are kept.
    pub fn contains(&self, tokens: &[Token]) -> bool {
        self.entries.iter().any(|entry| entry.tokens == tokens)
    }

    /// Whether a new one finds a place.
    pub fn has_place(&self) -> bool {
        !self.free.is_empty()
    }

    /// Takes a place for a new one.
    pub fn take_place(&mut self) -> Option<SlotId> {
        self.free.pop()
    }

    /// Nothing came of it.
    pub fn give_place_back(&mut self, place: SlotId) {
        self.free.push(place);
    }

    /// Keeps these tokens in a place that was taken.
    pub fn insert(&mut self, place: SlotId, tokens: Vec<Token>, is_instruction: bool) {
        let priority = self.n_evicted;
        self.entries.push(Entry { place, tokens, n_hits: 0, priority, is_instruction, is_saved: false });
    }

    /// One that should be on disk and is not: an instruction, or whatever was used again.
    pub fn next_to_save(&self) -> Option<(SlotId, Vec<Token>)> {
        let is_worth_it = |entry: &&Entry| !entry.is_saved && (entry.is_instruction || entry.n_hits > 0);
        self.entries.iter().find(is_worth_it).map(|entry| (entry.place, entry.tokens.clone()))
    }

    /// Notes that the one in `place` is on disk.
    pub fn set_saved(&mut self, place: SlotId) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.place == place) {
            entry.is_saved = true;
        }
    }

    /// Gives the least useful one up, but not the one in `spare`; returns its place.
    pub fn evict(&mut self, spare: Option<SlotId>) -> Option<SlotId> {
        let candidates = self.entries.iter().enumerate().filter(|(_, entry)| Some(entry.place) != spare);
        let (n, _) = candidates.min_by_key(|(_, entry)| entry.priority)?;
        // In order, so that of two with equal priority the older one goes.
        let entry = self.entries.remove(n);
        self.n_evicted += 1;
        self.free.push(entry.place);
        Some(entry.place)
    }

    /// How the cache stands.
    pub fn stats(&self) -> PrefixStats {
        PrefixStats {
            n_entries: self.entries.len(),
            n_tokens: self.entries.iter().map(|entry| entry.tokens.len()).sum(),
            n_hits: self.n_hits,
            n_tokens_saved: self.n_tokens_saved,
        }
    }

    /// Places in use and the tokens kept there.
    pub fn held(&self) -> impl Iterator<Item = (SlotId, usize)> {
        self.entries.iter().map(|entry| (entry.place, entry.tokens.len()))
    }
}
