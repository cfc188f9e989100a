//! What is kept of one prompt for the next: less to compute, and the same answers.

use beast_protocol::Generate;
use beast_tests::Beast;
use beast_tests::samples::{TEXT, babble, commit_msg, diff, document, instructed, subject};

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
    // One request may need all the cells that there are.
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
