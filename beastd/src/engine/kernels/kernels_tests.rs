//! Compares the kernels with ggml's own unpacking, and checks that llama.cpp's products are computed here.

use std::cell::Cell;
use std::ffi::c_void;
use std::ops::Range;
use std::thread::LocalKey;

use beast_kernels::{BLOCK, InstructionSet, Product, To, Way, Weights};
use llama_cpp_sys_2 as sys;

#[path = "../../../build/mirror.rs"]
mod mirror;

use super::products;
use crate::batch::{Batch, SamplingParams, Token};
use crate::engine::Engine;
use crate::engine::llama::LlamaEngine;
use crate::engine::llama::tests::{engine, model, row};

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

/// Random rows of blocks of `block_bytes`, with f16 values of about 0.01 at these places: random bytes could also be
/// infinities.
fn weights(noise: &mut Noise, n: usize, block_bytes: usize, halves_at: &[usize]) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..n * block_bytes).map(|_| noise.next().to_le_bytes()[0]).collect();
    for block in bytes.chunks_mut(block_bytes) {
        for &at in halves_at {
            block[at + 1] = 0x21;
        }
    }
    bytes
}

/// A type of weights in ggml.
struct Format {
    of: sys::ggml_type,
    weights: Weights,
    halves_at: &'static [usize],
    round: fn(&[f32; BLOCK]) -> Vec<f32>,
}

impl Format {
    const Q4: Self = Self::k(sys::GGML_TYPE_Q4_K, Weights::Q4K, &[0, 2]);
    const Q5: Self = Self::k(sys::GGML_TYPE_Q5_K, Weights::Q5K, &[0, 2]);
    const Q6: Self = Self::k(sys::GGML_TYPE_Q6_K, Weights::Q6K, &[208]);
    const Q8: Self = Self::by_32(sys::GGML_TYPE_Q8_0, Weights::Q8, &[0, 34, 68, 102, 136, 170, 204, 238]);
    const Q4_0: Self = Self::by_32(sys::GGML_TYPE_Q4_0, Weights::Q4, &[0, 18, 36, 54, 72, 90, 108, 126]);
    const IQ4_NL: Self = Self::by_32(sys::GGML_TYPE_IQ4_NL, Weights::IQ4NL, &[0, 18, 36, 54, 72, 90, 108, 126]);

    const fn by_32(of: sys::ggml_type, weights: Weights, halves_at: &'static [usize]) -> Self {
        Self { of, weights, halves_at, round: rounded_by_32 }
    }

    const fn k(of: sys::ggml_type, weights: Weights, halves_at: &'static [usize]) -> Self {
        Self { of, weights, halves_at, round: rounded }
    }

    fn traits(&self) -> &'static sys::ggml_type_traits {
        // SAFETY: ggml's table of types, which is constant.
        unsafe { &*sys::ggml_get_type_traits(self.of) }
    }

    /// As ggml unpacks them.
    fn unpacked(&self, blocks: &[u8]) -> Vec<f32> {
        let mut floats = vec![0.0; blocks.len() / self.weights.block_bytes() * BLOCK];
        let to_float = self.traits().to_float.expect("the type can be unpacked");
        // SAFETY: as many blocks as there are floats for; ggml's blocks are aligned to two bytes, as `Vec`'s are at
        // least.
        unsafe { to_float(blocks.as_ptr().cast(), floats.as_mut_ptr(), floats.len() as i64) };
        floats
    }
}

/// ggml's `block_q8_K` and eight of its `block_q8_0`.
#[repr(C)]
struct Q8K {
    d: f32,
    q: [i8; BLOCK],
    sums: [i16; BLOCK / 16],
}

unsafe extern "C" {
    /// The table's entry begins with this function, which rounds so many activations.
    fn ggml_get_type_traits_cpu(of: sys::ggml_type) -> *const unsafe extern "C" fn(*const f32, *mut c_void, i64);
}

