//! A matrix product of quantized weights: what is multiplied, in which way, and in which pieces. Knows no threads.

use std::ops::Range;

use super::blocks::{BLOCK, IQ4NL, Q4, Q4K, Q5K, Q6K, Q8, Weights};
#[cfg(target_arch = "aarch64")]
use super::rows::{self, Unpack};
#[cfg(target_arch = "x86_64")]
use super::simd::avx512::Vectors512;
#[cfg(target_arch = "aarch64")]
use super::simd::neon::Vectors128;
use super::tiles::{self, Format, Rows, Tiles};
#[cfg(target_arch = "x86_64")]
use super::tiles::{
    Direct,
    four_rows::{self, FourRows},
};

/// How a product is computed. Rounds all columns first; pieces of rows can then be computed in any order.
#[derive(Clone, Copy)]
pub struct Way {
    /// Bytes of a block of a column once rounded, and their alignment.
    pub block_bytes: usize,
    pub alignment: usize,
    /// Pieces have a multiple of so many rows, except the last.
    pub unit: usize,
    /// Whether reading weights takes longer than computing.
    pub is_read_bound: bool,
    pub round: Round,
    pub compute: Compute,
}

/// As [`Way::round`] and [`Way::compute_before`].
pub type Round = unsafe fn(&Product, usize, *mut u8);
pub type Compute = unsafe fn(&Product, *const u8, Range<usize>, usize, To);

impl Way {
    /// Row by row, for a few columns, rounded as in tiles.
    #[cfg(target_arch = "aarch64")]
    pub(super) fn rows<W: Unpack>() -> Self {
        Self {
            block_bytes: size_of::<W::Column>(),
            alignment: align_of::<W::Column>(),
            unit: 1,
            is_read_bound: true,
            round: round_row::<W>,
            compute: compute_rows::<W>,
        }
    }

