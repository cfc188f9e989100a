//! `perplexity_tests.rs` compares what is computed here with llama.cpp's own.

use std::ffi::c_void;

use beast_kernels::InstructionSet;

use super::*;
use crate::engine::kernels::tests::n_in_step;
use crate::engine::llama::tests::{engine_with, model};

fn is_possible() -> bool {
    let is_possible = chosen::wanted().and_then(InstructionSet::attention).is_some();
    if !is_possible {
        beast_tests::skip("this CPU has no attention of ours");
    }
    is_possible
}

#[test]
fn attention_of_llama_cpp_comes_here_for_any_number_of_sequences() {
    if !is_possible() {
        return;
    }
    let model = model();
    for is_divided in [false, true] {
        let mut engine = engine_with(&model, is_divided);
        let mut n_computed = |slots, pos, n| n_in_step(&mut engine, &N_COMPUTED, slots, pos, n);
        let of_one = n_computed(0..1, 0, 1);
        assert!(of_one >= 2, "{of_one} times, by a model with several layers of attention");
        assert_eq!(n_computed(0..1, 1, 27), of_one);
        assert_eq!(n_computed(1..3, 0, 3), of_one);
    }
}

/// A tensor of this type, contiguous; attention is `[size, n_heads, n_rows]`, its sources `[size, n_rows, n_heads]`.
fn tensor(of: sys::ggml_type, bytes: usize, ne: [i64; 4]) -> sys::ggml_tensor {
    // SAFETY: numbers and pointers, which may be zero.
    let mut tensor: sys::ggml_tensor = unsafe { std::mem::zeroed() };
    let n = ne.map(|n| usize::try_from(n).expect("positive"));
    (tensor.type_, tensor.ne) = (of, ne);
    let row = if of == sys::GGML_TYPE_Q8_0 { n[0] / 32 * bytes } else { n[0] * bytes };
    tensor.nb = [bytes, row, row * n[1], row * n[1] * n[2]];
    tensor
}

#[test]
fn other_attention_is_left_to_llama_cpp() {
    if !is_possible() {
        return;
    }
    const F32: (sys::ggml_type, usize) = (sys::GGML_TYPE_F32, 4);
    const F16: (sys::ggml_type, usize) = (sys::GGML_TYPE_F16, 2);
    // Four query heads and two of the cache, three rows, 256 cells, two streams.
    let is_found = |change: fn(&mut [sys::ggml_tensor; 6], &mut ComputeParams)| {
        let mut tensors = [
            tensor(F32.0, F32.1, [64, 3, 4, 2]),
            tensor(F16.0, F16.1, [64, 256, 2, 2]),
            tensor(F16.0, F16.1, [64, 256, 2, 2]),
            tensor(F16.0, F16.1, [256, 3, 1, 2]),
            tensor(F32.0, F32.1, [4, 1, 1, 1]),
            tensor(F32.0, F32.1, [64, 4, 3, 2]),
        ];
        tensors[5].op_params[0] = 0.125_f32.to_bits().cast_signed();
        let null: *mut c_void = std::ptr::null_mut();
        let mut params = ComputeParams { ith: 0, nth: 1, wsize: 0, wdata: null, threadpool: null, use_ref: false };
        change(&mut tensors, &mut params);
        let [queries, keys, values, mask, sinks, mut dst] = tensors;
        let all = [queries, keys, values, mask, sinks].map(Box::new).map(Box::into_raw);
        (0..4).for_each(|i| dst.src[i] = all[i]);
        // A change of the sinks' own size asks for them.
        if sinks.ne[1] > 1 {
            dst.src[4] = all[4];
        }
        // SAFETY: the sources are alive; their data is not looked at.
        let is_found = unsafe { find(&params, &dst) }.is_some();
        // SAFETY: they were boxes.
        all.into_iter().for_each(|source| drop(unsafe { Box::from_raw(source) }));
        is_found
    };
    assert!(is_found(|_, _| {}));
    assert!(is_found(|of, _| of[1] = tensor(sys::GGML_TYPE_Q8_0, 34, [64, 256, 2, 2])));
    let others: [fn(&mut [sys::ggml_tensor; 6], &mut ComputeParams); 15] = [
        |_, params| params.use_ref = true,
        |of, _| of[1] = tensor(sys::GGML_TYPE_BF16, 2, [64, 256, 2, 2]),
        |of, _| of[2] = tensor(F32.0, F32.1, [64, 256, 2, 2]),
        |of, _| of[2].nb.swap(0, 1), // values of one kind side by side
        |of, _| of[2] = tensor(F16.0, F16.1, [64, 128, 2, 2]), // fewer values than keys
        |of, _| of[5].nb[1] += 4,    // a gap after each result
        |of, _| of[0] = tensor(F16.0, F16.1, [64, 3, 4, 2]),
        |of, _| of[3] = tensor(F32.0, F32.1, [256, 3, 1, 2]),
        |of, _| of[3] = tensor(F16.0, F16.1, [256, 3, 4, 2]), // a mask for each head
        |of, _| of[3] = tensor(F16.0, F16.1, [256, 3, 1, 1]), // or one for two streams
        |of, _| of[4].ne[1] = 2,                              // sinks
        |of, _| of[5].op_params[1] = 8.0_f32.to_bits().cast_signed(), // biases by distance
        |of, _| of[5].op_params[2] = 50.0_f32.to_bits().cast_signed(), // a cap
        |of, _| of[1] = tensor(F16.0, F16.1, [64, 256, 2, 1]), // a stream for two
        |of, _| {
            of[0] = tensor(F32.0, F32.1, [40, 3, 4, 2]);
            of[1] = tensor(F16.0, F16.1, [40, 256, 2, 2]);
        },
    ];
    for (i, change) in others.into_iter().enumerate() {
        assert!(!is_found(change), "number {i}");
    }
}
