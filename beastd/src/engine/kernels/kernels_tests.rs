//! The kernels against ggml's own unpacking, and that llama.cpp's products arrive here.
#![allow(clippy::print_stderr, reason = "what is not tested here is said")]

use std::path::Path;

use llama_cpp_sys_2 as sys;

use super::avx512::{self, Activations, BLOCK, Q4K, Q5K, Q6K, Weights};
use super::hook::{self, Shares};

/// Numbers of a fixed order: xorshift64 (Marsaglia 2003).
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

fn blocks<W: Weights>(noise: &mut Noise, n: usize, halves_at: &[usize]) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..n * size_of::<W>()).map(|_| noise.next().to_le_bytes()[0]).collect();
    for block in bytes.chunks_mut(size_of::<W>()) {
        for &at in halves_at {
            // A half of about 0.01: any bytes would also be infinities.
            block[at + 1] = 0x21;
        }
    }
    bytes
}

/// Compares rows of 1, 2 and 7 blocks times 1 to 17 columns with ggml's weights times the activations as they were
/// rounded.
fn compare<W: Weights>(of: sys::ggml_type, halves_at: &[usize]) {
    if !avx512::is_supported() {
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
            // SAFETY: the CPU was asked; whole columns.
            unsafe { avx512::row(row, &columns, |column, product| products[column] = product) };
            for (column, product) in products.into_iter().enumerate() {
                let here = column * n_blocks * BLOCK..(column + 1) * n_blocks * BLOCK;
                let back =
                    columns[column * n_blocks..(column + 1) * n_blocks].iter().flat_map(|block| block.floats::<W>());
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

fn rounded<W: Weights>(x: &[f32; BLOCK]) -> Activations {
    let mut to = Activations::ZERO;
    // SAFETY: whoever calls this has asked the CPU.
    unsafe { avx512::quantize::<W>(x, &mut to) };
    to
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
    if avx512::is_supported() {
        let zeros = rounded::<Q4K>(&[0.0; BLOCK]);
        assert!(zeros.floats::<Q4K>().all(|x| x == 0.0));
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

/// That their results are right, and with them our idea of llama.cpp's structures, is tested where logits of single
/// tokens, ours, are compared with those of long batches, which are its own (`llama_tests.rs`).
#[test]
fn products_of_llama_cpp_come_here() {
    use crate::batch::Token;
    use crate::engine::{ContextOptions, LlamaEngine, ModelOptions, load, log_to_tracing};

    if !avx512::is_supported() {
        eprintln!("this CPU has no AVX-512 VNNI: nothing is tested");
        return;
    }
    log_to_tracing();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cub/cub.gguf");
    let options = ModelOptions { path, device: None, n_gpu_layers: None, mmap: true, repack: false, kernels: true };
    let model = load(&options, |_| true).expect("the built-in model is there");
    let options = ContextOptions { n_cells: 512, n_places: 2, n_batch: 64, n_ubatch: 64, n_threads: 2, n_draft: 0 };
    let before = hook::N_PRODUCTS.load(std::sync::atomic::Ordering::Relaxed);
    LlamaEngine::new(&model, &options)
        .expect("there is memory")
        .warm_up(Token(5), false)
        .expect("a token can be computed");
    let n = hook::N_PRODUCTS.load(std::sync::atomic::Ordering::Relaxed) - before;
    assert!(n > 40, "{n} products of a model with 48 matrices");
}