    /// For weights of this type and a few columns, rounded as in tiles.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn few_of<I: Direct>(weights: Weights) -> Self {
        match weights {
            Weights::Q4K => Self::few::<I, Q4K>(),
            Weights::Q5K => Self::few::<I, Q5K>(),
            Weights::Q6K => Self::few::<I, Q6K>(),
            Weights::Q8 => Self::few::<I, Q8>(),
            Weights::Q4 => Self::few::<I, Q4>(),
            Weights::IQ4NL => Self::few::<I, IQ4NL>(),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn few<I: Direct, W: Format>() -> Self {
        Self { unit: I::LANES, is_read_bound: true, compute: compute_few::<I, W>, ..Self::tiles::<I, W>() }
    }

    /// Four rows at a time, for columns rounded as in tiles.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn four_rows_of(weights: Weights) -> Option<Self> {
        match weights {
            Weights::Q4K => Some(Self::four_rows::<Q4K>()),
            Weights::Q5K => Some(Self::four_rows::<Q5K>()),
            Weights::Q6K => Some(Self::four_rows::<Q6K>()),
            Weights::Q8 | Weights::Q4 | Weights::IQ4NL => None,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn four_rows<W: FourRows>() -> Self {
        let compute = compute_four_rows::<W>;
        Self { unit: four_rows::ROWS_AT_ONCE, is_read_bound: true, compute, ..Self::tiles::<Vectors512, W>() }
    }

    /// In tiles, for many columns.
    fn tiles<I: Tiles, W: Format>() -> Self {
        Self {
            block_bytes: size_of::<W::Column>(),
            alignment: align_of::<W::Column>(),
            unit: tiles::ROWS,
            is_read_bound: false,
            round: round_tiled::<I, W>,
            compute: compute_tiles::<I, W>,
        }
    }

    /// The same for weights of this type.
    pub(super) fn tiles_of<I: Tiles>(weights: Weights) -> Self {
        match weights {
            Weights::Q4K => Self::tiles::<I, Q4K>(),
            Weights::Q5K => Self::tiles::<I, Q5K>(),
            Weights::Q6K => Self::tiles::<I, Q6K>(),
            Weights::Q8 => Self::tiles::<I, Q8>(),
            Weights::Q4 => Self::tiles::<I, Q4>(),
            Weights::IQ4NL => Self::tiles::<I, IQ4NL>(),
        }
    }

    /// Bytes of all rounded columns.
    pub fn bytes_of_columns(&self, product: &Product) -> usize {
        product.n_blocks_of_columns() * self.block_bytes
    }

    /// Rounds block `i` of all columns, in the order in which rounded blocks lie in memory.
    ///
    /// # Safety
    /// The columns are valid and have such a block; `columns` has room for all of them, is aligned, and nothing else
    /// uses this block's; the CPU has the instruction set.
    #[inline]
    pub unsafe fn round(&self, product: &Product, i: usize, columns: *mut u8) {
        // SAFETY: as promised by the caller.
        unsafe { (self.round)(product, i, columns) };
    }

    /// Computes these rows with all columns, which were rounded in this way.
    ///
    /// # Safety
    /// The weights are valid, and the product has these rows; all blocks of `columns` were rounded; `to` has a place
    /// for each product, and nothing else uses the places of these rows; the CPU has the instruction set.
    #[inline]
    pub unsafe fn compute(&self, product: &Product, columns: *const u8, rows: Range<usize>, to: To) {
        let next = rows.end;
        // SAFETY: as promised by the caller.
        unsafe { (self.compute)(product, columns, rows, next, to) };
    }

    /// The same, and fetches the rows from `next` on into the caches at the end; there need not be any. Otherwise the
    /// first rows of each piece are waited for.
    ///
    /// # Safety
    /// As above.
    #[inline]
    pub unsafe fn compute_before(
        &self,
        next: usize,
        product: &Product,
        columns: *const u8,
        rows: Range<usize>,
        to: To,
    ) {
        // SAFETY: as promised by the caller.
        unsafe { (self.compute)(product, columns, rows, next, to) };
    }
}

/// # Safety
/// As [`Way::round`].
#[cfg(target_arch = "aarch64")]
unsafe fn round_row<W: Unpack>(product: &Product, i: usize, columns: *mut u8) {
    // SAFETY: as promised by the caller.
    unsafe {
        let block = &*product.block(i / product.n_blocks, i % product.n_blocks);
        columns.cast::<W::Column>().add(i).write(<Vectors128<false> as Tiles>::round::<W>(block));
    }
}

/// # Safety
/// As [`Way::round`].
unsafe fn round_tiled<I: Tiles, W: Format>(product: &Product, i: usize, columns: *mut u8) {
    let (block, column) = (i / product.n_columns, i % product.n_columns);
    // SAFETY: as promised by the caller.
    unsafe { columns.cast::<W::Column>().add(i).write(I::round::<W>(&*product.block(column, block))) };
}

/// # Safety
/// As [`Way::compute`].
#[cfg(target_arch = "aarch64")]
unsafe fn compute_rows<W: Unpack>(product: &Product, columns: *const u8, rows: Range<usize>, _next: usize, to: To) {
    // SAFETY: as promised by the caller.
    unsafe {
        let columns = std::slice::from_raw_parts(columns.cast::<W::Column>(), product.n_blocks_of_columns());
        for row in rows {
            let weights = std::slice::from_raw_parts(product.row(row).cast::<W>(), product.n_blocks);
            rows::row(weights, columns, |column, product| *to.place(column, row) = product);
        }
    }
}

/// # Safety
/// As [`Way::compute`].
unsafe fn compute_tiles<I: Tiles, W: Format>(
    product: &Product,
    columns: *const u8,
    rows: Range<usize>,
    next: usize,
    to: To,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let (weights, columns) = product.rows_and_columns::<W>(columns, &rows, next);
        tiles::multiply::<I, W>(weights, columns, |column, row, products| {
            to.store(column, rows.start + row, products);
        });
    }
}

/// # Safety
/// As [`Way::compute`].
#[cfg(target_arch = "x86_64")]
unsafe fn compute_few<I: Direct, W: Format>(
    product: &Product,
    columns: *const u8,
    rows: Range<usize>,
    next: usize,
    to: To,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let (weights, columns) = product.rows_and_columns::<W>(columns, &rows, next);
        I::multiply_few::<W>(weights, columns, |column, row, products| to.store(column, rows.start + row, products));
    }
}

