//! The allowed dependencies between crates and rooms, checked against the manifests and the source outside tests.
//!
//! If a new dependency is intended, change the map here (`UPDATE_EXPECT=1` rewrites it), and give the reason in
//! `docs/decisions`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use beast_tests::project;
use expect_test::expect;

const CRATES: [&str; 6] = ["protocol", "launchd", "kernels", "beastd", "beastctl", "tests"];

#[test]
fn the_client_and_what_it_stands_on_need_no_runtime() {
    assert_eq!(ours_that_reach("tokio"), ["beastd"]);
}

#[test]
fn only_the_daemon_links_llama_cpp() {
    assert_eq!(ours_that_reach("llama-cpp-2"), ["beastd"]);
    assert_eq!(ours_that_reach("llama-cpp-sys-2"), ["beastd"]);
}

#[test]
fn protocol_launchd_and_kernels_know_nobody_of_ours() {
    assert_eq!(ours_that_reach("beast-kernels"), ["beast-kernels", "beastd"]);
    assert_eq!(ours_that_reach("beast-protocol"), ["beast-protocol", "beast-tests", "beastctl", "beastd"]);
    assert_eq!(ours_that_reach("beast-launchd"), ["beast-launchd", "beast-tests", "beastctl", "beastd"]);
    assert_eq!(ours_that_reach("beastd"), ["beastd"]);
    assert_eq!(ours_that_reach("beastctl"), ["beastctl"]);
}

#[test]
fn one_file_knows_how_messages_become_bytes() {
    assert_eq!(files_that_name("bincode"), ["protocol/src/codec.rs"]);
}

#[test]
fn one_room_knows_llama_cpp() {
    let files = files_that_name("llama_cpp_2");
    assert!(!files.is_empty() && files.iter().all(|file| file.starts_with("beastd/src/engine/")), "{files:?}");
    assert_eq!(
        files_that_name("llama_cpp_sys_2"),
        [
            "beastd/src/engine/context.rs",
            "beastd/src/engine/kernels/attention.rs",
            "beastd/src/engine/kernels/products.rs",
            "beastd/src/engine/likeliest.rs",
            "beastd/src/engine/raw.rs"
        ]
    );
}

#[test]
fn what_may_be_unsafe_is_the_socket_of_the_system_the_engine_and_its_kernels() {
    let files = [
        "launchd/src/cpu/x86_64.rs",
        "launchd/src/peer.rs",
        "launchd/src/socket.rs",
        "kernels/benches/products.rs",
        "kernels/src/attention/cells.rs",
        "kernels/src/attention/item.rs",
        "kernels/src/attention.rs",
        "kernels/src/cpu.rs",
        "kernels/src/product.rs",
        "kernels/src/rows.rs",
        "kernels/src/simd/avx2.rs",
        "kernels/src/simd/avx512.rs",
        "kernels/src/simd/neon.rs",
        "kernels/src/simd.rs",
        "kernels/src/tiles/broadcast.rs",
        "kernels/src/tiles/direct.rs",
        "kernels/src/tiles/formats.rs",
        "kernels/src/tiles/four_rows.rs",
        "kernels/src/tiles/i8mm.rs",
        "kernels/src/tiles/lanes.rs",
        "kernels/src/tiles/neon.rs",
        "kernels/src/tiles/tile.rs",
        "kernels/src/tiles/whole.rs",
        "kernels/src/tiles/x86_64.rs",
        "kernels/src/tiles.rs",
        "beastd/src/engine/context.rs",
        "beastd/src/engine/kernels/attention.rs",
        "beastd/src/engine/kernels/compute_params.rs",
        "beastd/src/engine/kernels/crew.rs",
        "beastd/src/engine/kernels/products.rs",
        "beastd/src/engine/large_pages.rs",
        "beastd/src/engine/likeliest.rs",
        "beastd/src/engine/page_repair/linux.rs",
        "beastd/src/engine/raw.rs",
        "beastd/src/engine/read_ahead.rs",
    ];
    assert_eq!(files_that_name("unsafe"), files);
}

/// Files that a user or another program can replace are opened only by `launchd/src/file.rs`. The exceptions are
/// files of the system, which cannot be replaced, and the user's material, which may be a pipe.
#[test]
fn one_file_opens_what_others_can_replace() {
    let others = [
        ("beastctl/src/bench/busy.rs", 2),
        ("beastctl/src/input.rs", 1),
        ("beastctl/src/machine.rs", 1),
        ("beastd/src/calibration/mod.rs", 1),
        ("beastd/src/cores.rs", 1),
        ("beastd/src/engine/page_repair/linux.rs", 1),
        ("beastd/src/governor.rs", 3),
        ("beastd/src/residents/memory.rs", 1),
    ];
    let mut found = Vec::new();
    for source in ["launchd/src", "beastctl/src", "beastd/src"].into_iter().flat_map(sources) {
        let calls = ["File::open(", "fs::read(", "fs::read_to_string("].map(|call| source.code.matches(call).count());
        match calls.iter().sum() {
            0 => {}
            n => found.push((source.path, n)),
        }
    }
    found.sort();
    let found: Vec<_> = found.iter().map(|(path, n)| (path.as_str(), *n)).collect();
    assert_eq!(found, others);
}

#[test]
fn the_scheduler_has_no_clock_channel_lock_log_or_randomness() {
    for source in sources("beastd/src/scheduler") {
        for name in ["engine", "tokio", "time", "Instant", "sync", "Mutex", "tracing", "thread", "rand", "io", "fs"] {
            assert!(!names(&source.code, name), "{} names {name}", source.path);
        }
    }
}

