//! Texts that no cache can know: the same words, in an order that never comes again.

use std::hash::{BuildHasher, RandomState};

const WORDS: [&str; 64] = [
    "the", "daemon", "reads", "a", "file", "and", "writes", "its", "answer", "to", "socket", "when", "client", "asks",
    "for", "list", "of", "all", "open", "ports", "on", "this", "machine", "system", "keeps", "log", "in", "folder",
    "where", "user", "can", "find", "it", "after", "restart", "network", "memory", "is", "full", "then", "process",
    "waits", "until", "other", "one", "ends", "with", "signal", "from", "kernel", "that", "starts", "new", "thread",
    "by", "name", "value", "key", "each", "line", "has", "two", "parts", "text",
];

/// Makes the texts of one run.
pub struct Words(u64);

impl Words {
    pub fn new() -> Self {
        // The standard library's hasher is keyed anew in each process; zero would never leave zero.
        Self(RandomState::new().hash_one("words") | 1)
    }

    /// A text of so many words, in sentences of ten.
    pub fn text(&mut self, n_words: usize) -> String {
        let words: Vec<&str> = (0..n_words).map(|_| self.pick(&WORDS)).collect();
        let sentences: Vec<String> = words.chunks(10).map(|sentence| sentence.join(" ") + ".").collect();
        sentences.join(" ")
    }

    /// One of a list, which is not empty. Marsaglia's xorshift: nothing here needs better.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let n = u64::try_from(list.len()).expect("a list has fewer items than that");
        // The high bits are the better ones; the remainder favours the first items by nothing that matters here.
        list[usize::try_from((self.0 >> 32) % n).expect("it is less than the length")]
    }
}