/// # Safety
/// As [`Way::compute`].
#[cfg(target_arch = "x86_64")]
unsafe fn compute_four_rows<W: FourRows>(
    product: &Product,
    columns: *const u8,
    rows: Range<usize>,
    next: usize,
    to: To,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let (weights, columns) = product.rows_and_columns::<W>(columns, &rows, next);
        four_rows::multiply::<W>(weights, columns, |column, row, products| {
            to.store(column, rows.start + row, products);
        });
    }
}

/// `n_rows` rows of weights times `n_columns` columns, of `n_blocks` blocks each.
#[derive(Clone, Copy)]
pub struct Product {
    pub n_rows: usize,
    pub n_columns: usize,
    pub n_blocks: usize,
    pub weights: *const u8,
    /// Bytes from one row of weights to the next; `column_bytes` from one column to the next.
    pub row_bytes: usize,
    pub columns: *const u8,
    pub column_bytes: usize,
    pub to: To,
}

/// Destination: the product of a row and a column is a float at `at + column * column_bytes + row * 4`.
#[derive(Clone, Copy)]
pub struct To {
    pub at: *mut u8,
    pub column_bytes: usize,
}

impl To {
    /// # Safety
    /// The destination has this row and column.
    unsafe fn place(self, column: usize, row: usize) -> *mut f32 {
        // SAFETY: as promised by the caller.
        unsafe { self.at.add(column * self.column_bytes).cast::<f32>().add(row) }
    }

    /// Stores the products of a column with the rows from `row` on.
    ///
    /// # Safety
    /// As above, with all these rows.
    unsafe fn store(self, column: usize, row: usize, products: &[f32]) {
        // SAFETY: as promised by the caller.
        unsafe { self.place(column, row).copy_from_nonoverlapping(products.as_ptr(), products.len()) };
    }
}

impl Product {
    pub const NONE: Self = Self {
        n_rows: 0,
        n_columns: 0,
        n_blocks: 0,
        weights: std::ptr::null(),
        row_bytes: 0,
        columns: std::ptr::null(),
        column_bytes: 0,
        to: To { at: std::ptr::null_mut(), column_bytes: 0 },
    };

    /// Contiguous rows and columns.
    pub fn of_parts(weights: &[u8], row_bytes: usize, columns: &[f32], n_blocks: usize, to: To) -> Self {
        Self {
            n_rows: weights.len() / row_bytes,
            n_columns: columns.len() / (n_blocks * BLOCK),
            n_blocks,
            weights: weights.as_ptr(),
            row_bytes,
            columns: columns.as_ptr().cast(),
            column_bytes: n_blocks * BLOCK * size_of::<f32>(),
            to,
        }
    }

    #[inline]
    pub fn n_blocks_of_columns(&self) -> usize {
        self.n_columns * self.n_blocks
    }

