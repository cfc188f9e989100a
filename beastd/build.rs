//! Redirects some of llama.cpp's calls to our functions, compares our mirror of a llama.cpp structure with its header,
//! exports ggml's symbols to GPU plug-ins, and passes the version of llama.cpp to the code.

#[path = "build/mirror.rs"]
mod mirror;
#[path = "build/plugins.rs"]
mod plugins;

use std::env::var;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable with the folder of llama-cpp-sys-2's source, for builds that cannot find it.
const SOURCE: &str = "BEAST_LLAMA_CPP_SYS_2_SOURCE";
const HEADER: &str = "llama.cpp/ggml/src/ggml-cpu/ggml-cpu-impl.h";
const MIRROR: &str = "src/engine/kernels/compute_params.rs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build/mirror.rs");
    let lock = lock();
    let version = |package| lock.as_deref().and_then(|lock| locked(lock, package));
    for (name, package) in
        [("BEAST_LLAMA_CPP_2_VERSION", "llama-cpp-2"), ("BEAST_LLAMA_CPP_SYS_2_VERSION", "llama-cpp-sys-2")]
    {
        let version = version(package).unwrap_or_else(unknown);
        println!("cargo::rustc-env={name}={version}");
    }
    let is = |name: &str, value: &str| var(name).is_ok_and(|set| set == value);
    if is("CARGO_CFG_TARGET_OS", "linux") {
        plugins::export();
        // src/engine/context.rs intercepts the creation of contexts.
        println!("cargo::rustc-link-arg=-Wl,--wrap=llama_new_context_with_model");
        // src/engine/large_pages.rs intercepts allocations.
        println!("cargo::rustc-link-arg=-Wl,--wrap=ggml_aligned_malloc");
        // src/engine/likeliest.rs intercepts the copies of logits.
        println!("cargo::rustc-link-arg=-Wl,--wrap=ggml_backend_tensor_get_async");
        if is("CARGO_CFG_TARGET_ARCH", "x86_64") || is("CARGO_CFG_TARGET_ARCH", "aarch64") {
            // src/engine/kernels intercepts matrix products and attention.
            println!("cargo::rustc-link-arg=-Wl,--wrap=ggml_compute_forward_mul_mat_tiled");
            println!("cargo::rustc-link-arg=-Wl,--wrap=ggml_compute_forward_flash_attn_ext");
            check_mirror(version("llama-cpp-sys-2").as_deref());
        }
    }
}

/// Reads the Cargo.lock of the workspace or, if this crate was packaged alone, its own.
fn lock() -> Option<String> {
    let here = PathBuf::from(var("CARGO_MANIFEST_DIR").ok()?);
    let lock = [here.join("../Cargo.lock"), here.join("Cargo.lock")].into_iter().find(|path| path.is_file())?;
    println!("cargo::rerun-if-changed={}", lock.display());
    fs::read_to_string(lock).ok()
}

/// The version of a package in Cargo.lock.
fn locked(lock: &str, package: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next().map(str::to_owned)
}

/// Stands for the version if there is no Cargo.lock. Unique to this build, so that no other build trusts its saved
/// files.
fn unknown() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("of unknown version, built at {}", now.as_secs())
}

/// Fails the build if our mirror of llama.cpp's structure differs from it.
fn check_mirror(version: Option<&str>) {
    println!("cargo::rerun-if-env-changed={SOURCE}");
    println!("cargo::rerun-if-changed={MIRROR}");
    let Some(source) = source(version) else {
        panic!("the source of llama-cpp-sys-2 is not found; try: set {SOURCE} to the folder of its Cargo.toml");
    };
    let header = source.join(HEADER);
    let read = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("cannot read {}: {error}; try: set {SOURCE} to the right folder", path.display()),
    };
    if let Err(error) =
        mirror::compare(&read(&header), "ggml_compute_params", &read(Path::new(MIRROR)), "ComputeParams")
    {
        let header = header.display();
        panic!("{error}; llama.cpp has changed ({header}); try: make {MIRROR} the same, and read what uses it again");
    }
    println!("cargo::rerun-if-changed={}", header.display());
}

/// The folder of llama-cpp-sys-2's source: from the variable, else from cargo, else from cargo's usual place.
fn source(version: Option<&str>) -> Option<PathBuf> {
    if let Ok(source) = var(SOURCE) {
        return Some(source.into());
    }
    from_cargo().or_else(|| from_registry(version?))
}

fn from_cargo() -> Option<PathBuf> {
    let output = Command::new(var("CARGO").ok()?)
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &var("TARGET").ok()?])
        .output()
        .ok()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let is_it = |package: &&serde_json::Value| package["name"] == "llama-cpp-sys-2";
    let manifest = metadata["packages"].as_array()?.iter().find(is_it)?["manifest_path"].as_str()?;
    Path::new(manifest).parent().map(Path::to_owned)
}

/// Looks in cargo's usual place, because `cargo metadata` fails if any package of the workspace is missing, even one
/// that this build does not need.
fn from_registry(version: &str) -> Option<PathBuf> {
    let home =
        var("CARGO_HOME").map(PathBuf::from).or_else(|_| var("HOME").map(|home| Path::new(&home).join(".cargo")));
    let registries = fs::read_dir(home.ok()?.join("registry/src")).ok()?;
    let sources = registries.flatten().map(|folder| folder.path().join(format!("llama-cpp-sys-2-{version}")));
    sources.into_iter().find(|source| source.is_dir())
}
