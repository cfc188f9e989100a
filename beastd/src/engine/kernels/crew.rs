//! Best-effort helpers: matrix products under CPU contention.
//!
//! llama.cpp's threads meet at a barrier after every operation, some hundred times per token. A thread that shares its
//! core with a busy program is paused for milliseconds while all others wait. Here one thread, llama.cpp's only one,
//! works through the product from the front, and helpers take pieces from the back whenever they run. A piece that a
//! helper has not finished in time is simply computed again: helpers can only speed things up.
//!
//! A helper may be arbitrarily late, so nothing that it touches may change under it: each product has its own job, with
//! the rounded columns and space for the helpers' results, and a job is reused only when no helper looks at it (a
//! hazard pointer; Michael 2004, <https://doi.org/10.1109/TPDS.2004.8>).

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::avx512::{Activations, Weights};
use super::hook::{Product, To};

/// Most pieces per product: each has a bit in [`Job::done`].
const MOST_PIECES: usize = 32;
/// Fewest rows per piece.
const LEAST_ROWS: usize = 16;
/// A helper that has been idle for this long sleeps; pauses within a token are shorter.
const SPIN: Duration = Duration::from_micros(300);
/// How long to wait for a helper's last piece, as a share of the time for one, before computing it again.
const PATIENCE: f64 = 1.5;
/// No job, or no helper.
const NONE: usize = u8::MAX as usize;

/// Rounds the columns of a product.
type Round = unsafe fn(&Product, &mut Vec<Activations>);
/// Computes rows of a product.
type Compute = unsafe fn(&Product, &[Activations], Range<usize>, To);

/// One product, as helpers see it.
#[derive(Default)]
struct Job {
    /// Written only while no helper looks.
    task: UnsafeCell<Task>,
    /// Pieces finished by helpers, one bit each.
    done: AtomicU64,
}

struct Task {
    product: Product,
    compute: Compute,
    n_pieces: usize,
    rows_of_piece: usize,
    columns: Vec<Activations>,
    /// Results of helpers, column by column.
    results: Vec<UnsafeCell<f32>>,
}

impl Default for Task {
    fn default() -> Self {
        let (columns, results) = (Vec::new(), Vec::new());
        Self { product: Product::NONE, compute: |_, _, _, _| {}, n_pieces: 0, rows_of_piece: 1, columns, results }
    }
}

impl Task {
    fn plan(&mut self, product: &Product, compute: Compute) {
        self.product = *product;
        self.compute = compute;
        let n_pieces = (product.n_rows / LEAST_ROWS).clamp(1, MOST_PIECES);
        self.rows_of_piece = product.n_rows.div_ceil(n_pieces);
        self.n_pieces = product.n_rows.div_ceil(self.rows_of_piece);
        let n_results = product.n_rows * product.n_columns;
        if self.results.len() < n_results {
            self.results.resize_with(n_results, UnsafeCell::default);
        }
    }

    fn rows(&self, piece: usize) -> Range<usize> {
        piece * self.rows_of_piece..((piece + 1) * self.rows_of_piece).min(self.product.n_rows)
    }

    fn results(&self) -> To {
        let column_bytes = self.product.n_rows * size_of::<f32>();
        To { at: UnsafeCell::raw_get(self.results.as_ptr()).cast(), column_bytes }
    }
}

impl Job {
    /// Which of these pieces (and possibly others) are done: all, or those done when patience ends.
    fn wait_for(&self, pieces: Range<usize>, patience: Duration) -> u64 {
        let wanted = pieces.fold(0, |bits, piece| bits | 1_u64 << piece);
        let began = Instant::now();
        loop {
            let done = self.done.load(Ordering::Acquire);
            if done & wanted == wanted || began.elapsed() >= patience {
                return done;
            }
            std::hint::spin_loop();
        }
    }
}

/// Which pieces of which job are free: those from `front` up to `back`. In one word, so that a piece is taken
/// atomically.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ticket {
    generation: u64,
    job: usize,
    front: usize,
    back: usize,
}

