//! Texts that no cache contains: the same words, in an order that never repeats.

use std::hash::{BuildHasher, RandomState};

const WORDS: [&str; 64] = [
    "the", "daemon", "reads", "a", "file", "and", "writes", "its", "answer", "to", "socket", "when", "client", "asks",
    "for", "list", "of", "all", "open", "ports", "on", "this", "machine", "system", "keeps", "log", "in", "folder",
    "where", "user", "can", "find", "it", "after", "restart", "network", "memory", "is", "full", "then", "process",
    "waits", "until", "other", "one", "ends", "with", "signal", "from", "kernel", "that", "starts", "new", "thread",
    "by", "name", "value", "key", "each", "line", "has", "two", "parts", "text",
];

/// Generates the texts of one run.
pub struct Words(u64);

impl Words {
    pub fn new() -> Self {
        // The standard library's hasher has new keys in each process. The seed must not be 0, which xorshift never
        // leaves.
        Self(RandomState::new().hash_one("words") | 1)
    }

    /// A text of `n_words` words, in sentences of ten.
    pub fn text(&mut self, n_words: usize) -> String {
        let words: Vec<&str> = (0..n_words).map(|_| self.pick(&WORDS)).collect();
        let sentences: Vec<String> = words.chunks(10).map(|sentence| sentence.join(" ") + ".").collect();
        sentences.join(" ")
    }

    /// A random item of a list, which must not be empty. Marsaglia's xorshift is good enough here.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let n = u64::try_from(list.len()).expect("a list has fewer items than that");
        // The high bits are better; the bias of the remainder is negligible.
        list[usize::try_from((self.0 >> 32) % n).expect("it is less than the length")]
    }
}
