//! Faults of files: the model, unfinished downloads, folders, the log.

use std::fs;

use expect_test::expect;

use super::{OURS, complaints, find, healthy, programs, settings};
use crate::harness::Beast;

fn with_model(beast: &Beast, bytes: &[u8]) {
    let file = beast.write("m.gguf", bytes);
    programs(beast, OURS, &settings(beast, file.to_str().unwrap()));
}

/// The header of a model without tensors.
fn empty_model() -> Vec<u8> {
    [&b"GGUF\x03\0\0\0"[..], &[0; 16]].concat()
}
#[test]
fn a_model_that_is_not_there_or_is_none() {
    let plant = |beast: &Beast| {
        programs(beast, OURS, &settings(beast, beast.path("m.gguf").to_str().unwrap()));
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  model          DIR/m.gguf not found; try: beastctl models pull lfm2-2.6b, or set another model in config.toml
        "#]],
    );
    let plant = |beast: &Beast| {
        with_model(beast, b"<!doctype html><title>404</title>");
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  model          DIR/m.gguf is not a GGUF file; try: rm DIR/m.gguf, and pull the model again
        "#]],
    );
}

#[test]
fn a_model_that_was_cut() {
    let plant = |beast: &Beast| {
        with_model(beast, &[&b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0"[..], &[0; 4]].concat());
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  model          DIR/m.gguf is truncated: it ends inside the header, after 20 bytes; try: rm DIR/m.gguf, and pull the model again
        "#]],
    );
}

#[test]
fn a_model_that_is_not_the_one_that_was_published() {
    let plant = |beast: &Beast| {
        with_model(beast, &empty_model());
        beast.write("m.gguf.sha256", format!("{}  m.gguf\n", "0".repeat(64)));
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  model          DIR/m.gguf is damaged: its SHA-256 is a4e5e156ddec27e286f75328784d7106b60a4eb1d246e950a001a3f944fbda99, expected 0000000000000000000000000000000000000000000000000000000000000000; try: rm DIR/m.gguf, and pull the model again
        "#]],
    );
    let plant = |beast: &Beast| {
        with_model(beast, &empty_model());
        beast.write("m.gguf.sha256", "404 not found\n");
        None
    };
    find(
        plant,
        0,
        expect![[r#"
            warning  model          DIR/m.gguf.sha256 contains no readable SHA-256; try: rm DIR/m.gguf.sha256
        "#]],
    );
}

/// Reading a large file takes seconds, so it must be asked for.
#[test]
fn a_large_model_is_read_whole_only_when_asked_for() {
    let beast = healthy();
    with_model(&beast, &empty_model());
    fs::File::options().write(true).open(beast.path("m.gguf")).unwrap().set_len(100_000_000).unwrap();
    beast.write("m.gguf.sha256", format!("{}  m.gguf\n", "0".repeat(64)));
    let ran = beast.run(&["doctor"], b"");
    assert!(ran.stdout.contains("hash not checked (beastctl doctor --hash reads all 100.0 MB)\n"), "{ran:?}");
    assert_eq!(ran.code, Some(0));
    let ran = beast.run(&["doctor", "--hash"], b"");
    assert!(complaints(&ran).starts_with("problem  model          DIR/m.gguf is damaged: its SHA-256 is "), "{ran:?}");
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_download_that_has_not_ended() {
    let folder = if cfg!(target_os = "macos") { "Library/Application Support/beast" } else { ".local/share/beast" };
    let plant = |beast: &Beast| {
        beast.write(&format!("{folder}/models/LFM2.gguf.part"), "half");
        None
    };
    let expected = expect![[r#"
        warning  model          unfinished downloads use 4 B, unless one is running: DIR/.local/share/beast/models/LFM2.gguf.part; try: resume them with beastctl models pull and the same name, or rm DIR/.local/share/beast/models/LFM2.gguf.part
    "#]];
    find(plant, 0, expected);
}

/// A sparse file, which uses no disk space.
#[test]
fn a_model_that_is_larger_than_the_memory() {
    let beast = healthy();
    with_model(&beast, &empty_model());
    fs::File::options().write(true).open(beast.path("m.gguf")).unwrap().set_len(8 << 40).unwrap();
    let ran = beast.run(&["doctor"], b"");
    let line = ran.stdout.lines().find(|line| line.contains("memory")).unwrap();
    assert!(line.starts_with("problem  memory         the model needs 8796.1 GB, "), "{line}");
    assert!(line.ends_with("; try: use a smaller model: beastctl models list"), "{line}");
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_folder_that_cannot_be_written() {
    let folder = if cfg!(target_os = "macos") { "Library/Caches/beast" } else { ".cache/beast" };
    let plant = |beast: &Beast| {
        beast.write(folder, "a file");
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  disk           DIR/.cache/beast is a file where the folder for caches belongs; try: mv DIR/.cache/beast DIR/.cache/beast.old, which is in the way
        "#]],
    );
}

#[test]
fn errors_in_the_log() {
    let plant = |beast: &Beast| {
        beast.write(
            "logs/beastd.2026-11-23.log",
            "2026-11-23T06:41:04Z ERROR beastd: the engine failed\n2026-11-23T06:41:05Z  INFO beastd: ERROR is only a word here\n",
        );
        None
    };
    find(
        plant,
        0,
        expect![[r#"
            warning  log            1 error in its last 200 lines, the last one: 2026-11-23T06:41:04Z ERROR beastd: the engine failed; try: beastctl logs -n 200
        "#]],
    );
}