/// 256 activations as ggml rounds them for weights of a K type.
fn rounded(x: &[f32; BLOCK]) -> Vec<f32> {
    let mut to = Q8K { d: 0.0, q: [0; BLOCK], sums: [0; BLOCK / 16] };
    // SAFETY: the function of ggml's constant table that rounds to this type.
    unsafe {
        assert_eq!((*sys::ggml_get_type_traits(sys::GGML_TYPE_Q8_K)).type_size, size_of::<Q8K>());
        (*ggml_get_type_traits_cpu(sys::GGML_TYPE_Q8_K))(x.as_ptr(), (&raw mut to).cast(), BLOCK as i64);
    }
    to.q.iter().map(|&q| to.d * f32::from(q)).collect()
}

/// The same for weights of an older type.
fn rounded_by_32(x: &[f32; BLOCK]) -> Vec<f32> {
    let mut to = [0_u8; Weights::Q8.block_bytes()];
    // SAFETY: as above.
    unsafe {
        (*ggml_get_type_traits_cpu(sys::GGML_TYPE_Q8_0))(x.as_ptr(), to.as_mut_ptr().cast(), BLOCK as i64);
    }
    Format::Q8.unpacked(&to)
}

/// Compares products with those of the weights and activations as ggml has them.
fn compare(format: &Format, way: &Way, (n_rows, n_blocks, n_columns): (usize, usize, usize)) {
    let mut noise = Noise(88_172_645_463_325_252 + (n_rows + 100 * n_columns) as u64);
    let row_bytes = n_blocks * format.weights.block_bytes();
    let weights = weights(&mut noise, n_rows * n_blocks, format.weights.block_bytes(), format.halves_at);
    let mut x: Vec<f32> = (0..n_columns * n_blocks * BLOCK).map(|_| noise.float()).collect();
    // Nothing but zeros, and nothing but ones.
    x[..BLOCK].fill(0.0);
    x.last_chunk_mut::<BLOCK>().expect("there is a block").fill(1.0);
    let mut products = vec![f32::NAN; n_rows * n_columns];
    let to = To { at: products.as_mut_ptr().cast(), column_bytes: n_rows * size_of::<f32>() };
    let product = Product::of_parts(&weights, row_bytes, &x, n_blocks, to);
    let mut room = vec![0_u8; way.bytes_of_columns(&product) + way.alignment];
    let offset = room.as_ptr().align_offset(way.alignment);
    let columns = room[offset..].as_mut_ptr();
    // SAFETY: the CPU is supported, and everything is alive. Pieces are as `Shares` makes them.
    unsafe {
        (0..product.n_blocks_of_columns()).for_each(|i| way.round(&product, i, columns));
        for start in (0..n_rows).step_by(2 * way.unit) {
            way.compute(&product, columns, start..(start + 2 * way.unit).min(n_rows), to);
        }
    }
    let x: Vec<f32> = x.as_chunks::<BLOCK>().0.iter().flat_map(format.round).collect();
    for row in 0..n_rows {
        let weights = format.unpacked(&weights[row * row_bytes..(row + 1) * row_bytes]);
        for (column, x) in x.chunks(n_blocks * BLOCK).enumerate() {
            let terms = weights.iter().zip(x).map(|(&weight, &x)| f64::from(weight) * f64::from(x));
            let (expected, scale) =
                terms.fold((0.0, f64::MIN_POSITIVE), |(sum, scale), term| (sum + term, scale + term.abs()));
            let product = products[column * n_rows + row];
            assert!(
                (f64::from(product) - expected).abs() <= 1e-5 * scale,
                "{n_rows} rows, {n_blocks} blocks, {n_columns} columns, {} rows at once: row {row}, column {column}: \
                 {product}, not {expected}",
                way.unit,
            );
        }
    }
}

/// Compares for whole tiles, and for what is left of rows and columns.
fn compare_shapes(format: &Format, way: impl Fn(usize) -> Way) {
    for n_columns in 1..=17 {
        compare(format, &way(n_columns), (3, 2, n_columns));
    }
    for shape in [(1, 1, 1), (16, 7, 6), (31, 1, 3), (32, 1, 18), (33, 3, 19), (70, 2, 12), (64, 2, 23), (5, 1, 300)] {
        compare(format, &way(shape.2), shape);
    }
    let mut noise = Noise(3_141_592_653_589_793);
    let mut any = |n: u64| usize::try_from(1 + noise.next() % n).expect("small");
    for _ in 0..20 {
        let shape = (any(80), any(5), any(40));
        compare(format, &way(shape.2), shape);
    }
}