#[test]
fn the_rooms_of_the_daemon_know_only_these() {
    let mut map = String::new();
    for (room, sources) in rooms() {
        let mut known = BTreeSet::new();
        for source in sources {
            known.extend(rooms_named(&source.code).into_iter().filter(|name| *name != room));
            known.extend(
                ["beast_protocol", "beast_launchd"]
                    .into_iter()
                    .filter(|name| names(&source.code, name))
                    .map(String::from),
            );
        }
        let known: Vec<_> = known.into_iter().collect();
        // A room without dependencies is left out.
        if !known.is_empty() {
            map += &format!("{room} → {}\n", known.join(", "));
        }
    }
    expect![[r#"
        admission → admitted, batch, beast_protocol, engine, large_stack, sampling, speculation, splitter, template, tools
        admitted → batch, engine, speculation, tools
        answering → admission, admitted, batch, beast_protocol, calibration, clock, decide, loader, map_reduce, residents, shared, shown, splitter, upstream, worker
        backends → beast_launchd, config, engine, logging, trial
        calibration → backends, batch, beast_launchd, beast_protocol, clock, config, engine, fingerprint, governor
        config → beast_launchd, cores
        connection → beast_protocol, budget
        decide → admission, admitted, batch, beast_protocol, clock, engine, large_stack, worker
        engine → batch, beast_launchd, clock, prefix_cache, timings
        extent → beast_protocol
        fingerprint → beast_launchd
        http → admission, answering, batch, beast_launchd, beast_protocol, budget, config, engine, fingerprint, lease, loader, metrics, model_file, residents, sampling, server, shared, tools, worker
        lease → clock
        loader → admission, backends, batch, beast_launchd, beast_protocol, calibration, clock, config, engine, fingerprint, governor, logging, metrics, model_file, prefix_store, residents, sampling, scheduler, speculation, template, trial, worker
        logging → beast_launchd, config
        map_reduce → admission, admitted, beast_protocol, clock, splitter, worker
        metrics → beast_protocol, watchdog
        model_file → beast_launchd, fingerprint, sampling
        prefix_cache → batch
        prefix_store → batch, beast_launchd, engine, fingerprint
        repetition → batch
        residents → beast_protocol, clock, config, governor, lease, loader, metrics, model_file, shared, worker
        sampling → batch, beast_protocol, clock
        scheduler → batch, prefix_cache
        server → beast_launchd, beast_protocol, connection, session, shared, tell_manager
        session → answering, beast_protocol, connection, shared
        shared → beast_protocol, budget, clock, config, engine, loader, metrics, residents, upstream, watchdog
        shown → beast_protocol, extent, tools
        speculation → batch, engine
        splitter → engine
        stream → batch, beast_protocol, clock, engine, repetition
        template → beast_protocol, large_stack, tools
        tools → beast_protocol
        trial → beast_launchd, engine, fingerprint, logging, template
        upstream → beast_launchd, beast_protocol, clock, config, extent
        watchdog → batch, clock
        worker → admitted, batch, beast_protocol, clock, config, engine, governor, interrupt, lease, metrics, prefix_store, scheduler, speculation, stream, timings
    "#]].assert_eq(&map);
}

/// A source file, without comments and tests.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) code: String,
}

pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let root = project("");
    let mut paths = Vec::new();
    collect(&project(folder), &mut paths);
    let is_test = |path: &PathBuf| path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
    paths.retain(|path| !is_test(path));
    paths.sort();
    let read = |path: PathBuf| Source {
        code: code(&std::fs::read_to_string(&path).expect("source is text")),
        path: path.strip_prefix(&root).expect("it lies in the project").display().to_string(),
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Removes comments, and the item after each `#[cfg(test)]`, which ends at a `;` or at a `}` at the beginning of a
/// line.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut is_test = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        is_test |= line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,");
        if !is_test {
            code += line;
            code.push('\n');
        }
        let is_one_line = line.ends_with(';') && !line.starts_with(' ');
        is_test &= !is_one_line && !line.starts_with('}');
    }
    code
}

/// Whether the code contains a whole word.
fn names(code: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_letter) && !code[at + word.len()..].starts_with(is_letter))
}

/// The files of all crates that contain a word, except this one, which contains them all.
fn files_that_name(word: &str) -> Vec<String> {
    let all = CRATES.into_iter().flat_map(sources).filter(|source| source.path != "tests/tests/it/rooms.rs");
    all.filter(|source| names(&source.code, word)).map(|source| source.path).collect()
}

/// The rooms of beastd, which are files and folders. `lib.rs` and `main.rs` connect them and may use all.
fn rooms() -> Vec<(String, Vec<Source>)> {
    let mut rooms: Vec<(String, Vec<Source>)> = Vec::new();
    for source in sources("beastd/src") {
        let below = source.path.strip_prefix("beastd/src/").expect("it lies there");
        let room = below.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        match rooms.last_mut() {
            _ if room == "lib" || room == "main" => {}
            Some((last, sources)) if *last == room => sources.push(source),
            _ => rooms.push((room, vec![source])),
        }
    }
    rooms
}

/// The names that follow `crate::`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut rooms = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        assert!(!rest.starts_with('{'), "one `use crate::` for each room, as everywhere in beastd");
        rooms.insert(word(rest));
    }
    rooms
}

/// Our crates that depend on a package, directly or indirectly, except through tests and build scripts.
fn ours_that_reach(package: &str) -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--invert", package, "--edges", "normal", "--prefix", "none"])
        .args(["--format", "{p}", "--offline", "--locked"])
        .current_dir(project(""))
        .output()
        .expect("cargo runs the tests");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let names: BTreeSet<_> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let is_ours = |name: &&str| name.starts_with("beast");
    names.into_iter().filter(is_ours).map(str::to_owned).collect()
}
