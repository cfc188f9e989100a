//! Prefixes cached from one prompt for the next: less to compute, and the same answers.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use beast_protocol::Generate;
use beast_tests::samples::{TEXT, babble, commit_msg, diff, document, instructed, subject};
use beast_tests::{Beast, Home, eventually};

#[test]
fn a_prompt_that_comes_again_is_not_computed_again_and_its_answer_is_the_same() {
    let beast = Beast::start();
    let request = instructed("summarize", &format!("{TEXT}{}", document(20)));
    let first = beast.client().ask(&request);
    let again = beast.client().ask(&request);
    assert_eq!(again.text, first.text);
    let (first, again) = (first.done().1, again.done().1);
    assert_eq!(first.n_cached, 0);
    assert!(again.n_cached > 100 && again.n_cached < again.n_prompt, "{again:?}");

    let status = beast.status();
    assert_eq!((status.n_prefix_hits, status.n_tokens_saved), (1, u64::from(again.n_cached)));
    assert_eq!(status.n_prompt_tokens, u64::from(first.n_prompt + again.n_prompt - again.n_cached));
}

#[test]
fn the_instruction_is_kept_for_other_texts() {
    let beast = Beast::start();
    beast.client().ask(&commit_msg(&diff("parse_header", 5)));
    let answer = beast.client().ask(&commit_msg(&diff("open_socket", 9)));
    assert!(answer.done().1.n_cached > 0, "{answer:?}");
    assert_eq!(answer.text.trim(), subject("open_socket"));
}

#[test]
fn nothing_is_kept_when_nothing_is_wanted() {
    let beast = Beast::with(&["n_prefixes=0"]);
    for _ in 0..2 {
        let answer = beast.client().ask(&commit_msg(&diff("parse_header", 5)));
        assert_eq!(answer.done().1.n_cached, 0);
        assert_eq!(answer.text.trim(), subject("parse_header"));
    }
    beast.idle();
    let status = beast.status();
    assert_eq!((status.n_prefixes, status.n_cells_used), (0, 0));
}

#[test]
fn what_is_kept_makes_room_for_requests() {
    // A single request may need all cells.
    let beast = Beast::with(&["n_ctx=1024", "n_cells=1024"]);
    for n in 0..6 {
        let text = diff(["parse_header", "open_socket", "count_lines"][n % 3], 3 + n);
        assert!(beast.client().ask(&commit_msg(&text)).done().1.n_generated > 0);
    }
    let n_kept = beast.status().n_prefix_tokens;
    assert!(n_kept > 200, "much is kept: {n_kept}");
    let whole = beast.client().ask(&Generate { max_tokens: None, ..babble(1) }).done().1;
    assert_eq!(whole.n_prompt + whole.n_generated, 1024);
    let answer = beast.client().ask(&commit_msg(&diff("load_table", 20)));
    assert_eq!(answer.text.trim(), subject("load_table"));
}

/// Requests the subject line of a diff, then ends the daemon. Returns the cached prompt tokens, and from `status` the
/// numbers of prefixes on disk and of restored ones.
fn ask_and_stop(beast: &mut Beast, function: &str) -> (u32, (u32, u64)) {
    let answer = beast.client().ask(&commit_msg(&diff(function, 5)));
    assert_eq!(answer.text.trim(), subject(function));
    eventually(|| beast.status().stored.n_entries > 0);
    let stored = beast.status().stored;
    assert!(stored.n_bytes > 1000, "{stored:?}");
    assert_eq!(beast.run(&["stop"]).code, Some(0));
    assert_eq!(beast.exit(), Some(0));
    (answer.done().1.n_cached, (stored.n_entries, stored.n_restored))
}

fn files(home: &Home) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(home.prefixes()).expect("it was made");
    folder.flatten().map(|file| file.path()).collect()
}

#[test]
fn an_instruction_survives_a_restart() {
    let mut beast = Home::with_own_cache().start(&[]);
    let first = ask_and_stop(&mut beast, "parse_header");
    assert_eq!(first, (0, (1, 0)), "the instruction is stored, not the diff");
    beast.restart();
    let (n_cached, stored) = ask_and_stop(&mut beast, "open_socket");
    assert!(n_cached >= 16, "{n_cached}");
    assert_eq!(stored, (1, 1));

    // Private, because it contains a user's text.
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&beast.prefixes()), mode(&files(&beast)[0])), (0o700, 0o600));
}

#[test]
fn a_damaged_prefix_on_disk_is_removed_and_computed_again() {
    let mut beast = Home::with_own_cache().start(&[]);
    ask_and_stop(&mut beast, "parse_header");
    let path = files(&beast).remove(0);
    let mut bytes = std::fs::read(&path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&path, bytes).expect("writable");
    beast.restart();
    let (n_cached, (_, n_restored)) = ask_and_stop(&mut beast, "open_socket");
    assert_eq!((n_cached, n_restored), (0, 0), "what is damaged is not used");
    beast.restart();
    let (n_cached, (_, n_restored)) = ask_and_stop(&mut beast, "read_index");
    assert!(n_cached >= 16 && n_restored == 1, "and was written anew");
}

#[test]
fn nothing_is_written_when_nothing_is_wanted_on_disk() {
    let beast = Home::with_own_cache().start(&["prefix_disk_mib=0"]);
    beast.client().ask(&commit_msg(&diff("parse_header", 5)));
    beast.idle();
    assert!(!beast.prefixes().exists());
}