    /// These rows, and all columns as they were rounded for them.
    ///
    /// # Safety
    /// As [`Way::compute`].
    unsafe fn rows_and_columns<'a, W: Format>(
        &self,
        columns: *const u8,
        rows: &Range<usize>,
        next: usize,
    ) -> (Rows, &'a [W::Column]) {
        // SAFETY: as promised by the caller.
        unsafe {
            let columns = std::slice::from_raw_parts(columns.cast::<W::Column>(), self.n_blocks_of_columns());
            let at = self.row(rows.start);
            let next = self.weights.wrapping_add(next * self.row_bytes);
            (Rows { at, next, row_bytes: self.row_bytes, n_rows: rows.len(), n_blocks: self.n_blocks }, columns)
        }
    }

    /// # Safety
    /// The weights are valid and have such a row.
    unsafe fn row(&self, row: usize) -> *const u8 {
        // SAFETY: as promised by the caller.
        unsafe { self.weights.add(row * self.row_bytes) }
    }

    /// Activations of a block of a column.
    ///
    /// # Safety
    /// The columns are valid and have such a block.
    unsafe fn block(&self, column: usize, block: usize) -> *const [f32; BLOCK] {
        // SAFETY: as promised by the caller.
        unsafe { self.columns.add(column * self.column_bytes).cast::<[f32; BLOCK]>().add(block) }
    }

    /// Copies the results of these rows from a helper's buffer.
    ///
    /// # Safety
    /// They are complete, and nothing writes them any more.
    #[inline]
    pub unsafe fn copy(&self, from: To, rows: Range<usize>) {
        for column in 0..self.n_columns {
            // SAFETY: as promised by the caller; the two buffers are different.
            unsafe {
                let (from, to) = (from.place(column, rows.start), self.to.place(column, rows.start));
                std::ptr::copy_nonoverlapping(from, to, rows.len());
            }
        }
    }
}

/// The rows of one product, shared by the threads: each starts with a long piece of its own, and threads that finish
/// early take short pieces of the rest, so that a thread without a core delays little. Long, because memory reads are
/// fastest in one go: two threads read the 2.6B's 1.56 GB in 41 ms in halves and in 45 in pieces of 128 rows. The rest
/// is taken in shares of what is left (guided self-scheduling; Polychronopoulos and Kuck 1987,
/// <https://doi.org/10.1109/TC.1987.5009495>). What computes longer than it reads has the shortest pieces instead.
pub struct Shares {
    n_rows: usize,
    n_threads: usize,
    /// Rows of the shortest piece, in which the others are counted.
    unit: usize,
    n_units: usize,
    /// Units of a long piece.
    long: usize,
    is_read_bound: bool,
}

impl Shares {
    /// All pieces but the last have a multiple of `unit` rows.
    pub fn new(n_rows: usize, n_threads: usize, unit: usize, is_read_bound: bool) -> Self {
        let n_units = n_rows.div_ceil(unit);
        let share = n_units.div_ceil(n_threads);
        let rest = if n_threads > 1 { share / 4 } else { 0 };
        Self { n_rows, n_threads, unit, n_units, long: share - rest, is_read_bound }
    }

    /// Piece `i`; empty from the first unneeded one on. The first `n_threads` are the long ones.
    #[inline]
    pub fn piece(&self, i: usize) -> Range<usize> {
        let (from, n) = match i.checked_sub(self.n_threads) {
            None => (i * self.long, self.long),
            Some(i) if self.is_read_bound => self.guided(i),
            Some(i) => (self.n_threads * self.long + i, 1),
        };
        (from * self.unit).min(self.n_rows)..((from + n) * self.unit).min(self.n_rows)
    }

    /// Computes the pieces of thread `this` with `compute`, which gets the rows, and where the thread's next ones
    /// begin: a piece is taken early, so that it is fetched while the one before is computed. `take` returns
    /// `n_threads`, and then one more each time that any thread calls it.
    #[inline]
    pub fn compute(&self, this: usize, take: impl Fn() -> usize, compute: impl Fn(Range<usize>, usize)) {
        let (mut i, mut piece) = (this, self.piece(this));
        // With few rows, a thread's own piece may be empty though short ones are left. After an empty short one there
        // are none.
        while !piece.is_empty() || i < self.n_threads {
            i = take();
            let next = self.piece(i);
            if !piece.is_empty() {
                compute(piece, next.start);
            }
            piece = next;
        }
    }

    /// Begin and length of short piece `i`: half of an equal share of what is left.
    fn guided(&self, i: usize) -> (usize, usize) {
        let length = |n_left: usize| n_left.div_ceil(2 * self.n_threads);
        let n_left = self.n_units.saturating_sub(self.n_threads * self.long);
        let n_left = (0..i).fold(n_left, |n_left, _| n_left - length(n_left));
        (self.n_units - n_left, length(n_left))
    }
}
