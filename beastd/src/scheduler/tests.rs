use std::fmt::Write;

use expect_test::{Expect, expect};

use super::*;

pub(super) const LIMITS: Limits = Limits {
    n_slots: 2,
    n_prefixes: 0,
    n_cells: 64,
    n_batch: 8,
    prefill_chunk: 8,
    lone_chunk: 8,
    n_waiting: 8,
    decode_width: 2,
    n_prefix_cells: usize::MAX,
    n_background_cells: usize::MAX,
    is_adjacent: false,
    is_parallel: false,
};

/// A prompt: one of three shared beginnings of 20 tokens, then tokens of its own.
pub(super) fn prompt(seed: u64, n: usize) -> Vec<Token> {
    let token = |i: usize| {
        let seed = if i < SHARED { seed % 3 } else { seed };
        Token(i32::try_from((seed * 31 + i as u64 * 7) % 256).expect("a byte"))
    };
    (0..n).map(token).collect()
}

pub(super) const SHARED: usize = 20;

/// Runs a script of `add NAME prompt=N max=N [keep=N|keep=N,scored|background]`, `step`, `full` (a step for which the
/// engine finds no room), `interrupt` (one that the engine interrupts), `cancel NAME` and `preempt`, and shows what
/// every step computed.
pub(super) fn check(limits: Limits, script: &str, expected: Expect) {
    let mut scheduler = Scheduler::new(limits);
    let mut out = String::new();
    let name = |id: SeqId| char::from(u8::try_from(id.0).expect("one letter"));
    let id = |name: &str| SeqId(u64::from(name.as_bytes()[0]));
    for command in script.split([';', '\n']).map(str::trim).filter(|command| !command.is_empty()) {
        match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["add", name, prompt_len, max] | ["add", name, prompt_len, max, _] => {
                let keep =
                    command.split_once("keep=").map(|(_, n)| n.trim_end_matches(",scored").parse().expect("a number"));
                let n_prompt = prompt_len.trim_start_matches("prompt=").parse().expect("a number");
                let n_max = max.trim_start_matches("max=").parse().expect("a number");
                let sequence = Sequence::new(id(name), prompt(1, n_prompt), n_max, limits.n_cells);
                let sequence = sequence.keeping(keep.into_iter().collect());
                let sequence = if command.ends_with(" background") { sequence.in_background() } else { sequence };
                let sequence = sequence.scored(command.ends_with(",scored"));
                if scheduler.add(sequence).is_err() {
                    writeln!(out, "{name} refused").expect("a string");
                }
            }
            ["step" | "full" | "interrupt", ref guesses @ ..] => {
                // NAME=N/R: N drafts, of which R are right.
                let guesses: Vec<(SeqId, usize, usize)> = guesses
                    .iter()
                    .map(|guess| {
                        let (name, n) = guess.split_once('=').expect("NAME=N/R");
                        let (n_draft, n_right) = n.split_once('/').expect("NAME=N/R");
                        (id(name), n_draft.parse().expect("a number"), n_right.parse().expect("a number"))
                    })
                    .collect();
                let drafts: Vec<_> = guesses.iter().map(|(id, n, _)| (*id, vec![Token(66); *n])).collect();
                let batch = scheduler.schedule(&drafts);
                scheduler.check();
                let mut rows = Vec::new();
                for edit in &batch.edits {
                    if let KvEdit::Copy { from, to } = edit {
                        rows.push(format!("copy {} to {}", from.0, to.0));
                    }
                }
                for row in &batch.rows {
                    let sample = if row.sample { " sample" } else { "" };
                    let guessed = if row.n_draft > 0 { format!(" +{}", row.n_draft) } else { String::new() };
                    let end = row.pos as usize + row.n_known();
                    rows.push(format!("{} {}..{end}{guessed}{sample}", name(row.seq), row.pos));
                }
                let outcome = match command {
                    "full" => Some(("no room", Scheduler::undo as fn(&mut Scheduler))),
                    "interrupt" => Some(("given up", Scheduler::interrupt as fn(&mut Scheduler))),
                    _ => None,
                };
                if let Some((outcome, forget)) = outcome {
                    forget(&mut scheduler);
                    scheduler.check();
                    writeln!(out, "{} → {outcome}", rows.join(" | ")).expect("a string");
                    continue;
                }
                let sampled: Vec<_> = batch
                    .rows
                    .iter()
                    .filter(|row| row.sample)
                    .map(|row| {
                        let n_right =
                            guesses.iter().find(|(id, ..)| *id == row.seq).map_or(0, |(_, _, n_right)| *n_right);
                        let tokens = vec![Token(65); n_right.min(row.n_draft) + 1];
                        Sampled { seq: row.seq, tokens, logprobs: Vec::new(), stuck: None }
                    })
                    .collect();
                let ended: Vec<_> =
                    scheduler.commit(&sampled).into_iter().filter(|c| c.at_limit).map(|c| c.seq).collect();
                for &seq in &ended {
                    scheduler.finish(seq);
                    rows.push(format!("{} ends", name(seq)));
                }
                writeln!(out, "{}", if rows.is_empty() { "nothing".into() } else { rows.join(" | ") })
                    .expect("a string");
            }
            ["cancel", name] => drop(scheduler.finish(id(name))),
            ["preempt"] => {
                let gone = match scheduler.make_room() {
                    Room::Evicted => "a prefix evicted".to_owned(),
                    Room::Preempted(id) => format!("{} preempted", name(id)),
                    Room::None => "nobody preempted".to_owned(),
                };
                writeln!(out, "{gone}").expect("a string");
            }
            _ => panic!("what is {command:?}?"),
        }
        scheduler.check();
    }
    expected.assert_eq(&out);
}

