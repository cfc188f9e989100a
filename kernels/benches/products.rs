//! How fast the products of a token read weights, beside a loop that only reads them: the matrices of LFM2-2.6B one
//! after the other, with threads and barriers as in beastd, and no llama.cpp.
//!
//! Prints GB/s of weights, medians of rounds in which all took turns, and their share of the loop's speed.
#![allow(unsafe_code, clippy::print_stderr)]

use std::alloc::{Layout, alloc};
use std::hint::{black_box, spin_loop};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use beast_kernels::{BLOCK, InstructionSet, Product, Shares, To, Way, Weights};

/// Rows and blocks of a row. More than any cache holds, together.
const LAYER: [(usize, usize); 5] = [(6144, 8), (2048, 8), (10752, 8), (10752, 8), (2048, 42)];
const N_LAYERS: usize = 12;

/// How fast the products of a token read weights, beside a loop that only reads them.
#[derive(Parser)]
#[command(override_usage = "make bench-kernels ARGS=\"[OPTIONS]\"")]
struct Args {
    /// Threads that compute, as many as there are CPUs at most
    #[arg(long, default_value_t = n_cpus().min(2), value_parser = |text: &str| count(text, n_cpus()))]
    threads: usize,
    /// Rounds in which all take turns; medians are printed
    #[arg(long, default_value = "9", value_parser = |text: &str| count(text, 1000))]
    rounds: usize,
    /// Instruction sets [default: all that this CPU has]
    #[arg(long, value_delimiter = ',', ignore_case = true, value_parser = sets())]
    sets: Vec<InstructionSet>,
    /// Formats of weights
    #[arg(long, value_delimiter = ',', default_value = "Q4_K,Q6_K", ignore_case = true, value_parser = formats())]
    weights: Vec<Weights>,
    /// Numbers of columns that weights are multiplied with
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16", value_parser = |text: &str| count(text, 1024))]
    columns: Vec<usize>,
    /// Added by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn n_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn count(text: &str, most: usize) -> Result<usize, String> {
    let n = text.parse().ok().filter(|n| (1..=most).contains(n));
    n.ok_or_else(|| format!("expected a number from 1 to {most}"))
}

fn sets() -> impl TypedValueParser<Value = InstructionSet> {
    one_of(InstructionSet::ALL.iter().filter(|set| set.is_supported()).map(|set| (set.name(), *set)).collect())
}

fn formats() -> impl TypedValueParser<Value = Weights> {
    one_of(Weights::ALL.map(|weights| (weights.name(), weights)).to_vec())
}

fn one_of<T: Copy + Send + Sync + 'static>(all: Vec<(&'static str, T)>) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(|(name, _)| *name)).map(move |given| {
        let (_, value) = all.iter().find(|(name, _)| name.eq_ignore_ascii_case(&given)).expect("one of them");
        *value
    })
}