impl Ticket {
    /// No work.
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

struct Shared {
    jobs: Box<[Job]>,
    ticket: AtomicU64,
    helpers: Box<[Place]>,
    is_over: AtomicBool,
}

/// State of one helper.
struct Place {
    /// The job that it looks at, which must not change.
    looks_at: AtomicUsize,
    is_asleep: AtomicBool,
    /// The kernel's id of its thread; 0 before it runs.
    tid: AtomicI32,
}

impl Default for Place {
    fn default() -> Self {
        Self { looks_at: AtomicUsize::new(NONE), is_asleep: AtomicBool::new(false), tid: AtomicI32::new(0) }
    }
}

// SAFETY: a job's task is written by the crew's owner alone, while no ticket names the job and no helper looks at it;
// helpers read it, and write results into cells that are theirs by the ticket. The pointers in it are read behind the
// ticket, or in vain.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// The helpers of one inference thread.
pub(super) struct Crew {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// The core that the helpers avoid.
    core: Cell<usize>,
}

thread_local! {
    static CREW: RefCell<Weak<Crew>> = const { RefCell::new(Weak::new()) };
}

/// Keeps this thread's helpers alive. Hold one as long as the weights exist.
pub struct Helpers(Option<Rc<Crew>>);

impl Helpers {
    /// Helpers for the products that llama.cpp computes on this thread alone.
    pub fn of_this_thread(n: usize) -> Self {
        // Each needs a piece, and job numbers are bytes.
        let n = n.min(MOST_PIECES - 1);
        CREW.with_borrow_mut(|current| {
            if n == 0 {
                return Self(None);
            }
            let crew = current.upgrade().filter(|crew| crew.threads.len() == n);
            let crew = crew.unwrap_or_else(|| Rc::new(Crew::new(n)));
            *current = Rc::downgrade(&crew);
            Self(Some(crew))
        })
    }
}

impl Drop for Helpers {
    /// Waits for pieces that helpers have started; afterwards the weights may be freed.
    fn drop(&mut self) {
        if let Some(crew) = &self.0 {
            let is_resting = |helper: &Place| helper.looks_at.load(Ordering::SeqCst) == NONE;
            while !crew.shared.helpers.iter().all(is_resting) {
                thread::yield_now();
            }
        }
    }
}

/// Computes a product with this thread's helpers; false when there are none.
///
/// # Safety
/// As for [`Product::multiply`], on the only thread.
pub(super) unsafe fn multiply<W: Weights>(product: &Product) -> bool {
    let Some(crew) = CREW.with_borrow(Weak::upgrade) else { return false };
    // SAFETY: as promised.
    unsafe { crew.multiply(product, Product::round::<W>, Product::compute::<W>) };
    true
}

impl Crew {
    fn new(n: usize) -> Self {
        let shared = Arc::new(Shared {
            // Each helper may hold one, and one is in use.
            jobs: (0..=n).map(|_| Job::default()).collect(),
            ticket: AtomicU64::new(Ticket::CLOSED.pack()),
            helpers: (0..n).map(|_| Place::default()).collect(),
            is_over: AtomicBool::new(false),
        });
        let start = |this| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("helper {this}")).spawn(move || shared.help(this))
        };
        // If no more threads can be started, those that exist have to do.
        let threads = (0..n).map_while(|this| start(this).ok()).collect();
        Self { shared, threads, core: Cell::new(usize::MAX) }
    }

    /// # Safety
    /// As for `multiply` above; `round` and `compute` are of the same weights.
    unsafe fn multiply(&self, product: &Product, round: Round, compute: Compute) {
        let shared = &*self.shared;
        self.keep_away();
        let generation = Ticket::unpack(shared.ticket.load(Ordering::Relaxed)).generation + 1;
        let nth = shared.free_job();
        let job = &shared.jobs[nth];
        {
            // SAFETY: no ticket names this job, and no helper looks at it: one that starts to look now finds that the ticket is
            // another.
            let task = unsafe { &mut *job.task.get() };
            task.plan(product, compute);
            // SAFETY: as promised by the caller.
            unsafe { round(product, &mut task.columns) };
        }
        job.done.store(0, Ordering::Relaxed);
        // SAFETY: from here on it is only read.
        let task = unsafe { &*job.task.get() };
        shared.publish(Ticket { generation, job: nth, front: 0, back: task.n_pieces }, &self.threads);

        let began = Instant::now();
        let mut n_own = 0;
        while let Some(piece) = shared.take(generation, Ticket::take_front) {
            // SAFETY: as promised; helpers write elsewhere.
            unsafe { compute(product, &task.columns, task.rows(piece), product.to) };
            n_own += 1;
        }
        // Helpers have started the rest.
        let patience = began.elapsed().mul_f64(PATIENCE / n_own.max(1) as f64);
        let done = job.wait_for(n_own..task.n_pieces, patience);
        for piece in n_own..task.n_pieces {
            // SAFETY: as promised; what is done is not written any more.
            unsafe {
                if done >> piece & 1 == 1 {
                    product.copy(task.results(), task.rows(piece));
                } else {
                    compute(product, &task.columns, task.rows(piece), product.to);
                }
            }
        }
        shared.ticket.store(Ticket { generation, ..Ticket::CLOSED }.pack(), Ordering::SeqCst);
    }

    /// Moves the helpers to other cores than this thread's. The kernel balances load, not threads: with a busy program
    /// on one core, it puts all of ours on the other.
    fn keep_away(&self) {
        let core = rustix::thread::sched_getcpu();
        if self.core.get() == core {
            return;
        }
        let Ok(mut cores) = rustix::thread::sched_getaffinity(None) else { return };
        cores.unset(core);
        let send = |helper: &Place| {
            let tid = rustix::thread::Pid::from_raw(helper.tid.load(Ordering::Relaxed));
            tid.is_some_and(|tid| rustix::thread::sched_setaffinity(Some(tid), &cores).is_ok())
        };
        // A helper that is not running yet is moved with the next product.
        if cores.count() == 0 || self.shared.helpers.iter().all(send) {
            self.core.set(core);
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // Nothing to report.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// A job that no helper looks at.
    fn free_job(&self) -> usize {
        let is_free = |job: &usize| self.helpers.iter().all(|helper| helper.looks_at.load(Ordering::SeqCst) != *job);
        (0..self.jobs.len()).find(is_free).expect("there are more jobs than helpers")
    }

    fn publish(&self, ticket: Ticket, threads: &[JoinHandle<()>]) {
        self.ticket.store(ticket.pack(), Ordering::SeqCst);
        for (helper, thread) in self.helpers.iter().zip(threads) {
            if helper.is_asleep.load(Ordering::SeqCst) {
                thread.thread().unpark();
            }
        }
    }

    /// Takes a piece of this generation's job, if any is left.
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

    /// The main loop of a helper.
    fn help(&self, this: usize) {
        let place = &self.helpers[this];
        place.tid.store(rustix::thread::gettid().as_raw_pid(), Ordering::Relaxed);
        let mut since = Instant::now();
        while !self.is_over.load(Ordering::Relaxed) {
            let ticket = Ticket::unpack(self.ticket.load(Ordering::Acquire));
            if ticket.job != NONE && !ticket.is_empty() {
                place.looks_at.store(ticket.job, Ordering::SeqCst);
                self.work(ticket.generation, ticket.job);
                place.looks_at.store(NONE, Ordering::SeqCst);
                since = Instant::now();
            } else if since.elapsed() < SPIN {
                std::hint::spin_loop();
            } else {
                place.is_asleep.store(true, Ordering::SeqCst);
                // A job published later sees the sleeper; one published earlier is seen here.
                let ticket = Ticket::unpack(self.ticket.load(Ordering::SeqCst));
                if ticket.is_empty() && !self.is_over.load(Ordering::SeqCst) {
                    thread::park();
                }
                place.is_asleep.store(false, Ordering::SeqCst);
                since = Instant::now();
            }
        }
    }

    fn work(&self, generation: u64, job: usize) {
        let job = &self.jobs[job];
        // A piece is taken only if the ticket still names this job after `looks_at` was set; from then on the job does
        // not change.
        while let Some(piece) = self.take(generation, Ticket::take_back) {
            // SAFETY: the ticket named this job after this began to look at it, so nothing writes to it; the piece is
            // this helper's alone. The weights outlive the helpers.
            unsafe {
                let task = &*job.task.get();
                (task.compute)(&task.product, &task.columns, task.rows(piece), task.results());
            }
            job.done.fetch_or(1 << piece, Ordering::Release);
        }
    }
}

#[cfg(test)]
#[path = "crew_tests.rs"]
mod tests;
