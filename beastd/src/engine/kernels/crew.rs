//! Best-effort helpers: matrix products under CPU contention.
//!
//! llama.cpp's threads meet at a barrier after every operation, some hundred times per token. A thread that shares its
//! core with a busy program is paused for milliseconds while all others wait. Here one thread, llama.cpp's only one,
//! works through the product from the front, and helpers take pieces from the back whenever they run. A piece that a
//! helper has not finished in time is simply computed again: helpers can only speed things up.
//!
//! A helper may be late by any amount of time, so nothing that it accesses may change meanwhile: each product has its
//! own job, with the rounded columns and space for the helpers' results, and a job is reused only when no helper looks
//! at it (a hazard pointer; Michael 2004, <https://doi.org/10.1109/TPDS.2004.8>). `crew/protocol.rs` has the rules, and
//! the proof that they suffice.

mod protocol;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use beast_kernels::{Product, To, Way};
use protocol::{MOST_HELPERS, MOST_PIECES, Protocol};

/// The protocol's atomics; its test replaces them with loom's.
mod atomics {
    pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}

/// Fewest rows per piece.
const LEAST_ROWS: usize = 16;
/// A helper that has been idle for this long sleeps; pauses within a token are shorter.
const SPIN: Duration = Duration::from_micros(300);
/// How long to wait for a helper's last piece, as a share of the time for one, before computing it again.
const PATIENCE: f64 = 1.5;

/// Rounded columns are kept in lines of the cache, so that they are aligned however they are rounded.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

/// One product, as helpers see it. Written only while no helper looks at it.
struct Task {
    product: Product,
    way: Option<Way>,
    n_pieces: usize,
    rows_of_piece: usize,
    columns: Vec<Line>,
    /// Results of helpers, column by column.
    results: Vec<UnsafeCell<f32>>,
}

impl Default for Task {
    fn default() -> Self {
        let (columns, results) = (Vec::new(), Vec::new());
        Self { product: Product::NONE, way: None, n_pieces: 0, rows_of_piece: 1, columns, results }
    }
}

impl Task {
    fn plan(&mut self, product: &Product, way: &Way) {
        self.product = *product;
        self.way = Some(*way);
        let n_pieces = (product.n_rows / LEAST_ROWS).clamp(1, MOST_PIECES);
        self.rows_of_piece = product.n_rows.div_ceil(n_pieces).next_multiple_of(way.unit);
        self.n_pieces = product.n_rows.div_ceil(self.rows_of_piece);
        let n_results = product.n_rows * product.n_columns;
        if self.results.len() < n_results {
            self.results.resize_with(n_results, UnsafeCell::default);
        }
    }

    /// Rounds all columns.
    ///
    /// # Safety
    /// The columns are valid; the CPU has the instruction set.
    unsafe fn round(&mut self, product: &Product, way: &Way) {
        debug_assert!(way.alignment <= align_of::<Line>());
        let n_lines = way.bytes_of_columns(product).div_ceil(size_of::<Line>());
        if self.columns.len() < n_lines {
            self.columns.resize(n_lines, Line([0; 64]));
        }
        let columns = self.columns.as_mut_ptr().cast();
        for i in 0..product.n_blocks_of_columns() {
            // SAFETY: as promised by the caller; there is room for all blocks.
            unsafe { way.round(product, i, columns) };
        }
    }

    fn columns(&self) -> *const u8 {
        self.columns.as_ptr().cast()
    }

    fn rows(&self, piece: usize) -> Range<usize> {
        piece * self.rows_of_piece..((piece + 1) * self.rows_of_piece).min(self.product.n_rows)
    }

    fn results(&self) -> To {
        let column_bytes = self.product.n_rows * size_of::<f32>();
        To { at: UnsafeCell::raw_get(self.results.as_ptr()).cast(), column_bytes }
    }
}

struct Shared {
    protocol: Protocol,
    /// One for each of the protocol's jobs.
    tasks: Box<[UnsafeCell<Task>]>,
    helpers: Box<[Place]>,
    is_over: AtomicBool,
}

/// State of one helper.
#[derive(Default)]
struct Place {
    is_asleep: AtomicBool,
    /// The kernel's thread id; 0 before the thread runs.
    tid: AtomicI32,
}

// SAFETY: only the crew's owner writes a job's task, while no ticket names the job and no helper looks at it. Helpers
// read it, and follow its pointers, only after they have taken a piece by the ticket, and write results only into that
// piece's cells.
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

/// Keeps a thread's helpers. Each llama.cpp context has one and joins before it computes, so that no helper reads freed
/// weights: a context borrows its model, and dropping this waits for the helpers.
pub struct Helpers(Option<Rc<Crew>>);

impl Helpers {
    /// Helpers for the products that llama.cpp computes on this thread alone.
    pub fn of_this_thread(n: usize) -> Self {
        let n = n.min(MOST_HELPERS);
        CREW.with_borrow_mut(|current| {
            if n == 0 {
                // Contexts that still keep helpers release them with their next step.
                *current = Weak::new();
                return Self(None);
            }
            let crew = current.upgrade().filter(|crew| crew.threads.len() == n);
            let crew = crew.unwrap_or_else(|| Rc::new(Crew::new(n)));
            *current = Rc::downgrade(&crew);
            Self(Some(crew))
        })
    }

