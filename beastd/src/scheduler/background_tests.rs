use expect_test::expect;

use super::tests::{LIMITS, check};
use super::*;

const ADD_TWO: &str = "add a prompt=4 max=3 background; add b prompt=4 max=3 background; step";

#[test]
fn the_background_has_all_slots_that_nobody_needs() {
    check(
        LIMITS,
        &format!("{ADD_TWO}; add c prompt=4 max=1 background; step"),
        expect![[r#"
            a 0..4 sample
            a 4..5 sample | b 0..4 sample
        "#]],
    );
}

#[test]
fn it_gives_way_at_once_and_goes_on_later() {
    check(
        LIMITS,
        &format!("{ADD_TWO}; step; add c prompt=4 max=2; step; step; step; step"),
        expect![[r#"
            a 0..4 sample
            a 4..5 sample | b 0..4 sample
            a 5..6 sample | c 0..4 sample | a ends
            b 0..4 | c 4..5 sample | c ends
            b 4..5 sample
            b 5..6 sample | b ends
        "#]],
    );
}

#[test]
fn what_it_had_computed_is_not_computed_twice_where_there_is_room() {
    let limits =
        Limits { n_slots: 1, n_prefixes: 2, n_cells: 200, n_batch: 64, prefill_chunk: 64, lone_chunk: 64, ..LIMITS };
    check(
        limits,
        "add a prompt=40 max=9 background; step; step; add b prompt=4 max=1; step; step; step",
        expect![[r#"
            a 0..40 sample
            a 40..41 sample
            copy 0 to 2 | b 0..4 sample | b ends
            copy 2 to 0 | a 41..42 sample
            a 42..43 sample
        "#]],
    );
}

#[test]
fn who_waits_for_himself_goes_first() {
    let limits = Limits { n_slots: 1, ..LIMITS };
    check(
        limits,
        "add a prompt=2 max=9; step; add b prompt=2 max=1 background; add c prompt=2 max=1; cancel a; step; step",
        expect![[r#"
            a 0..2 sample
            c 0..2 sample | c ends
            b 0..2 sample | b ends
        "#]],
    );
}

/// A background sequence must end eventually, however many other requests arrive.
#[test]
fn it_gives_way_three_times_and_then_no_more() {
    let limits = Limits { n_slots: 1, ..LIMITS };
    let others: String = ('b'..='f').map(|name| format!("add {name} prompt=2 max=1; step; step;")).collect();
    check(
        limits,
        &format!("add a prompt=2 max=9 background; step; {others}"),
        expect![[r#"
        a 0..2 sample
        b 0..2 sample | b ends
        a 0..3 sample
        c 0..2 sample | c ends
        a 0..4 sample
        d 0..2 sample | d ends
        a 0..5 sample
        a 5..6 sample
        a 6..7 sample
        a 7..8 sample
        a 8..9 sample
    "#]],
    );
}

/// Long background sequences run one after the other, short ones together; regular requests are not held back.
#[test]
fn so_much_of_it_runs_at_once_and_no_more() {
    let limits = Limits { n_slots: 3, n_background_cells: 10, ..LIMITS };
    check(
        limits,
        "add a prompt=7 max=2 background; add b prompt=5 max=2 background; add c prompt=2 max=1 background; step; step; step; step; step",
        expect![[r#"
            a 0..7 sample
            a 7..8 sample | a ends
            c 0..2 sample | c ends
            b 0..5 sample
            b 5..6 sample | b ends
        "#]],
    );
    check(
        limits,
        "add a prompt=7 max=2 background; add b prompt=5 max=2 background; step; add c prompt=5 max=1; step; step; step; step",
        expect![[r#"
            a 0..7 sample
            a 7..8 sample | c 0..4 | a ends
            b 0..4 | c 4..5 sample | c ends
            b 4..5 sample
            b 5..6 sample | b ends
        "#]],
    );
}
