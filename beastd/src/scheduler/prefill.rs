//! Which prompts a step computes, and how much of them.

use super::Scheduler;

/// At least one in this many prefill steps goes to the oldest prompt.
const OLDEST_EVERY: u32 = 8;

impl Scheduler {
    /// Grants the prefill budget to one prompt: the one with the shortest remainder, so that a short request gets its
    /// first token within one chunk however long the others are; every eighth time the oldest, so that it cannot
    /// starve. The rest of the budget stays unused: rows of different lengths cost a hybrid model one graph pass
    /// each, and the short request would wait for the fixed cost of every pass.
    pub(super) fn grant_prefill(&mut self, rows: &mut [usize], n_decoding: usize) {
        let chunk = match &self.running[..] {
            _ if n_decoding > 0 => self.limits.prefill_chunk.div_ceil(2),
            [one] if self.waiting.is_empty() && !one.was_interrupted => self.limits.lone_chunk,
            _ => self.limits.prefill_chunk,
        };
        let budget = chunk.min(self.limits.n_batch - n_decoding).min(self.cache.n_free() - n_decoding);
        let owing = || (0..rows.len()).filter(|&n| self.running[n].n_pending() > 1);
        let (Some(oldest), Some(shortest)) = (owing().next(), owing().min_by_key(|&n| self.running[n].n_pending()))
        else {
            return;
        };
        let is_its_turn = self.running[oldest].n_passed_over + 1 >= OLDEST_EVERY;
        let next = if is_its_turn { oldest } else { shortest };
        rows[next] = self.running[next].n_to_boundary().min(budget);
        if self.running[next].is_scored {
            self.grant_scored(rows, budget - rows[next]);
        } else if self.limits.is_parallel {
            self.grant_neighbours(rows, next, budget - rows[next]);
        }
        let is_passed_over = rows[oldest] == 0;
        let n_passed_over = &mut self.running[oldest].n_passed_over;
        *n_passed_over = if is_passed_over { *n_passed_over + 1 } else { 0 };
    }

    /// Scored prompts differ only in their short endings: computing several in one step costs little more than one.
    /// Only whole endings are granted.
    fn grant_scored(&self, rows: &mut [usize], mut budget: usize) {
        for (row, sequence) in rows.iter_mut().zip(&self.running) {
            let n = sequence.n_pending();
            if *row == 0 && sequence.is_scored && n > 1 && n == sequence.n_to_boundary() && n <= budget {
                *row = n;
                budget -= n;
            }
        }
    }

    /// Grants the prompts in the slots beside `next` as many tokens as that one has got, if they can use them: rows of
    /// one length in adjacent slots are one pass. Requests that come together then start together, and end together,
    /// which saves an engine on a GPU most changes of a step's shape.
    fn grant_neighbours(&self, rows: &mut [usize], next: usize, mut budget: usize) {
        let n = rows[next];
        let mut by_slot: Vec<usize> = (0..rows.len()).collect();
        by_slot.sort_unstable_by_key(|&nth| self.running[nth].slot);
        let at = by_slot.iter().position(|&nth| nth == next).expect("it is one of them");
        let can_use = |nth: usize| {
            let sequence = &self.running[nth];
            sequence.n_pending() > 1 && sequence.n_to_boundary() >= n && !sequence.is_scored
        };
        let above = by_slot[at + 1..].iter().take_while(|nth| can_use(**nth));
        let below = by_slot[..at].iter().rev().take_while(|nth| can_use(**nth));
        for &nth in above.chain(below) {
            if budget < n {
                return;
            }
            rows[nth] = n;
            budget -= n;
        }
    }
}
