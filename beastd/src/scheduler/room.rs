//! Allocation of cells: to admitted sequences, to running ones, and to cached prefixes in what is left.

use super::{KvEdit, Room, Scheduler, Sequence, SlotId};
use crate::prefix_cache;

impl Scheduler {
    /// Whether a regular request waits for a slot that a background sequence holds.
    pub(super) fn is_held_up(&self) -> bool {
        let is_wanted = self.waiting.front().is_some_and(|next| !next.yields());
        is_wanted && self.idle.is_empty() && !self.full && self.running.iter().any(Sequence::yields)
    }

    /// Preempts the youngest background sequence in favour of a waiting request. Its computed tokens are cached if
    /// there is room, and it resumes from there.
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

    /// Whether the next background sequence must wait although a slot is free: together with the running ones it
    /// would slow the engine down.
    pub(super) fn is_held_back(&self) -> bool {
        let held: usize = self.running.iter().filter(|other| other.is_background).map(|other| other.tokens.len()).sum();
        let is_too_long = |next: &Sequence| next.yields() && held + next.tokens.len() > self.limits.n_background_cells;
        held > 0 && self.waiting.front().is_some_and(is_too_long)
    }

    /// Moves sequences from the queue into idle slots, in order, as long as their prompts fit beside running ones. A
    /// cached prefix is copied instead of computed.
    pub(super) fn admit(&mut self) {
        if self.full {
            return;
        }
        while let (Some(next), Some(&slot), false) = (self.waiting.front(), self.idle.first(), self.is_held_back()) {
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
            self.idle.pop_first();
            sequence.slot = Some(slot);
            if let Some((place, n)) = prefix {
                self.edits.push(KvEdit::Copy { from: place, to: slot });
                self.prefixes.hit(place);
                self.cache.take(slot, n);
                sequence.n_cached = n;
            }
            // Ordered by age: ids grow, and a preempted sequence returns to its position.
            let n = self.running.partition_point(|other| other.id < sequence.id);
            self.running.insert(n, sequence);
        }
    }

    /// Caches what a running sequence has computed so far, if there is room that no sequence needs.
    pub(super) fn keep_prefix(&mut self, nth: usize) {
        let sequence = &self.running[nth];
        let tokens = &sequence.tokens[..sequence.n_cached];
        if tokens.len() < prefix_cache::MIN_TOKENS || self.prefixes.contains(tokens) {
            return;
        }
        let (tokens, from) = (tokens.to_vec(), sequence.slot.expect("a running sequence has a slot"));
        // A prefix that is shorter than the prompt is a shared instruction, not one user's text.
        let is_instruction = sequence.n_cached + 1 < sequence.n_prompt;
        let is_scored = sequence.is_scored;
        if let Some(to) = self.place_for(tokens.len()) {
            self.cache.take(to, tokens.len());
            self.prefixes.insert(to, tokens, is_instruction);
            if is_scored {
                // A user's text is cached for the next question about it, but never saved to disk.
                self.prefixes.set_saved(to);
            }
            self.edits.push(KvEdit::Copy { from, to });
        }
    }

    /// A slot for a prefix of `n` tokens, evicting less useful ones, if there is room that no sequence needs.
    pub(super) fn place_for(&mut self, n: usize) -> Option<SlotId> {
        let owed: usize = self.running.iter().map(Sequence::n_pending).sum();
        let n_kept = self.prefixes.stats().n_tokens;
        if self.limits.n_prefixes == 0 || n > self.limits.n_prefix_cells || self.cache.n_free() + n_kept < owed + n {
            // Evicting everything would not make enough room.
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

    /// Reserves a cell for every decoding sequence: evicts cached prefixes first, then preempts the youngest sequence.
    pub(super) fn reserve_decode_cells(&mut self) {
        while self.cache.n_free() < self.n_decoding() {
            let room = self.make_room();
            assert!(room != Room::None, "a single sequence always fits: admission ensures it");
        }
    }

    /// Evicts cached prefixes for prefill, so that they never delay a prompt.
    pub(super) fn reserve_prefill_cells(&mut self) {
        let owed: usize = self.running.iter().map(Sequence::n_pending).sum();
        while self.cache.n_free() < owed && self.evict(None) {}
    }

    /// Moves the sequences in the highest slots into idle ones below.
    pub(super) fn close_gaps(&mut self) {
        while let Some(&gap) = self.idle.first().filter(|_| self.limits.is_adjacent) {
            let Some(last) = self.running.iter_mut().max_by_key(|sequence| sequence.slot) else { return };
            let from = last.slot.expect("a running sequence has a slot");
            if from < gap {
                return;
            }
            last.slot = Some(gap);
            self.idle.remove(&gap);
            self.idle.insert(from);
            let n_held = self.cache.held(from);
            self.cache.release(from);
            self.cache.take(gap, n_held);
            if n_held > 0 {
                self.edits.extend([KvEdit::Copy { from, to: gap }, KvEdit::Clear(from)]);
            }
        }
    }

    pub(super) fn n_decoding(&self) -> usize {
        self.running.iter().filter(|sequence| sequence.n_pending() == 1).count()
    }
}
