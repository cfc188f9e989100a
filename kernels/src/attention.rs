//! Attention over a KV cache of f16 or Q8_0, `softmax(queries · keys + mask) · values` for each row and head: what is
//! computed, and in which items, which can be computed in any order. Knows no threads but how many there are.

#[cfg(target_arch = "x86_64")]
mod cells;
#[cfg(target_arch = "x86_64")]
pub(super) mod item;

/// Most numbers of a key or a value.
const MOST_SIZE: usize = Attention::MOST_SIZE;
/// Their numbers are multiples of this.
const SIZE_UNIT: usize = 16;
/// Most queries of an item.
const MOST_QUERIES: usize = 32;
/// Queries whose sums are in registers together.
const QUERIES_AT_ONCE: usize = 4;
/// With up to so many rows, each is an item of its own: they are likely to be of different sequences.
const MOST_SINGLE_ROWS: usize = 16;

/// What a vector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    F32,
    F16,
    /// Blocks of 32 bytes, each after an f16 value that multiplies them.
    Q8,
}

impl Numbers {
    /// How many lie together, and their bytes.
    const fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 => (1, 2),
            Self::Q8 => (32, 34),
        }
    }
}

/// Vectors of a tensor: for each row or cell, one for each head.
#[derive(Clone, Copy)]
pub struct Heads {
    pub numbers: Numbers,
    pub at: *const u8,
    /// Bytes from one row or cell to the next, and from one head to the next.
    pub row_bytes: usize,
    pub head_bytes: usize,
    pub n_heads: usize,
    /// Numbers in a vector.
    pub size: usize,
}

/// What is computed.
#[derive(Clone, Copy)]
pub struct Attention {
    pub n_rows: usize,
    pub n_cells: usize,
    /// How many threads share it.
    pub n_threads: usize,
    /// Floats.
    pub queries: Heads,
    /// No floats.
    pub keys: Heads,
    pub values: Heads,
    /// For each row, f16 values that are added to the products with the cells: minus infinity for those that it does
    /// not attend to. None if null.
    pub mask: *const u8,
    /// Bytes from one row of the mask to the next.
    pub mask_bytes: usize,
    /// Multiplies the products of queries and keys.
    pub scale: f32,
    /// Floats: for each row the heads, one after the other.
    pub to: *mut f32,
}

/// Computes one item.
///
/// # Safety
/// All pointers are valid for the shape, which is supported; nothing else uses the item's places in `to`; the CPU has
/// the instruction set.
pub type Compute = unsafe fn(&Attention, usize);

impl Attention {
    /// Most numbers of a key or a value.
    pub const MOST_SIZE: usize = 256;
    /// Most query heads that share a head of the cache.
    pub const MOST_GROUP: usize = MOST_QUERIES;
    /// llama.cpp shares a row's cells among all threads; one thread here does the work of about this many of those.
    pub const THREADS_OF_ITEM: usize = 4;

    /// Whether its sizes are among those that are computed here.
    pub fn is_supported(&self) -> bool {
        let is_size = |of: &Heads| {
            let unit = SIZE_UNIT.max(of.numbers.block().0);
            (unit..=MOST_SIZE).contains(&of.size) && of.size.is_multiple_of(unit) && of.numbers != Numbers::F32
        };
        let n_kv_heads = self.keys.n_heads;
        n_kv_heads > 0
            && self.values.n_heads == n_kv_heads
            && self.queries.n_heads.is_multiple_of(n_kv_heads)
            && (1..=Self::MOST_GROUP).contains(&self.group())
            && self.queries.size == self.keys.size
            && self.queries.numbers == Numbers::F32
            && is_size(&self.keys)
            && is_size(&self.values)
    }

    /// Whether there are enough items for the threads. Otherwise llama.cpp is faster.
    pub fn is_worthwhile(&self) -> bool {
        Self::THREADS_OF_ITEM * self.n_items() >= self.n_threads
    }

    /// Query heads that share a head of the cache.
    fn group(&self) -> usize {
        self.queries.n_heads / self.keys.n_heads
    }

    fn rows_of_item(&self) -> usize {
        if self.n_rows <= MOST_SINGLE_ROWS { 1 } else { MOST_QUERIES / self.group() }
    }

    /// Heads of the cache in an item. Memory is read fastest in order, and all heads of a cell lie side by side: so as
    /// many as leave each thread the same number of items. One where rows share what is read.
    fn heads_of_item(&self) -> usize {
        let n = self.keys.n_heads;
        let fits = |heads: usize| heads * self.group().next_multiple_of(QUERIES_AT_ONCE) <= MOST_QUERIES;
        let is_fair = |heads: usize| {
            n.is_multiple_of(heads) && (self.n_rows * n / heads).is_multiple_of(self.n_threads) && fits(heads)
        };
        if self.n_rows > MOST_SINGLE_ROWS { 1 } else { (1..=n).rev().find(|heads| is_fair(*heads)).unwrap_or(1) }
    }

    /// Items: some heads of the cache, and one or several rows.
    pub fn n_items(&self) -> usize {
        self.keys.n_heads.div_ceil(self.heads_of_item()) * self.n_rows.div_ceil(self.rows_of_item())
    }
}

#[cfg(test)]
#[path = "attention_tests.rs"]
mod tests;
