//! Tells the current step that new requests have arrived. Atomics only: the step checks after each of the model's
//! operations.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// Arrivals since the worker last looked into its inbox.
#[derive(Debug)]
pub struct Interrupt {
    /// Tokens of the shortest prompt among them.
    shortest: AtomicUsize,
}

/// No arrivals.
const NOBODY: usize = usize::MAX;

impl Default for Interrupt {
    fn default() -> Self {
        Self { shortest: AtomicUsize::new(NOBODY) }
    }
}

impl Interrupt {
    /// A request with a prompt of `n_tokens` is in the inbox.
    ///
    /// Callers put it into the inbox first, then call this; the worker calls `clear` first, then drains the inbox. So a
    /// request that it did not find there is announced after the clearing, to the next step. The fences keep both in
    /// this order.
    pub fn announce(&self, n_tokens: usize) {
        fence(Ordering::SeqCst);
        self.shortest.fetch_min(n_tokens, Ordering::Relaxed);
    }

    /// A command is in the inbox that should not wait for the end of any prompt.
    pub fn announce_end(&self) {
        self.announce(0);
    }

    /// The inbox is about to be read.
    pub fn clear(&self) {
        self.shortest.store(NOBODY, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Whether a request has arrived whose prompt is shorter than this.
    pub fn is_shorter_than(&self, n_tokens: usize) -> bool {
        self.shortest.load(Ordering::Relaxed) < n_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_of_those_that_came_counts_until_the_inbox_is_looked_at() {
        let interrupt = Interrupt::default();
        assert!(!interrupt.is_shorter_than(usize::MAX), "nobody has come");
        interrupt.announce(30);
        interrupt.announce(50);
        assert!(interrupt.is_shorter_than(31) && !interrupt.is_shorter_than(30));
        interrupt.announce_end();
        assert!(interrupt.is_shorter_than(1));
        interrupt.clear();
        assert!(!interrupt.is_shorter_than(usize::MAX), "they were found in the inbox");
    }
}
