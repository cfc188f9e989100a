use std::io::Write;

use super::*;

#[test]
fn the_reason_is_found_in_what_else_is_said() {
    let of = |text: &str| reason(text).map(|words| (words.reason, words.is_memory));
    let said = |reason: &str, is_memory| Some((reason.to_owned(), is_memory));
    assert_eq!(of(""), None);
    assert_eq!(of("warning: something else\n"), None);
    let assertion = "beastd: llama.cpp ended the process: ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed\n";
    assert_eq!(
        of(assertion),
        said("llama.cpp ended it: ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed", true)
    );
    assert_eq!(of("beastd: cannot go on: a file was cut\n"), said("a file was cut", false));
    assert_eq!(of("a\nmemory allocation of 64 bytes failed\nb\n"), said("memory allocation of 64 bytes failed", true));
    let exception = "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n";
    assert_eq!(of(exception), said("std::bad_alloc", true));
    let threads = "\nlibgomp: Thread creation failed: Resource temporarily unavailable\n";
    assert_eq!(of(threads), said("libgomp: Thread creation failed: Resource temporarily unavailable", true));
    let panic =
        "\nthread 'worker' (12) panicked at src/a.rs:1:2:\nbroken invariant\nnote: run with `RUST_BACKTRACE=1`\n";
    assert_eq!(of(panic), said("it panicked: broken invariant", false));
}

#[test]
fn words_are_those_of_the_last_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("beastd.sock");
    assert_eq!(last(&socket), None);
    let mut file = begin(&socket).expect("it is ours");
    // The end of the file counts, however long it is.
    file.write_all(&vec![b'x'; 100_000]).expect("there is room");
    file.write_all(b"\nfatal runtime error: stack overflow, aborting\n").expect("there is room");
    let words = LastWords { reason: "stack overflow, aborting".into(), is_memory: false };
    assert_eq!(last(&socket), Some(words));
    begin(&socket).expect("it is ours");
    assert_eq!(last(&socket), None);
    forget(&socket);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