    /// No helpers yet.
    pub fn of_nobody() -> Self {
        Self(None)
    }

    /// Switches to the helpers that this thread has now. To be called before each computation.
    pub fn join(&mut self) {
        CREW.with_borrow(|current| {
            let kept = self.0.as_ref().map_or(std::ptr::null(), Rc::as_ptr);
            let is_kept = if kept.is_null() { current.strong_count() == 0 } else { current.as_ptr() == kept };
            if !is_kept {
                *self = Self(current.upgrade());
            }
        });
    }
}

impl Drop for Helpers {
    /// Waits for pieces that helpers have started; afterwards the weights may be freed.
    fn drop(&mut self) {
        if let Some(crew) = &self.0 {
            while !crew.shared.protocol.are_all_resting() {
                thread::yield_now();
            }
        }
    }
}

/// Computes a product with this thread's helpers; false when there are none.
///
/// # Safety
/// As for `multiply` in `products.rs`, if llama.cpp computes on this thread alone.
pub(super) unsafe fn multiply(product: &Product, way: &Way) -> bool {
    let Some(crew) = CREW.with_borrow(Weak::upgrade) else { return false };
    // SAFETY: as promised by the caller.
    unsafe { crew.multiply(product, way) };
    true
}

impl Crew {
    fn new(n: usize) -> Self {
        let shared = Arc::new(Shared {
            protocol: Protocol::new(n),
            tasks: (0..Protocol::n_jobs(n)).map(|_| UnsafeCell::default()).collect(),
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
    /// As for `multiply` above.
    unsafe fn multiply(&self, product: &Product, way: &Way) {
        let shared = &*self.shared;
        self.keep_away();
        let job = shared.protocol.free_job();
        {
            // SAFETY: no helper has a piece of a free job, nor can it take one before the job is published.
            let task = unsafe { &mut *shared.tasks[job].get() };
            task.plan(product, way);
            // SAFETY: as promised by the caller.
            unsafe { task.round(product, way) };
        }
        // SAFETY: from here on it is only read.
        let task = unsafe { &*shared.tasks[job].get() };
        let generation = shared.protocol.publish(job, task.n_pieces);
        self.wake();

        let began = Instant::now();
        let mut n_own = 0;
        while let Some(piece) = shared.protocol.take_front(generation) {
            // SAFETY: as promised by the caller; helpers write elsewhere.
            unsafe { way.compute(product, task.columns(), task.rows(piece), product.to) };
            n_own += 1;
        }
        // Helpers have started the rest.
        let patience = began.elapsed().mul_f64(PATIENCE / n_own.max(1) as f64);
        let done = shared.wait_for(job, n_own..task.n_pieces, patience);
        for piece in n_own..task.n_pieces {
            // SAFETY: as promised by the caller; pieces that are done are not written any more.
            unsafe {
                if done >> piece & 1 == 1 {
                    product.copy(task.results(), task.rows(piece));
                } else {
                    way.compute(product, task.columns(), task.rows(piece), product.to);
                }
            }
        }
        shared.protocol.close(generation);
    }

    /// Wakes sleeping helpers.
    fn wake(&self) {
        for (helper, thread) in self.shared.helpers.iter().zip(&self.threads) {
            if helper.is_asleep.load(Ordering::SeqCst) {
                thread.thread().unpark();
            }
        }
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
    /// Waits until these pieces are done or patience ends. Returns a bit for each piece that is done, others included.
    fn wait_for(&self, job: usize, pieces: Range<usize>, patience: Duration) -> u64 {
        let wanted = pieces.fold(0, |bits, piece| bits | 1_u64 << piece);
        let began = Instant::now();
        loop {
            let done = self.protocol.done(job);
            if done & wanted == wanted || began.elapsed() >= patience {
                return done;
            }
            std::hint::spin_loop();
        }
    }

    /// The main loop of a helper.
    fn help(&self, this: usize) {
        let place = &self.helpers[this];
        place.tid.store(rustix::thread::gettid().as_raw_pid(), Ordering::Relaxed);
        let mut since = Instant::now();
        while !self.is_over.load(Ordering::Relaxed) {
            if let Some((generation, job)) = self.protocol.open() {
                self.protocol.look(this, job);
                self.work(generation, job);
                self.protocol.rest(this);
                since = Instant::now();
            } else if since.elapsed() < SPIN {
                std::hint::spin_loop();
            } else {
                place.is_asleep.store(true, Ordering::SeqCst);
                // The owner of a job published later sees the sleeper; a job published earlier is seen here.
                if self.protocol.open().is_none() && !self.is_over.load(Ordering::SeqCst) {
                    thread::park();
                }
                place.is_asleep.store(false, Ordering::SeqCst);
                since = Instant::now();
            }
        }
    }

    fn work(&self, generation: u64, job: usize) {
        while let Some(piece) = self.protocol.take_back(generation) {
            // SAFETY: a helper that has taken a piece may read its task until it rests, and has sole access to the
            // piece's results. The weights outlive the helpers.
            unsafe {
                let task = &*self.tasks[job].get();
                if let Some(way) = &task.way {
                    way.compute(&task.product, task.columns(), task.rows(piece), task.results());
                }
            }
            self.protocol.end(job, piece);
        }
    }
}

#[cfg(test)]
#[path = "crew_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "crew/protocol_tests.rs"]
mod protocol_tests;