fn main() {
    let Args { threads, rounds, sets, weights, columns, bench: _ } = Args::parse();
    let is_wanted = |set: &InstructionSet| set.is_supported() && (sets.is_empty() || sets.contains(set));
    let sets: Vec<InstructionSet> = InstructionSet::ALL.iter().copied().filter(is_wanted).collect();
    for weights in weights {
        let format = weights.name();
        let token = Token::new(weights.block_bytes(), columns.iter().copied().max().unwrap_or(1));
        let mut runs: Vec<(String, Run)> = vec![("read".into(), Run::Read)];
        for set in &sets {
            for &n in &columns {
                match beast_kernels::way(*set, weights, n) {
                    Some(way) => runs.push((format!("{:<7} {n:>4}", set.name()), Run::Multiply(way, n))),
                    None => {
                        eprintln!("{}: no kernel for {format}", set.name());
                        break;
                    }
                }
            }
        }
        let mut times = vec![Vec::new(); runs.len()];
        for _ in 0..rounds {
            for ((_, run), times) in runs.iter().zip(&mut times) {
                times.push(token.time(run, threads));
            }
        }
        let speeds: Vec<f64> = times.iter_mut().map(|times| token.bytes.len() as f64 / median(times) / 1e9).collect();
        let mut lines = format!("{format}, {threads} threads, {:.2} GB of weights\n", token.bytes.len() as f64 / 1e9);
        for ((name, _), speed) in runs.iter().zip(&speeds) {
            lines += &format!("{name:<12} {speed:6.2} GB/s  {:.2} of reading\n", speed / speeds[0]);
        }
        // The median is the middle one of those that are now in order.
        if times[0].first().is_some_and(|least| times[0][rounds / 2] > 1.2 * least) {
            lines +=
                "reading took longer in most rounds than in one: something else runs; repeat it on an idle machine\n";
        }
        // Whoever reads the output may have seen enough.
        if std::io::stdout().write_all(lines.as_bytes()).is_err() {
            return;
        }
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

enum Run {
    Read,
    Multiply(Way, usize),
}

/// The weights of a token's products, and room for what they are multiplied with.
struct Token {
    bytes: &'static mut [u8],
    block_bytes: usize,
    columns: Vec<f32>,
}

impl Token {
    fn new(block_bytes: usize, most_columns: usize) -> Self {
        let n_blocks: usize = LAYER.iter().map(|(n_rows, n_blocks)| n_rows * n_blocks).sum();
        let bytes = in_large_pages(n_blocks * N_LAYERS * block_bytes);
        let mut random = 1_u64;
        for eight in bytes.chunks_exact_mut(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Without a number that is infinite, none, or denormal wherever f16 scales lie: exponents of 8 to 15.
            eight.copy_from_slice(&((random & 0x9fff_9fff_9fff_9fff) | 0x2000_2000_2000_2000).to_le_bytes());
        }
        let widest = LAYER.iter().map(|(_, n_blocks)| n_blocks * BLOCK).max().unwrap_or(0);
        let columns = (0..widest * most_columns).map(|i| (i % 255) as f32 / 64.0 - 2.0).collect();
        Self { bytes, block_bytes, columns }
    }

    /// Seconds of a token.
    fn time(&self, run: &Run, n_threads: usize) -> f64 {
        match run {
            Run::Read => self.time_reading(n_threads),
            Run::Multiply(way, n) => self.time_products(way, *n, n_threads),
        }
    }

    fn time_reading(&self, n_threads: usize) -> f64 {
        in_threads(n_threads, |this, barrier| {
            barrier.wait();
            let begun = Instant::now();
            let share = self.bytes.len() / n_threads / 512 * 512;
            black_box(read(&self.bytes[this * share..(this + 1) * share]));
            barrier.wait();
            begun.elapsed().as_secs_f64()
        })
    }

    fn time_products(&self, way: &Way, n_columns: usize, n_threads: usize) -> f64 {
        let products = self.products(n_columns);
        let n_rounded = products.iter().map(|product| way.bytes_of_columns(product)).max().unwrap_or(0);
        let mut rounded = vec![0_u64; n_rounded / 8 + 64];
        let rounded = rounded.as_mut_ptr().cast::<u8>();
        let rounded = Shared(rounded.wrapping_add(rounded.align_offset(way.alignment)));
        let products = Shared(&raw const products);
        let taken = AtomicUsize::new(0);
        in_threads(n_threads, |this, barrier| {
            // SAFETY: they outlive the threads, which only read them.
            let products = unsafe { &*products.get() };
            barrier.wait();
            let begun = Instant::now();
            for product in products {
                let n_blocks = product.n_blocks_of_columns();
                // SAFETY: the columns are valid, there is room, and threads round different blocks.
                let round = |i| unsafe { way.round(product, i, rounded.get()) };
                let to = product.to;
                // SAFETY: the weights are valid, all blocks were rounded, and threads take different rows.
                let compute = |rows, next| unsafe { way.compute_before(next, product, rounded.get(), rows, to) };
                (n_blocks * this / n_threads..n_blocks * (this + 1) / n_threads).for_each(round);
                if this == 0 {
                    taken.store(n_threads, Ordering::Relaxed);
                }
                barrier.wait();
                let shares = Shares::new(product.n_rows, n_threads, way.unit, way.is_read_bound);
                shares.compute(this, || taken.fetch_add(1, Ordering::Relaxed), compute);
                barrier.wait();
            }
            begun.elapsed().as_secs_f64()
        })
    }

    /// Their results lie one over the other, in memory that is never freed.
    fn products(&self, n_columns: usize) -> Vec<Product> {
        let most_rows = LAYER.iter().map(|(n_rows, _)| *n_rows).max().unwrap_or(0);
        let results = Box::leak(vec![0.0_f32; most_rows * n_columns].into_boxed_slice());
        let to = To { at: results.as_mut_ptr().cast(), column_bytes: most_rows * size_of::<f32>() };
        let mut rest: &[u8] = self.bytes;
        let mut products = Vec::new();
        for (n_rows, n_blocks) in LAYER.repeat(N_LAYERS) {
            let row_bytes = n_blocks * self.block_bytes;
            let (weights, after) = rest.split_at(n_rows * row_bytes);
            let columns = &self.columns[..n_columns * n_blocks * BLOCK];
            products.push(Product::of_parts(weights, row_bytes, columns, n_blocks, to));
            rest = after;
        }
        products
    }
}

/// Adds all numbers of a part of memory.
fn read(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn read_with_avx2(bytes: &[u8]) -> u64 {
            add(bytes)
        }
        // SAFETY: it was just detected.
        return unsafe { read_with_avx2(bytes) };
    }
    add(bytes)
}

/// In independent sums.
#[inline(always)]
fn add(bytes: &[u8]) -> u64 {
    let mut sums = [0_u64; 64];
    for line in bytes.chunks_exact(512) {
        for (sum, eight) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*eight));
        }
    }
    sums.iter().fold(0, |sum, part| sum.wrapping_add(*part))
}

