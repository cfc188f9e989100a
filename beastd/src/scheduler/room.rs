//! Who gets cells: sequences that are admitted, those that run, and prefixes that are kept in what is left.

use super::{KvEdit, Room, Scheduler, Sequence, SlotId};
use crate::prefix_cache;

impl Scheduler {
    /// Whether somebody waits for a slot that a sequence of the background has.
    pub(super) fn is_held_up(&self) -> bool {
        let is_wanted = self.waiting.front().is_some_and(|next| !next.yields());
        is_wanted && self.idle.is_empty() && !self.full && self.running.iter().any(Sequence::yields)
    }

    /// Takes the slot of the background's youngest sequence for somebody who waits. What it has computed is kept where
    /// there is room, and it goes on from there when its turn comes.
    pub(super) fn give_way(&mut self) {
        if !self.is_held_up() {
            return;
        }
        let nth = self.running.iter().rposition(Sequence::yields).expect("just seen");
        self.keep_prefix(nth);
        let mut sequence = self.running.remove(nth);
        self.free(&mut sequence);
        sequence.n_cached = 0;
        sequence.n_yields -= 1;
        self.n_preempted += 1;
        let n = self.n_waiting_first();
        self.waiting.insert(n, sequence);
    }

    /// Whether the next in the queue has to wait for the end of another of the background, though there is a slot for
    /// it: together they would be longer than is good for the engine's pace.
    pub(super) fn is_held_back(&self) -> bool {
        let held: usize = self.running.iter().filter(|other| other.is_background).map(|other| other.tokens.len()).sum();
        let is_too_long = |next: &Sequence| next.yields() && held + next.tokens.len() > self.limits.n_background_cells;
        held > 0 && self.waiting.front().is_some_and(is_too_long)
    }

    /// Moves sequences from the queue into idle slots, in order, as long as their prompts find room beside those that
    /// run. A kept prefix is copied instead of computed.
    pub(super) fn admit(&mut self) {
        if self.full {
            return;
        }
        while let (Some(next), Some(&slot), false) = (self.waiting.front(), self.idle.front(), self.is_held_back()) {
            let owed: usize = self.running.iter().map(Sequence::n_pending).sum();
            let n_needed = owed + next.tokens.len();
            let mut prefix = self.prefixes.find(&next.tokens);
            while self.cache.n_free() < n_needed && self.evict(prefix.map(|(place, _)| place)) {}
            if self.cache.n_free() < n_needed && self.running.is_empty() && self.evict(None) {
                prefix = None;
            }
            if self.cache.n_free() < n_needed && !self.running.is_empty() {
                break;
            }
            let mut sequence = self.waiting.pop_front().expect("just seen");
            self.idle.pop_front();
            sequence.slot = Some(slot);
            if let Some((place, n)) = prefix {
                self.edits.push(KvEdit::Copy { from: place, to: slot });
                self.prefixes.hit(place);
                self.cache.take(slot, n);
                sequence.n_cached = n;
            }
            // By age: ids grow, and a preempted sequence comes back to its place.
            let n = self.running.partition_point(|other| other.id < sequence.id);
            self.running.insert(n, sequence);
        }
    }

    /// Keeps what a running sequence has computed so far, if there is room that nobody needs.
    pub(super) fn keep_prefix(&mut self, nth: usize) {
        let sequence = &self.running[nth];
        let tokens = &sequence.tokens[..sequence.n_cached];
        if tokens.len() < prefix_cache::MIN_TOKENS || self.prefixes.contains(tokens) {
            return;
        }
        let (tokens, from) = (tokens.to_vec(), sequence.slot.expect("a running sequence has a slot"));
        // What ends before the prompt does is an instruction that others begin with, not somebody's text.
        let is_instruction = sequence.n_cached + 1 < sequence.n_prompt;
        let is_scored = sequence.is_scored;
        if let Some(to) = self.place_for(tokens.len()) {
            self.cache.take(to, tokens.len());
            self.prefixes.insert(to, tokens, is_instruction);
            if is_scored {
                // Somebody's text, for the next question about it: not for the disk.
                self.prefixes.set_saved(to);
            }
            self.edits.push(KvEdit::Copy { from, to });
        }
    }

    /// A place for a prefix of `n` tokens, at the expense of less useful ones, if there is room that no sequence needs.
    pub(super) fn place_for(&mut self, n: usize) -> Option<SlotId> {
        let owed: usize = self.running.iter().map(Sequence::n_pending).sum();
        let n_kept = self.prefixes.stats().n_tokens;
        if self.limits.n_prefixes == 0 || n > self.limits.n_prefix_cells || self.cache.n_free() + n_kept < owed + n {
            // Not even in the place of all others.
            return None;
        }
        let is_over = |scheduler: &Self| scheduler.prefixes.stats().n_tokens + n > scheduler.limits.n_prefix_cells;
        while self.cache.n_free() < owed + n || is_over(self) || !self.prefixes.has_place() {
            if !self.evict(None) {
                return None;
            }
        }
        self.prefixes.take_place()
    }

    pub(super) fn evict(&mut self, spare: Option<SlotId>) -> bool {
        let Some(place) = self.prefixes.evict(spare) else { return false };
        self.cache.release(place);
        self.edits.push(KvEdit::Clear(place));
        true
    }

    /// Makes sure that every sequence that decodes finds a cell, at the expense of kept prefixes, then of the youngest.
    pub(super) fn reserve_decode_cells(&mut self) {
        while self.cache.n_free() < self.n_decoding() {
            let room = self.make_room();
            assert!(room != Room::None, "one sequence alone always fits: admission saw to that");
        }
    }

    /// Kept prefixes never hold a prompt up.
    pub(super) fn reserve_prefill_cells(&mut self) {
        let owed: usize = self.running.iter().map(Sequence::n_pending).sum();
        while self.cache.n_free() < owed && self.evict(None) {}
    }

    pub(super) fn n_decoding(&self) -> usize {
        self.running.iter().filter(|sequence| sequence.n_pending() == 1).count()
    }
}