/// With tiles, and as `way` chooses.
fn compare_all(format: &Format) {
    assert_eq!(products::weights_of(format.of), Some(format.weights));
    for set in InstructionSet::ALL {
        if set.is_supported() {
            if set.tiles(format.weights).is_some() {
                compare_shapes(format, |_| set.tiles(format.weights).expect("there is one"));
            }
            if set.few(format.weights).is_some() {
                compare_shapes(format, |n| beast_kernels::way(*set, format.weights, n).expect("there is one"));
            }
        } else {
            beast_tests::skip(&format!("this CPU has no {}", set.name()));
        }
    }
}

#[test]
fn four_bits_as_ggml_computes_them() {
    compare_all(&Format::Q4);
}

#[test]
fn five_bits_as_ggml_computes_them() {
    compare_all(&Format::Q5);
}

#[test]
fn six_bits_as_ggml_computes_them() {
    compare_all(&Format::Q6);
}

#[test]
fn nibbles_in_groups_of_their_own_as_ggml_computes_them() {
    compare_all(&Format::Q4_0);
    compare_all(&Format::IQ4_NL);
}

#[test]
fn eight_bits_as_ggml_computes_them() {
    compare_all(&Format::Q8);
}

/// Computes tokens for each of these slots, from this position on. Returns by how much the count grows.
pub(super) fn n_in_step(
    engine: &mut LlamaEngine,
    count: &'static LocalKey<Cell<usize>>,
    slots: Range<u32>,
    pos: usize,
    n_tokens: i32,
) -> usize {
    let tokens: Vec<Token> = (0..n_tokens).map(|i| Token(5 + i)).collect();
    let rows: Vec<_> = slots.map(|slot| row(slot, pos, &tokens, true)).collect();
    rows.iter().for_each(|row| engine.arm(row.seq, &SamplingParams::GREEDY, None));
    let before = count.get();
    engine.step(&Batch { edits: Vec::new(), rows }).expect("there is room");
    count.get() - before
}

/// `perplexity_tests.rs` tests their results, and thereby our mirror of llama.cpp's structure.
#[test]
fn products_of_llama_cpp_come_here_for_any_number_of_sequences() {
    if InstructionSet::best().and_then(|set| set.few(Weights::Q4K)).is_none() {
        return beast_tests::skip("this CPU has no kernels");
    }
    let model = model();
    let mut engine = engine(&model);
    let mut n_products = |slots, pos, n| n_in_step(&mut engine, &products::N_PRODUCTS, slots, pos, n);
    let of_one = n_products(0..1, 0, 1);
    assert!(of_one > 40, "{of_one} products of a model with 48 matrices");
    assert_eq!(n_products(0..1, 1, 7), of_one);
    // Two with a token each, and then with three.
    assert_eq!(n_products(1..3, 0, 1), of_one);
    assert_eq!(n_products(1..3, 1, 3), of_one);
}

#[test]
fn columns_of_several_dimensions_are_one_after_the_other() {
    let tensor = |ne: [i64; 4], nb: [usize; 4]| {
        // SAFETY: numbers and pointers, which may be zero.
        let mut tensor: sys::ggml_tensor = unsafe { std::mem::zeroed() };
        (tensor.ne, tensor.nb) = (ne, nb);
        products::columns_of(&tensor)
    };
    assert_eq!(tensor([256, 5, 1, 1], [4, 1024, 5120, 5120]), Some((5, 1024)));
    assert_eq!(tensor([256, 1, 4, 1], [4, 1024, 1024, 4096]), Some((4, 1024)));
    assert_eq!(tensor([256, 3, 4, 2], [4, 1024, 3072, 12_288]), Some((24, 1024)));
    // Every second column, and columns with a gap after each sequence.
    assert_eq!(tensor([256, 1, 4, 1], [4, 1024, 2048, 8192]), Some((4, 2048)));
    assert_eq!(tensor([256, 3, 4, 1], [4, 1024, 4096, 16_384]), None);
    assert_eq!(tensor([256, 0, 1, 1], [4, 1024, 0, 0]), Some((0, 1024)));
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
