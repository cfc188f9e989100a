use std::fmt::Write;

use expect_test::expect;
use proptest::prelude::*;

use super::tests::{LIMITS, check, prompt};
use super::*;

#[test]
fn running_sequences_come_first_and_halve_the_chunk_of_the_others() {
    check(
        LIMITS,
        "add a prompt=2 max=9; step; add b prompt=10 max=2; step; step; step; step",
        expect![[r#"
        a 0..2 sample
        a 2..3 sample | b 0..4
        a 3..4 sample | b 4..8
        a 4..5 sample | b 8..10 sample
        a 5..6 sample | b 10..11 sample | b ends
    "#]],
    );
}

const LONE: Limits = Limits { lone_chunk: 16, n_batch: 32, n_cells: 256, ..LIMITS };

#[test]
fn a_prompt_that_is_alone_is_read_in_larger_chunks_until_somebody_comes() {
    check(
        LONE,
        "add a prompt=40 max=2; step; add b prompt=20 max=1; step; step; cancel b; step",
        expect![[r#"
        a 0..16
        b 0..8
        b 8..16
        a 16..32
    "#]],
    );
}

#[test]
fn a_prompt_that_was_interrupted_once_goes_on_in_regular_chunks() {
    check(
        LONE,
        "add a prompt=100 max=1; step; interrupt; add b prompt=5 max=1; step; step; step; cancel a; add c prompt=40 max=1; step",
        expect![[r#"
            a 0..16
            a 16..32 → given up
            b 0..5 sample | b ends
            a 16..24
            a 24..32
            c 0..16
        "#]],
    );
}

#[test]
fn what_a_given_up_step_copied_stays_copied() {
    let limits = Limits { n_prefixes: 2, ..LONE };
    check(
        limits,
        "add a prompt=30 max=1 keep=20; step; step; step; add b prompt=60 max=1 keep=20; interrupt; step",
        expect![[r#"
            a 0..16
            a 16..20
            copy 0 to 3 | a 20..30 sample | a ends
            copy 0 to 2 | copy 2 to 0 | b 30..46 → given up
            b 30..38
        "#]],
    );
}

#[test]
fn a_short_prompt_gets_its_first_token_in_the_step_after_it_comes() {
    check(
        LIMITS,
        "add a prompt=40 max=2; step; add b prompt=3 max=1; step; step",
        expect![[r#"
        a 0..8
        b 0..3 sample | b ends
        a 8..16
    "#]],
    );
}

/// Two rows of different lengths would need two passes, and the short prompt would wait for both.
#[test]
fn a_step_reads_one_prompt() {
    let limits = Limits { n_slots: 4, n_cells: 256, ..LIMITS };
    check(
        limits,
        "add a prompt=20 max=1; add b prompt=20 max=1; add c prompt=5 max=1; add d prompt=2 max=1; step; step; step; step; step; step",
        expect![[r#"
            d 0..2 sample | d ends
            c 0..5 sample | c ends
            a 0..8
            a 8..16
            a 16..20 sample | a ends
            b 0..8
        "#]],
    );
}

/// On a GPU, rows of one length are one pass.
#[test]
fn prompts_that_can_take_as_many_tokens_come_along_where_that_costs_little() {
    let limits = Limits { n_slots: 5, n_cells: 256, n_batch: 32, prefill_chunk: 20, is_parallel: true, ..LIMITS };
    check(
        limits,
        "add a prompt=6 max=3; step; add b prompt=5 max=1; add c prompt=4 max=3; add d prompt=4 max=1; step; step; step",
        expect![[r#"
            a 0..6 sample
            a 6..7 sample | c 0..4 sample | d 0..4 sample | d ends
            a 7..8 sample | b 0..5 sample | c 4..5 sample | a ends | b ends
            c 5..6 sample | c ends
        "#]],
    );
}

#[test]
fn those_that_come_along_are_neighbours_and_within_the_budget() {
    let limits = Limits { n_slots: 6, n_cells: 256, n_batch: 32, prefill_chunk: 12, is_parallel: true, ..LIMITS };
    check(
        limits,
        "add a prompt=9 max=1; add b prompt=3 max=1; add c prompt=4 max=1; add d prompt=4 max=1 keep=22
        add e prompt=2 max=1; add f prompt=30 max=1; step; step; step; step; step",
        expect![[r#"
            a 0..2 | b 0..2 | c 0..2 | d 0..2 | e 0..2 sample | f 0..2 | e ends
            b 2..3 sample | c 2..4 sample | d 2..4 sample | f 2..4 | b ends | c ends | d ends
            a 2..9 sample | a ends
            f 4..12
            f 12..20
        "#]],
    );
}

#[test]
fn every_eighth_step_is_for_the_oldest_prompt_whatever_comes_after() {
    let others: String = ('b'..='u').fold(String::new(), |mut script, name| {
        write!(script, "; add {name} prompt=3 max=1; step").expect("a string");
        script
    });
    check(
        LIMITS,
        &format!("add a prompt=20 max=1; step{others}; step; step"),
        expect![[r#"
        a 0..8
        b 0..3 sample | b ends
        c 0..3 sample | c ends
        d 0..3 sample | d ends
        e 0..3 sample | e ends
        f 0..3 sample | f ends
        g 0..3 sample | g ends
        h 0..3 sample | h ends
        a 8..16
        i 0..3 sample | i ends
        j 0..3 sample | j ends
        k 0..3 sample | k ends
        l 0..3 sample | l ends
        m 0..3 sample | m ends
        n 0..3 sample | n ends
        o 0..3 sample | o ends
        a 16..20 sample | a ends
        p 0..3 sample | p ends
        q 0..3 sample | q ends
        r 0..3 sample | r ends
        s 0..3 sample | s ends
        t 0..3 sample | t ends
        u 0..3 sample | u ends
    "#]],
    );
}

proptest! {
    /// No starvation: however many short requests arrive, the oldest prompt is computed in at least one step of eight.
    #[test]
    fn the_oldest_prompt_is_never_passed_over_for_long(
        n_slots in 2usize..6,
        chunk in 1usize..20,
        is_parallel in any::<bool>(),
        lengths in proptest::collection::vec(1usize..30, 60),
        fates in proptest::collection::vec(0u8..8, 60),
    ) {
        let limits = Limits { n_slots, prefill_chunk: chunk, lone_chunk: 2 * chunk, n_batch: 64, n_cells: 400, is_parallel, ..LIMITS };
        let mut scheduler = Scheduler::new(limits);
        let mut n_added = 0;
        let mut passed_over = (SeqId(0), 0);
        for (n, fate) in lengths.iter().zip(fates) {
            while scheduler.waiting().next().is_none() {
                n_added += 1;
                scheduler.add(Sequence::new(SeqId(n_added), prompt(n_added, *n), 2, 60)).expect("nobody waits");
            }
            let batch = scheduler.schedule(&[]);
            let reading = |seq| scheduler.running().find(|sequence| sequence.id == seq).is_some_and(|s| s.n_pending() > 1);
            let read: Vec<_> = batch.rows.iter().map(|row| row.seq).filter(|&seq| reading(seq)).collect();
            prop_assert!(is_parallel || read.len() <= 1, "two prompts in a step: {batch:?}");
            let of_prompts = batch.rows.iter().filter(|row| read.contains(&row.seq)).map(|row| row.tokens.len());
            let lengths: std::collections::HashSet<usize> = of_prompts.collect();
            prop_assert!(lengths.len() <= 1, "more than one length: {batch:?}");
            let oldest = scheduler.running().find(|sequence| sequence.n_pending() > 1).map(|sequence| sequence.id);
            if let (Some(oldest), false) = (oldest, read.is_empty()) {
                let n_before = if passed_over.0 == oldest { passed_over.1 } else { 0 };
                passed_over = (oldest, if read.contains(&oldest) { 0 } else { n_before + 1 });
                prop_assert!(passed_over.1 < 8, "{oldest:?} is passed over again and again");
            }
            // Sometimes the engine finds no room.
            if fate == 0 {
                scheduler.undo();
                continue;
            }
            let rows = batch.rows.iter().filter(|row| row.sample);
            let sampled: Vec<_> = rows
                .map(|row| Sampled { seq: row.seq, tokens: vec![Token(65)], logprobs: Vec::new(), stuck: None })
                .collect();
            for committed in scheduler.commit(&sampled).into_iter().filter(|committed| committed.at_limit) {
                scheduler.finish(committed.seq);
            }
            scheduler.check();
        }
    }
}

const SCORED: Limits =
    Limits { n_slots: 3, n_prefixes: 2, n_cells: 256, n_batch: 32, prefill_chunk: 16, lone_chunk: 16, ..LIMITS };

#[test]
fn prompts_that_are_scored_share_a_step_once_their_beginning_is_there() {
    check(
        SCORED,
        "add a prompt=24 max=1 keep=20,scored; step; step; step
        add b prompt=25 max=1 keep=20,scored; add c prompt=26 max=1 keep=20,scored; add d prompt=27 max=1 keep=20,scored
        step; step",
        expect![[r#"
            a 0..16
            a 16..20
            copy 0 to 4 | a 20..24 sample | a ends
            copy 4 to 0 | copy 4 to 1 | copy 4 to 2 | b 20..25 sample | c 20..26 sample | b ends | c ends
            d 20..27 sample | d ends
        "#]],
    );
}

#[test]
fn a_scored_prompt_that_does_not_fit_whole_waits_and_others_are_left_alone() {
    check(
        SCORED,
        "add a prompt=24 max=1 keep=20,scored; step; step; step
        add b prompt=31 max=1 keep=20,scored; add c prompt=32 max=1 keep=20,scored; add d prompt=40 max=1
        step; step; step",
        expect![[r#"
            a 0..16
            a 16..20
            copy 0 to 4 | a 20..24 sample | a ends
            copy 4 to 0 | copy 4 to 1 | copy 4 to 2 | b 20..31 sample | b ends
            c 20..32 sample | c ends
            d 20..36
        "#]],
    );
}
