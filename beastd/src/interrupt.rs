//! Tells a step that is being computed who has come meanwhile. Atomics only: the step asks after each of the model's
//! operations.

use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// Who has come since the worker last looked into its inbox.
#[derive(Debug)]
pub struct Interrupt {
    /// Tokens of the shortest prompt among them.
    shortest: AtomicUsize,
}

/// Nobody has come.
const NOBODY: usize = usize::MAX;

impl Default for Interrupt {
    fn default() -> Self {
        Self { shortest: AtomicUsize::new(NOBODY) }
    }
}

impl Interrupt {
    /// Somebody's prompt of `n_tokens` is in the inbox.
    ///
    /// First the inbox, then this; the worker first `clear`s, then takes what is in the inbox. So whoever it did not
    /// find there is announced after the clearing, to the step that follows. The fences hold both in this order.
    pub fn announce(&self, n_tokens: usize) {
        fence(Ordering::SeqCst);
        self.shortest.fetch_min(n_tokens, Ordering::Relaxed);
    }

    /// A command is in the inbox for which no prompt is short enough to be read to its end first.
    pub fn announce_end(&self) {
        self.announce(0);
    }

    /// The inbox will be looked at now.
    pub fn clear(&self) {
        self.shortest.store(NOBODY, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Whether somebody has come whose prompt is shorter than this.
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
