//! Compares the kernels with ggml's own unpacking, and checks that llama.cpp's products are computed here.
#![allow(clippy::print_stderr, reason = "what is not tested here is said")]

use std::path::Path;

use llama_cpp_sys_2 as sys;

#[path = "../../../build/mirror.rs"]
mod mirror;

use super::Native;
use super::blocks::{Activations, BLOCK, Q4K, Q5K, Q6K};
use super::hook::{self, Shares};
use super::instructions::{InstructionSet, Kernel};

/// A deterministic generator: xorshift64 (Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between -1 and 1.
    fn float(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }
}

fn blocks<W>(noise: &mut Noise, n: usize, halves_at: &[usize]) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..n * size_of::<W>()).map(|_| noise.next().to_le_bytes()[0]).collect();
    for block in bytes.chunks_mut(size_of::<W>()) {
        for &at in halves_at {
            // An f16 value of about 0.01: random bytes could also be infinities.
            block[at + 1] = 0x21;
        }
    }
    bytes
}

/// Compares products of rows of 1, 2 and 7 blocks and 1 to 17 columns with those of ggml's unpacked weights and the
/// rounded activations.
fn compare<W>(of: sys::ggml_type, halves_at: &[usize])
where
    Native: Kernel<W>,
{
    if !Native::is_supported() {
        eprintln!("this CPU has no AVX-512 VNNI: nothing is tested");
        return;
    }
    // SAFETY: ggml's table of types, and the function that it names for this one.
    let to_float = unsafe { (*sys::ggml_get_type_traits(of)).to_float.expect("the type can be unpacked") };
    // SAFETY: as above.
    assert_eq!(unsafe { (*sys::ggml_get_type_traits(of)).type_size }, size_of::<W>());
    let mut noise = Noise(88_172_645_463_325_252);
    for n_blocks in [1, 2, 7] {
        let bytes = blocks::<W>(&mut noise, n_blocks, halves_at);
        let mut weights = vec![0.0_f32; n_blocks * BLOCK];
        // SAFETY: as many blocks as there are floats for; ggml's blocks are aligned to two bytes, as `Vec`'s are at
        // least.
        let row = unsafe {
            to_float(bytes.as_ptr().cast(), weights.as_mut_ptr(), weights.len() as i64);
            std::slice::from_raw_parts(bytes.as_ptr().cast::<W>(), n_blocks)
        };
        for n_columns in 1..=17 {
            let x: Vec<f32> = (0..n_columns * n_blocks * BLOCK).map(|_| noise.float()).collect();
            let columns: Vec<Activations> = x.as_chunks::<BLOCK>().0.iter().map(rounded::<W>).collect();
            let mut products = vec![f32::NAN; n_columns];
            // SAFETY: the CPU is supported; the columns are whole.
            unsafe { Native::row(row, &columns, |column, product| products[column] = product) };
            for (column, product) in products.into_iter().enumerate() {
                let here = column * n_blocks * BLOCK..(column + 1) * n_blocks * BLOCK;
                let back =
                    columns[column * n_blocks..(column + 1) * n_blocks].iter().flat_map(|block| floats::<W>(block));
                let (mut expected, mut scale) = (0.0_f64, 0.0_f64);
                for ((&weight, back), &x) in
                    weights[here.start - column * n_blocks * BLOCK..].iter().zip(back).zip(&x[here])
                {
                    assert!((back - x).abs() <= 0.5 / 126.9, "{x} was rounded to {back}");
                    expected += f64::from(weight) * f64::from(back);
                    scale += (f64::from(weight) * f64::from(back)).abs();
                }
                let difference = (f64::from(product) - expected).abs();
                assert!(
                    difference <= 1e-5 * scale,
                    "{n_blocks} blocks, column {column} of {n_columns}: {product}, not {expected}"
                );
            }
        }
    }
}

fn rounded<W>(x: &[f32; BLOCK]) -> Activations
where
    Native: Kernel<W>,
{
    let mut to = Activations::ZERO;
    // SAFETY: callers have checked the CPU.
    unsafe { <Native as Kernel<W>>::quantize(x, &mut to) };
    to
}

/// The rounded activations, in the order of the column.
fn floats<W>(block: &Activations) -> impl Iterator<Item = f32>
where
    Native: Kernel<W>,
{
    (0..BLOCK).map(move |i| block.d * f32::from(block.q[16 * <Native as Kernel<W>>::place(i / 16) + i % 16]))
}