/// Memory for the rest of the program, in 2 MiB pages where the system has them.
fn in_large_pages(n: usize) -> &'static mut [u8] {
    let layout = Layout::from_size_align(n, 2 << 20).expect("a layout");
    // SAFETY: `n` is not zero; all bytes are written before they are a slice.
    unsafe {
        let at = alloc(layout);
        assert!(!at.is_null(), "no memory");
        // A system without large pages is measured as it is.
        #[cfg(target_os = "linux")]
        let _ = rustix::mm::madvise(at.cast(), n, rustix::mm::Advice::LinuxHugepage);
        at.write_bytes(0, n);
        std::slice::from_raw_parts_mut(at, n)
    }
}

#[derive(Clone, Copy)]
struct Shared<T>(T);

// SAFETY: what it points to is valid as long as the threads, which keep out of each other's way.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    fn get(&self) -> T {
        self.0
    }
}

/// A barrier where threads spin, as llama.cpp's do.
struct Barrier {
    n_threads: usize,
    n_arrived: AtomicUsize,
    n_passed: AtomicUsize,
}

impl Barrier {
    fn wait(&self) {
        let n_passed = self.n_passed.load(Ordering::Relaxed);
        if self.n_arrived.fetch_add(1, Ordering::AcqRel) == self.n_threads - 1 {
            self.n_arrived.store(0, Ordering::Relaxed);
            self.n_passed.fetch_add(1, Ordering::AcqRel);
        } else {
            while self.n_passed.load(Ordering::Acquire) == n_passed {
                spin_loop();
            }
        }
    }
}

/// Runs it in all threads; the longest time.
fn in_threads(n_threads: usize, run: impl Fn(usize, &Barrier) -> f64 + Sync) -> f64 {
    let barrier = Barrier { n_threads, n_arrived: AtomicUsize::new(0), n_passed: AtomicUsize::new(0) };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..n_threads)
            .map(|this| {
                scope.spawn({
                    let (run, barrier) = (&run, &barrier);
                    move || run(this, barrier)
                })
            })
            .collect();
        let first = run(0, &barrier);
        threads.into_iter().map(|thread| thread.join().expect("no panic")).fold(first, f64::max)
    })
}
