//! Sends calls of llama.cpp's past functions of ours: its matrix products past `src/engine/kernels`, the making of a
//! context past `src/engine/context.rs`. Opens the program to GPU backends in files of their own.

use std::env::var;

#[path = "build/plugins.rs"]
mod plugins;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| var(name).is_ok_and(|set| set == value);
    if is("CARGO_CFG_TARGET_OS", "linux") {
        plugins::export();
        println!("cargo::rustc-link-arg=-Wl,--wrap=llama_new_context_with_model");
        if is("CARGO_CFG_TARGET_ARCH", "x86_64") {
            println!("cargo::rustc-link-arg=-Wl,--wrap=ggml_compute_forward_mul_mat_tiled");
        }
    }
}
