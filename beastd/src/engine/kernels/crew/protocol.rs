//! Decides which thread computes which piece, and when a job may be reused. Knows no products, no clock and no threads.
//!
//! For each product, the crew's owner calls `free_job`, writes that job's task, and calls `publish`, `take_front` until
//! nothing is left, `done` and `close`. A helper calls `open`, `look`, `take_back` until nothing is left, with an `end`
//! for each piece, and `rest`. It may be paused anywhere and for any time.
//!
//! # Why that is safe
//!
//! 1. *A piece is taken once.* Each `publish` has its own generation, within which `front` only grows and `back` only
//!    shrinks, and each take exchanges the whole word. (Generations repeat after 2^40 products, which take years; a
//!    helper would have to be paused for exactly that long, between two instructions.)
//! 2. *A thread that has taken a piece may read the task.* A take reads the value that `publish` stored, or one that
//!    other takes made of it: takes are read-modify-writes and continue the release sequence of `publish`. What the
//!    owner wrote before `publish` happens before the take.
//! 3. *The task does not change until the helper rests.* The owner writes it again only after its last `take_front`,
//!    which found the ticket empty, and after a `free_job` that found no helper looking at the job. That `take_front`
//!    acquired the last of all takes of the generation, and with it each one before. So the `look` of every helper that
//!    took a piece happens before `free_job`, which sees either this `look`, and then the job is not free, or a later
//!    store by that helper. Such a store is its `rest` or follows it, and `rest` releases everything that the helper
//!    has done. A later take fails: an exchange reads the newest value of the ticket, which is closed or of another
//!    generation.
//! 4. *A result that is used is complete.* `end` releases it and `done` acquires it. The owner computes a piece without
//!    its bit again, into another buffer. By 3, no helper has a piece of the job when `publish` resets the bits.
//! 5. *Weights may be freed when all helpers rest.* The owner checks between two products, when the ticket is closed:
//!    no helper can take another piece, and by 3 the owner sees every helper that has one.
//!
//! None of this needs `SeqCst`. Falling asleep does, in `crew.rs`: the owner stores the ticket, then loads who sleeps;
//! a helper stores that it sleeps, then loads the ticket. `protocol_tests.rs` has loom try the orders in which all this
//! can happen, and the stale values that loads may return.

use super::atomics::{AtomicU64, AtomicUsize, Ordering};

/// Most pieces of a product: each has a bit in `done`.
pub(super) const MOST_PIECES: usize = 32;
/// Most helpers. Job numbers are bytes, one of which is [`NONE`].
pub(super) const MOST_HELPERS: usize = MOST_PIECES - 1;

/// No job.
const NONE: usize = u8::MAX as usize;

/// The pieces of a job that are not taken yet: from `front` up to, but not including, `back`. In one word, so that a
/// piece is taken atomically.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ticket {
    generation: u64,
    job: usize,
    front: usize,
    back: usize,
}

impl Ticket {
    const CLOSED: Self = Self { generation: 0, job: NONE, front: 0, back: 0 };

    fn pack(self) -> u64 {
        self.generation << 24 | (self.job << 16 | self.back << 8 | self.front) as u64
    }

    fn unpack(bits: u64) -> Self {
        let byte = |shift: u32| usize::from((bits >> shift) as u8);
        Self { generation: bits >> 24, job: byte(16), back: byte(8), front: byte(0) }
    }

    fn is_empty(self) -> bool {
        self.front >= self.back
    }

    fn take_front(&mut self) -> usize {
        self.front += 1;
        self.front - 1
    }

    fn take_back(&mut self) -> usize {
        self.back -= 1;
        self.back
    }
}

/// What a crew's owner and its helpers share besides the tasks.
pub(super) struct Protocol {
    ticket: AtomicU64,
    /// The job that each helper looks at (a hazard pointer).
    looks_at: Box<[AtomicUsize]>,
    /// For each job, a bit for each piece that a helper has finished.
    done: Box<[AtomicU64]>,
}

