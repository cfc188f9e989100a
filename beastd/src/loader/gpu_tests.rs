use beast_protocol::ErrorCode;

use super::*;
use crate::config::{self, Overrides};

fn gpu(at_risk: u32) -> Gpu {
    let device =
        Device { index: 0, name: "CUDA0".into(), description: String::new(), n_total: 8 << 30, n_free: 1 << 30 };
    Gpu {
        device: Some(device),
        problems: Vec::new(),
        is_divided: false,
        n_most: u32::MAX,
        at_risk,
        n_left: 0,
        is_chosen: true,
    }
}

fn failed(text: &str) -> WireError {
    WireError::new(ErrorCode::ModelUnavailable, text)
}

#[test]
fn memory_that_runs_out_halves_the_layers_until_the_cpu_is_left() {
    let out_of_memory = failed("llama.cpp cannot load m.gguf (llama.cpp: unable to allocate CUDA0 buffer)");
    let mut gpu = gpu(31);
    let mut seen = Vec::new();
    while gpu.retreat(&out_of_memory) {
        seen.push(gpu.n_most);
        gpu.at_risk = gpu.n_most;
    }
    assert_eq!(seen, [15, 7, 3, 1, 0]);
    assert_eq!(gpu.problems[0], "15 layers offloaded to CUDA0: 31 did not fit");
    assert_eq!(gpu.problems[4], "CUDA0 has too little memory for this model; using the CPU");
}

#[test]
fn what_is_no_lack_of_memory_is_not_tried_again() {
    assert!(!gpu(31).retreat(&failed("llama.cpp cannot load m.gguf: it is truncated")));
    assert!(!gpu(0).retreat(&failed("not enough memory for a context")), "it is the CPU's");
}

#[test]
fn a_kv_cache_is_of_8_bits_where_that_is_asked_for_or_best() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    let cub = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/cub/cub.gguf"));
    let of = |settings: &str, on_gpu: bool| {
        std::fs::write(&file, format!("n_threads = 2\n{settings}")).expect("writable");
        let env = [("BEAST_SOCKET", "/run/b.sock"), ("BEAST_LOG_DIR", "/log")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let overrides = Overrides { file: Some(file.clone()), env: env.into(), flags: Vec::new() };
        let config = config::load(&overrides).expect("valid").config;
        plain_context(&config, cub, on_gpu).kv_type
    };
    let best = if engine::kernels::have_attention() { KvType::Q8_0 } else { KvType::F16 };
    assert_eq!((of("", false), of("", true)), (best, KvType::F16));
    assert_eq!(of("kernels = false", false), KvType::F16);
    assert_eq!(of("n_slots = 1", false), KvType::F16, "a small cache");
    for on_gpu in [false, true] {
        assert_eq!(of("kv_cache = 'f16'", on_gpu), KvType::F16);
        assert_eq!(of("kv_cache = 'q8_0'\nn_slots = 1\nkernels = false", on_gpu), KvType::Q8_0);
    }
}