#[test]
fn four_bits_as_ggml_unpacks_them() {
    compare::<Q4K>(sys::GGML_TYPE_Q4_K, &[0, 2]);
}

#[test]
fn five_bits_as_ggml_unpacks_them() {
    compare::<Q5K>(sys::GGML_TYPE_Q5_K, &[0, 2]);
}

#[test]
fn six_bits_as_ggml_unpacks_them() {
    compare::<Q6K>(sys::GGML_TYPE_Q6_K, &[208]);
}

#[test]
fn nothing_but_zeros_is_zero() {
    if Native::is_supported() {
        let zeros = rounded::<Q4K>(&[0.0; BLOCK]);
        assert!(floats::<Q4K>(&zeros).all(|x| x == 0.0));
    }
}

#[test]
fn each_row_is_in_one_piece() {
    for n_threads in [1, 2, 3, 8, 64] {
        for n_rows in [1, 2, 5, 63, 64, 512, 2048, 65_536] {
            let shares = Shares::new(n_rows, n_threads);
            let mut times = vec![0; n_rows];
            let mut i = 0;
            while i < n_threads || !shares.piece(i).is_empty() {
                shares.piece(i).for_each(|row| times[row] += 1);
                i += 1;
            }
            assert!(times.iter().all(|&n| n == 1), "{n_rows} rows, {n_threads} threads: {times:?}");
        }
    }
}

/// `llama_tests.rs` tests their results, and thereby our mirror of llama.cpp's structure: it compares logits of single
/// tokens, which use our kernels, with those of long batches, which use llama.cpp's.
#[test]
fn products_of_llama_cpp_come_here() {
    use crate::batch::Token;
    use crate::engine::{ContextOptions, LlamaEngine, ModelOptions, load, log_to_tracing};

    if !Native::is_supported() {
        eprintln!("this CPU has no AVX-512 VNNI: nothing is tested");
        return;
    }
    log_to_tracing();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cub/cub.gguf");
    let options = ModelOptions { path, device: None, n_gpu_layers: None, mmap: true, repack: false, kernels: true };
    let model = load(&options, |_| true).expect("the built-in model is there");
    let options = ContextOptions {
        n_cells: 512,
        is_divided: false,
        n_places: 2,
        n_batch: 64,
        n_ubatch: 64,
        n_threads: 2,
        n_draft: 0,
    };
    let before = hook::N_PRODUCTS.load(std::sync::atomic::Ordering::Relaxed);
    LlamaEngine::new(&model, &options)
        .expect("there is memory")
        .warm_up(Token(5), false)
        .expect("a token can be computed");
    let n = hook::N_PRODUCTS.load(std::sync::atomic::Ordering::Relaxed) - before;
    assert!(n > 40, "{n} products of a model with 48 matrices");
}

/// The check with which `build.rs` fails the build when llama.cpp changes its structure.
#[test]
fn a_structure_that_is_not_its_mirror_is_noticed() {
    const HEADER: &str = "struct other { int a; };\nstruct params {\n  // which, of how many\n  int ith, nth;\n\n  \
        size_t wsize;\n  void * wdata; struct pool * pool;\n  bool use_ref;\n};\n";
    const MIRROR: &str = "/// One.\n#[repr(C)]\npub(super) struct Params {\n    /// Which.\n    pub ith: i32,\n    pub nth: i32,\n    \
        pub wsize: usize,\n    pub wdata: *mut c_void,\n    pub pool: *mut c_void,\n    pub use_ref: bool,\n}\n";
    let compare = |header: &str| mirror::compare(header, "params", MIRROR, "Params");
    assert_eq!(compare(HEADER), Ok(()));
    for (from, to) in [
        ("ith, nth", "nth, ith"),
        ("int ith", "size_t ith"),
        ("  bool use_ref;\n", ""),
        ("bool use_ref;", "bool use_ref; bool more;"),
        ("bool use_ref;", "float use_ref;"),
        ("int ith, nth;", "int at[2];"),
        ("struct params", "struct renamed"),
    ] {
        assert!(HEADER.contains(from), "{from}");
        assert!(compare(&HEADER.replace(from, to)).is_err(), "{from} became {to}");
    }
}