#[test]
fn a_prompt_is_read_in_chunks_and_then_decoded_token_by_token() {
    check(
        LIMITS,
        "add a prompt=10 max=3; step; step; step; step; step",
        expect![[r#"
        a 0..8
        a 8..10 sample
        a 10..11 sample
        a 11..12 sample | a ends
        nothing
    "#]],
    );
}

#[test]
fn who_finds_no_slot_waits_in_order_and_starts_when_one_is_free() {
    check(
        LIMITS,
        "add a prompt=1 max=1; add b prompt=1 max=3; add c prompt=1 max=1; add d prompt=1 max=1; step; step; step; step",
        expect![[r#"
        a 0..1 sample | b 0..1 sample | a ends
        b 1..2 sample | c 0..1 sample | c ends
        b 2..3 sample | d 0..1 sample | b ends | d ends
        nothing
    "#]],
    );
}

#[test]
fn the_queue_is_bounded() {
    let limits = Limits { n_waiting: 1, ..LIMITS };
    check(
        limits,
        "add a prompt=1 max=9; add b prompt=1 max=9; add c prompt=1 max=1; add d prompt=1 max=1; step; add e prompt=1 max=1; cancel a; step; add f prompt=1 max=1",
        expect![[r#"
        d refused
        a 0..1 sample | b 0..1 sample
        e refused
        b 1..2 sample | c 0..1 sample | c ends
    "#]],
    );
}

#[test]
fn a_cancelled_sequence_leaves_at_once_whether_it_waits_reads_or_decodes() {
    check(
        LIMITS,
        "add a prompt=20 max=5; add b prompt=2 max=9; add c prompt=2 max=2; step; cancel a; step; cancel b; step; cancel c; step",
        expect![[r#"
            b 0..2 sample
            b 2..3 sample | c 0..2 sample
            c 2..3 sample | c ends
            nothing
        "#]],
    );
}

#[test]
fn a_step_without_room_is_undone_and_the_youngest_gives_way() {
    check(
        LIMITS,
        "add a prompt=3 max=5; add b prompt=3 max=5; step; full; preempt; step; step; preempt; preempt; step",
        expect![[r#"
            a 0..3 sample
            a 3..4 sample | b 0..3 sample → no room
            b preempted
            a 3..4 sample
            a 4..5 sample
            nobody preempted
            nobody preempted
            a 5..6 sample
        "#]],
    );
}

#[test]
fn when_the_pool_is_smaller_than_the_sequences_grow_the_youngest_starts_again() {
    let limits = Limits { n_cells: 12, ..LIMITS };
    check(
        limits,
        "add a prompt=4 max=8; add b prompt=4 max=4; step; step; step; step; step; step; step; step; step; step; step; step",
        expect![[r#"
            a 0..4 sample
            a 4..5 sample | b 0..4 sample
            a 5..6 sample | b 4..5 sample
            a 6..7 sample
            a 7..8 sample
            a 8..9 sample
            a 9..10 sample
            a 10..11 sample | a ends
            b 0..6 sample
            b 6..7 sample | b ends
            nothing
            nothing
        "#]],
    );
}

#[test]
fn the_context_bounds_an_answer() {
    let limits = Limits { n_cells: 6, ..LIMITS };
    check(
        limits,
        "add a prompt=4 max=100; step; step; step",
        expect![[r#"
        a 0..4 sample
        a 4..5 sample | a ends
        nothing
    "#]],
    );
}

const KEEPING: Limits =
    Limits { n_prefixes: 2, n_cells: 200, n_batch: 32, prefill_chunk: 32, lone_chunk: 32, ..LIMITS };

#[test]
fn a_shared_beginning_is_computed_once_and_copied_from_then_on() {
    check(
        KEEPING,
        "add a prompt=40 max=1 keep=20; step; step; add b prompt=30 max=1 keep=20; add c prompt=20 max=2 keep=20; step; step; step",
        expect![[r#"
            a 0..20
            copy 0 to 3 | a 20..40 sample | a ends
            copy 0 to 2 | copy 3 to 0 | b 20..30 sample | b ends
            copy 0 to 2 | c 0..20 sample
            c 20..21 sample | c ends
        "#]],
    );
}

#[test]
fn a_conversation_goes_on_where_the_last_answer_ended() {
    check(
        KEEPING,
        "add a prompt=20 max=1; step; add b prompt=24 max=1; step; add c prompt=30 max=1; step; add d prompt=22 max=1; step",
        expect![[r#"
            a 0..20 sample | a ends
            copy 0 to 3 | copy 3 to 0 | b 20..24 sample | b ends
            copy 0 to 2 | copy 2 to 0 | c 24..30 sample | c ends
            copy 0 to 3 | d 0..22 sample | d ends
        "#]],
    );
}

#[test]
fn kept_prefixes_give_way_to_sequences() {
    let limits = Limits { n_cells: 48, ..KEEPING };
    check(
        limits,
        "add a prompt=20 max=1; step; add b prompt=21 max=1; step; add c prompt=40 max=4; step; step; step; step; step",
        expect![[r#"
            a 0..20 sample | a ends
            copy 0 to 3 | copy 3 to 0 | b 20..21 sample | b ends
            copy 0 to 3 | c 0..32
            c 32..40 sample
            c 40..41 sample
            c 41..42 sample
            c 42..43 sample | c ends
        "#]],
    );
}

#[test]
fn guesses_are_computed_with_the_known_token_and_those_that_were_wrong_are_given_back() {
    check(
        LIMITS,
        "add a prompt=3 max=20; step; step a=3/1; step a=4/4; step a=2/0; step",
        expect![[r#"
        a 0..3 sample
        a 3..4 +3 sample
        a 5..6 +4 sample
        a 10..11 +2 sample
        a 11..12 sample
    "#]],
    );
}

#[test]
fn guesses_never_go_beyond_the_limit_of_an_answer_the_batch_or_the_cells() {
    check(
        LIMITS,
        "add a prompt=3 max=4; step; step a=7/0; step a=7/0; step a=7/0; add b prompt=2 max=50; step; step b=8/0; step b=7/7",
        expect![[r#"
            a 0..3 sample
            a 3..4 +7 sample
            a 4..5 +7 sample
            a 5..6 +7 sample | a ends
            b 0..2 sample
            b 2..3 sample
            b 3..4 +7 sample
        "#]],
    );
    let limits = Limits { n_cells: 9, ..LIMITS };
    check(
        limits,
        "add a prompt=4 max=5; step; step a=3/3; add b prompt=6 max=3; step; step b=2/2; step",
        expect![[r#"
            a 0..4 sample
            a 4..5 +3 sample | a ends
            b 0..6 sample
            b 6..7 +1 sample | b ends
            nothing
        "#]],
    );
}

#[test]
fn nobody_guesses_while_a_prompt_is_read() {
    check(
        LIMITS,
        "add a prompt=3 max=20; step; add b prompt=12 max=5; step a=3/3; step a=3/3; step a=2/2 b=2/1; step",
        expect![[r#"
            a 0..3 sample
            a 3..4 sample | b 0..4
            a 4..5 sample | b 4..8
            a 5..6 sample | b 8..12 sample
            a 6..7 sample | b 12..13 sample
        "#]],
    );
}

#[test]
fn when_more_decode_than_pays_they_take_turns() {
    let limits = Limits { n_slots: 3, decode_width: 2, ..LIMITS };
    check(
        limits,
        "add a prompt=1 max=9; add b prompt=1 max=9; add c prompt=1 max=9; step; step; step; step; cancel a; step",
        expect![[r#"
            a 0..1 sample | b 0..1 sample
            a 1..2 sample | c 0..1 sample
            a 2..3 sample | b 1..2 sample
            a 3..4 sample | c 1..2 sample
            b 2..3 sample | c 2..3 sample
        "#]],
    );
}

#[test]
fn kept_prefixes_have_a_bound_of_their_own() {
    let limits = Limits { n_prefix_cells: 45, ..KEEPING };
    check(
        limits,
        "add a prompt=20 max=1; step; add b prompt=41 max=1; step; add c prompt=50 max=1; step; step; add d prompt=60 max=1; step; step",
        expect![[r#"
            a 0..20 sample | a ends
            copy 0 to 3 | copy 3 to 0 | b 20..41 sample | b ends
            copy 0 to 3 | copy 3 to 0 | c 41..50 sample | c ends
            nothing
            copy 3 to 0 | d 41..60 sample | d ends
            nothing
        "#]],
    );
}

#[test]
fn a_prefix_from_disk_is_like_one_that_was_kept() {
    let mut scheduler = Scheduler::new(KEEPING);
    let tokens = prompt(1, 20);
    scheduler.add(Sequence::new(SeqId(1), prompt(1, 30), 1, 100)).expect("there is room");
    assert_eq!(scheduler.prefix_len(&prompt(1, 30)), 0);
    let place = scheduler.begin_restore(20).expect("there is room");
    assert!(scheduler.take_edits().is_empty());
    scheduler.restored(place, Some(tokens));
    scheduler.check();
    assert_eq!(scheduler.prefix_len(&prompt(1, 30)), 20);
    let batch = scheduler.schedule(&[]);
    assert_eq!((batch.edits.len(), batch.rows[0].pos), (1, 20), "copied, not computed");
    assert_eq!(scheduler.next_to_save(), None, "it is on disk already");

    let place = scheduler.begin_restore(20).expect("there is another place");
    scheduler.restored(place, None);
    scheduler.check();
    assert_eq!(scheduler.prefixes().n_entries, 1, "nothing came of that one");
}

#[test]
fn an_instruction_is_worth_saving_and_a_text_only_when_it_was_used_again() {
    let mut scheduler = Scheduler::new(KEEPING);
    scheduler.add(Sequence::new(SeqId(1), prompt(1, 40), 1, 100).keeping(vec![20])).expect("there is room");
    scheduler.schedule(&[]);
    scheduler.commit(&[]);
    scheduler.schedule(&[]);
    scheduler.commit(&[Sampled { seq: SeqId(1), tokens: vec![Token(1)], logprobs: Vec::new(), stuck: None }]);
    scheduler.finish(SeqId(1));
    assert_eq!(scheduler.prefixes().n_entries, 2, "the instruction and the whole");
    assert_eq!(scheduler.next_to_save().expect("the instruction").1, prompt(1, 20));
    assert_eq!(scheduler.next_to_save(), None);
    scheduler.add(Sequence::new(SeqId(2), prompt(1, 50), 1, 100)).expect("there is room");
    scheduler.schedule(&[]);
    assert_eq!(scheduler.next_to_save().expect("used again").1, prompt(1, 40));
}

#[test]
fn what_was_used_outlives_what_was_not() {
    let mut cache = PrefixCache::new(vec![SlotId(4), SlotId(5)]);
    let insert = |cache: &mut PrefixCache, tokens| {
        let place = cache.take_place().expect("there is one");
        cache.insert(place, tokens, false);
        place
    };
    let (used, unused) = (insert(&mut cache, prompt(1, 20)), insert(&mut cache, prompt(2, 20)));
    assert_eq!(cache.find(&prompt(1, 30)), Some((used, 20)));
    cache.hit(used);
    assert_eq!(cache.evict(None), Some(unused));
    assert_eq!(cache.find(&prompt(2, 30)), None);
    assert_eq!(cache.find(&prompt(1, 20)), None, "a token must be left to compute");
    // With new prefixes being inserted, the used one is evicted in the end too.
    let goes = (0..100).map(|n| {
        let fresh = insert(&mut cache, prompt(n + 10, 20));
        (cache.evict(None).expect("there are two"), fresh)
    });
    let n_survived = goes.take_while(|(gone, fresh)| gone == fresh).count();
    assert!((10..20).contains(&n_survived), "{n_survived}");
}

/// On a GPU the shape of a step is kept to the end of an answer.
#[test]
fn drafts_beyond_the_limit_are_computed_and_not_delivered() {
    let seq = SeqId(1);
    let mut scheduler = Scheduler::new(LIMITS);
    scheduler.add(Sequence::new(seq, prompt(1, 3), 2, LIMITS.n_cells)).expect("there is room");
    let mut step = |drafts: &[Token], chosen: &[Token]| {
        let drafts = [(seq, drafts.to_vec())];
        let n_draft = scheduler.schedule(&drafts).rows[0].n_draft;
        let sampled = Sampled { seq, tokens: chosen.to_vec(), logprobs: Vec::new(), stuck: None };
        let committed = scheduler.commit(&[sampled]).remove(0);
        (n_draft, committed.tokens, committed.at_limit, committed.n_beyond)
    };
    assert_eq!(step(&[], &[Token(65)]), (0, vec![Token(65)], false, 0));
    assert_eq!(step(&[Token(66); 4], &[Token(66); 3]), (4, vec![Token(66)], true, 2));
    assert!(scheduler.finish(seq).is_some());
    scheduler.check();
}
