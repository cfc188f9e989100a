//! The protocol under loom: every order of steps with a bounded number of preemptions, and the stale values that loads
//! may return. Tasks, results and weights are loom's cells, so that loom finds conflicting accesses.
//!
//! protocol.rs is compiled again here, with loom's atomics.
#![allow(clippy::duplicate_mod, reason = "on purpose, see above")]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

mod atomics {
    pub(super) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
}

#[path = "protocol.rs"]
mod protocol;

use protocol::Protocol;

const N_PIECES: usize = 2;

/// Stands for `crew.rs` around the protocol.
struct Shared {
    protocol: Protocol,
    /// For each job, the number of its product, and a result for each piece.
    tasks: Vec<UnsafeCell<usize>>,
    results: Vec<[UnsafeCell<usize>; N_PIECES]>,
    weights: UnsafeCell<usize>,
}

/// The value of a piece of a product.
fn value(product: usize, piece: usize) -> usize {
    100 + 10 * product + piece
}

impl Shared {
    fn new(n_helpers: usize) -> Self {
        let jobs = || 0..Protocol::n_jobs(n_helpers);
        Self {
            protocol: Protocol::new(n_helpers),
            tasks: jobs().map(|_| UnsafeCell::new(0)).collect(),
            results: jobs().map(|_| std::array::from_fn(|_| UnsafeCell::new(0))).collect(),
            weights: UnsafeCell::new(100),
        }
    }

    /// As `Crew::multiply`, with no patience.
    fn multiply(&self, product: usize) {
        let job = self.protocol.free_job();
        // SAFETY: loom checks all accesses to its cells.
        self.tasks[job].with_mut(|task| unsafe { *task = product });
        let generation = self.protocol.publish(job, N_PIECES);
        let mut products = [0; N_PIECES];
        let mut n_own = 0;
        while let Some(piece) = self.protocol.take_front(generation) {
            assert_eq!(piece, n_own, "from the front, one after the other");
            products[piece] = self.compute(job, piece);
            n_own += 1;
        }
        let done = self.protocol.done(job);
        for (piece, product) in products.iter_mut().enumerate().skip(n_own) {
            *product = match done >> piece & 1 {
                // SAFETY: as above.
                1 => self.results[job][piece].with(|result| unsafe { *result }),
                _ => self.compute(job, piece),
            };
        }
        self.protocol.close(generation);
        assert_eq!(products, std::array::from_fn(|piece| value(product, piece)));
    }

    fn compute(&self, job: usize, piece: usize) -> usize {
        // SAFETY: loom checks all accesses to its cells.
        let (product, weights) = unsafe { (self.tasks[job].with(|task| *task), self.weights.with(|weights| *weights)) };
        weights + 10 * product + piece
    }

    /// Like a helper's main loop, but ends after `n_looks` rounds.
    fn help(&self, this: usize, n_looks: usize) {
        for _ in 0..n_looks {
            let Some((generation, job)) = self.protocol.open() else {
                thread::yield_now();
                continue;
            };
            self.protocol.look(this, job);
            while let Some(piece) = self.protocol.take_back(generation) {
                let result = self.compute(job, piece);
                // SAFETY: as above.
                self.results[job][piece].with_mut(|to| unsafe { *to = result });
                self.protocol.end(job, piece);
            }
            self.protocol.rest(this);
        }
    }
}

fn check(n_helpers: usize, n_products: usize, n_looks: usize, n_preemptions: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(n_preemptions);
    model.check(move || {
        let shared = Arc::new(Shared::new(n_helpers));
        let start = |this| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.help(this, n_looks))
        };
        let helpers: Vec<_> = (0..n_helpers).map(start).collect();
        for product in 0..n_products {
            shared.multiply(product);
        }
        // Like `Helpers::drop`: afterwards the weights are freed, while helpers may still look for work.
        while !shared.protocol.are_all_resting() {
            thread::yield_now();
        }
        // SAFETY: loom checks all accesses to its cells.
        shared.weights.with_mut(|weights| unsafe { *weights = 0 });
        helpers.into_iter().for_each(|helper| helper.join().expect("it has not panicked"));
    });
}

#[test]
fn a_late_helper_meets_no_job_that_is_used_again() {
    check(1, 3, 2, 3);
}

#[test]
fn two_helpers_take_no_piece_twice() {
    check(2, 2, 1, 2);
}

#[test]
fn a_piece_of_another_product_is_not_taken() {
    loom::model(|| {
        let protocol = Protocol::new(1);
        let first = protocol.publish(0, N_PIECES);
        assert_eq!((protocol.open(), protocol.take_back(first)), (Some((first, 0)), Some(1)));
        protocol.close(first);
        assert_eq!((protocol.open(), protocol.take_back(first)), (None, None));
        let second = protocol.publish(1, N_PIECES);
        assert_eq!((protocol.open(), protocol.take_back(first)), (Some((second, 1)), None));
        assert_eq!([(); 3].map(|()| protocol.take_front(second)), [Some(0), Some(1), None]);
        assert_eq!(protocol.open(), None, "nothing is left");
    });
}
