//! Sends llama.cpp's matrix products past `src/engine/kernels`, where there are kernels of ours.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|set| set == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ARCH", "x86_64") {
        println!("cargo::rustc-link-arg=-Wl,--wrap=ggml_compute_forward_mul_mat_tiled");
    }
}
