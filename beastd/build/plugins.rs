//! Exports ggml's functions from the program for GPU plug-ins, and identifies the sources that a plug-in must be built
//! from. `.ci/plugin.cmake` computes the same identifier.

use std::env::var;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSymbol};
use sha2::{Digest, Sha256};

/// Libraries whose functions a backend calls.
const LIBRARIES: [&str; 2] = ["libggml-base.a", "libggml.a"];
/// Prefixes of their symbols.
const PREFIXES: [&str; 4] = ["ggml_", "gguf_", "quantize_", "dequantize_"];

/// Passes the symbols to the linker and the identifier to the program.
pub fn export() {
    println!("cargo::rerun-if-changed=build/plugins.rs");
    let cmake = PathBuf::from(var("DEP_LLAMA_GGML_CMAKE_DIR").expect("llama-cpp-sys-2 says where its ggml is"));
    let libraries = cmake.parent().expect("the folder is in that of the libraries");
    let symbols = symbols(libraries);
    assert!(!symbols.is_empty(), "no functions of ggml in {}", libraries.display());
    let mut arguments = String::new();
    for symbol in symbols {
        // `-u` keeps what the program itself does not call.
        let _ = writeln!(arguments, "-u\n{symbol}\n--export-dynamic-symbol={symbol}");
    }
    let path = PathBuf::from(var("OUT_DIR").expect("cargo says so")).join("ggml.exports");
    fs::write(&path, arguments).expect("cargo's folder can be written");
    println!("cargo::rustc-link-arg-bins=-Wl,@{}", path.display());
    let build = libraries.parent().expect("the libraries are in a folder of the build").join("build");
    println!("cargo::rustc-env=BEAST_PLUGIN_BUILD={}", name(&sources(&build)));
}

/// The functions that the libraries define, in order.
fn symbols(folder: &Path) -> Vec<String> {
    let mut symbols = Vec::new();
    for library in LIBRARIES {
        let path = folder.join(library);
        println!("cargo::rerun-if-changed={}", path.display());
        let data = fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let archive = ArchiveFile::parse(&*data).expect("cmake has made an archive");
        for member in archive.members() {
            let member = member.expect("the archive is whole").data(&*data).expect("the archive is whole");
            let Ok(object) = object::File::parse(member) else { continue };
            let defined = object.symbols().filter(|symbol| symbol.is_global() && symbol.is_definition());
            let names = defined.filter_map(|symbol| symbol.name().ok().map(str::to_owned));
            symbols.extend(names.filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix))));
        }
    }
    symbols.sort_unstable();
    symbols.dedup();
    symbols
}

/// The folder that llama.cpp was built from.
fn sources(build: &Path) -> PathBuf {
    let path = build.join("CMakeCache.txt");
    let cache = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let home = cache.lines().find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="));
    PathBuf::from(home.expect("cmake notes where the sources are"))
}

/// Identifies the sources that program and plug-in must share: everything that defines the interface between them.
fn name(sources: &Path) -> String {
    let mut hashes: Vec<String> = ["ggml/include", "ggml/src"]
        .into_iter()
        .flat_map(|folder| fs::read_dir(sources.join(folder)).expect("the sources are still there"))
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|kind| ["c", "cpp", "h"].iter().any(|of_code| kind == *of_code)))
        .map(|path| hex(&fs::read(path).expect("a source can be read")))
        .collect();
    hashes.sort_unstable();
    hex(hashes.concat().as_bytes())[..16].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
