//! Tells the current step that new requests have arrived. Uses only atomics, because the step checks after each of
//! the model's operations.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// Arrivals since the worker last read its inbox.
#[derive(Debug)]
pub struct Interrupt {
    /// Tokens of the shortest prompt among them.
    shortest: AtomicUsize,
}

/// No request has arrived.
const NOBODY: usize = usize::MAX;

impl Default for Interrupt {
    fn default() -> Self {
        Self { shortest: AtomicUsize::new(NOBODY) }
    }
}

impl Interrupt {
    /// Announces a request with a prompt of `n_tokens`.
    ///
    /// Callers put the request into the inbox before calling this, and the worker calls `clear` before draining the
    /// inbox. So if the worker misses a request in the inbox, its announcement comes after `clear` and reaches the
    /// next step. The fences keep both pairs in this order.
    pub fn announce(&self, n_tokens: usize) {
        fence(Ordering::SeqCst);
        self.shortest.fetch_min(n_tokens, Ordering::Relaxed);
    }

    /// Announces a command that should not wait for any prefill.
    pub fn announce_end(&self) {
        self.announce(0);
    }

    /// Forgets all arrivals; call before draining the inbox.
    pub fn clear(&self) {
        self.shortest.store(NOBODY, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Whether a request with a prompt shorter than this has arrived.
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