impl Protocol {
    pub(super) fn new(n_helpers: usize) -> Self {
        assert!(n_helpers <= MOST_HELPERS, "each helper may hold a job up");
        Self {
            ticket: AtomicU64::new(Ticket::CLOSED.pack()),
            looks_at: (0..n_helpers).map(|_| AtomicUsize::new(NONE)).collect(),
            done: (0..Self::n_jobs(n_helpers)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Each helper may hold one job, and the owner uses one more.
    pub(super) fn n_jobs(n_helpers: usize) -> usize {
        n_helpers + 1
    }

    /// Owner: a job that no helper looks at. Its task may be written until it is published.
    pub(super) fn free_job(&self) -> usize {
        let is_free = |job: &usize| self.looks_at.iter().all(|at| at.load(Ordering::SeqCst) != *job);
        (0..self.done.len()).find(is_free).expect("there are more jobs than helpers")
    }

    /// Owner: offers the pieces of a job; returns the generation, which every take must name.
    pub(super) fn publish(&self, job: usize, n_pieces: usize) -> u64 {
        self.done[job].store(0, Ordering::Relaxed);
        // Only the owner changes the generation.
        let generation = Ticket::unpack(self.ticket.load(Ordering::Relaxed)).generation + 1;
        self.ticket.store(Ticket { generation, job, front: 0, back: n_pieces }.pack(), Ordering::SeqCst);
        generation
    }

    /// Owner: takes a piece.
    pub(super) fn take_front(&self, generation: u64) -> Option<usize> {
        self.take(generation, Ticket::take_front)
    }

    /// Helper: takes a piece, after `look`.
    pub(super) fn take_back(&self, generation: u64) -> Option<usize> {
        self.take(generation, Ticket::take_back)
    }

    fn take(&self, generation: u64, which: impl Fn(&mut Ticket) -> usize) -> Option<usize> {
        let mut bits = self.ticket.load(Ordering::Acquire);
        loop {
            let mut ticket = Ticket::unpack(bits);
            if ticket.generation != generation || ticket.job == NONE || ticket.is_empty() {
                return None;
            }
            let piece = which(&mut ticket);
            match self.ticket.compare_exchange_weak(bits, ticket.pack(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(piece),
                Err(now) => bits = now,
            }
        }
    }

    /// Owner: a bit for each piece of a job that a helper has finished.
    pub(super) fn done(&self, job: usize) -> u64 {
        self.done[job].load(Ordering::Acquire)
    }

    /// Owner: the product is complete.
    pub(super) fn close(&self, generation: u64) {
        self.ticket.store(Ticket { generation, ..Ticket::CLOSED }.pack(), Ordering::SeqCst);
    }

    /// Helper: generation and job, if there is something to do.
    pub(super) fn open(&self) -> Option<(u64, usize)> {
        let ticket = Ticket::unpack(self.ticket.load(Ordering::SeqCst));
        (ticket.job != NONE && !ticket.is_empty()).then_some((ticket.generation, ticket.job))
    }

    /// Helper: if the next take succeeds, the job does not change from here on.
    pub(super) fn look(&self, this: usize, job: usize) {
        self.looks_at[this].store(job, Ordering::SeqCst);
    }

    /// Helper: a piece is computed.
    pub(super) fn end(&self, job: usize, piece: usize) {
        self.done[job].fetch_or(1 << piece, Ordering::Release);
    }

    /// Helper: it accesses nothing of the job any more.
    pub(super) fn rest(&self, this: usize) {
        self.looks_at[this].store(NONE, Ordering::SeqCst);
    }

    /// Owner, between two products: whether no helper accesses anything.
    pub(super) fn are_all_resting(&self) -> bool {
        self.looks_at.iter().all(|at| at.load(Ordering::SeqCst) == NONE)
    }
}
