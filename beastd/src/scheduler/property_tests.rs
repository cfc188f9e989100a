//! Random histories: a request gets the same text whatever runs beside it.

use std::rc::Rc;

use proptest::prelude::*;

use super::tests::{SHARED, prompt};
use super::*;
use crate::batch::SamplingParams;
use crate::engine::fake::{self, FakeEngine};
use crate::engine::{Engine, EngineError};

#[derive(Debug, Clone)]
enum Move {
    Add {
        n_prompt: usize,
        n_max: usize,
        is_background: bool,
    },
    Cancel(usize),
    Step,
    /// A step that the engine interrupts.
    Interrupted,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => (1usize..40, 1usize..12, any::<bool>())
            .prop_map(|(n_prompt, n_max, is_background)| Move::Add { n_prompt, n_max, is_background }),
        1 => any::<prop::sample::Index>().prop_map(|n| Move::Cancel(n.index(64))),
        6 => Just(Move::Step),
        1 => Just(Move::Interrupted),
    ];
    proptest::collection::vec(one, 0..80)
}

/// Drafts for all sequences that can have some: the same number for each, of which the first ones are right.
fn drafts(scheduler: &Scheduler, n: usize) -> Vec<(SeqId, Vec<Token>)> {
    let (n_draft, n_right) = (n % 5, n / 5 % 5);
    let guess = |sequence: &Sequence| {
        let mut tokens = fake::answer(&sequence.tokens, 0, n_draft);
        tokens.iter_mut().skip(n_right).for_each(|token| token.0 ^= 1);
        (sequence.id, tokens)
    };
    scheduler.draftable().iter().map(guess).collect()
}

/// Drives scheduler and fake engine as the worker does; returns each sequence's prompt, limit and answer, without
/// cancelled ones.
fn run(limits: Limits, engine: &mut FakeEngine, moves: &[Move]) -> Vec<(Vec<Token>, usize, Vec<Token>)> {
    let mut scheduler = Scheduler::new(limits);
    let mut alive: Vec<SeqId> = Vec::new();
    let mut done = Vec::new();
    let mut n_added = 0;
    let drain = std::iter::repeat_n(&Move::Step, 4000);
    for (n, one) in moves.iter().chain(drain).enumerate() {
        match one {
            Move::Add { n_prompt, n_max, is_background } => {
                n_added += 1;
                let id = SeqId(n_added);
                let sequence =
                    Sequence::new(id, prompt(n_added, *n_prompt), *n_max, 48).keeping(vec![SHARED, n_prompt - 1]);
                let sequence = if *is_background { sequence.in_background() } else { sequence };
                if scheduler.add(sequence).is_ok() {
                    engine.arm(id, &SamplingParams::GREEDY, None);
                    alive.push(id);
                }
            }
            Move::Cancel(nth) => {
                if !alive.is_empty() {
                    let id = alive.remove(nth % alive.len());
                    assert!(scheduler.finish(id).is_some(), "the living can be found");
                    engine.disarm(id);
                }
            }
            Move::Step | Move::Interrupted => {
                let drafts = drafts(&scheduler, n);
                let batch = scheduler.schedule(&drafts);
                scheduler.check();
                let is_low = |row: &Row| (row.slot.0 as usize) < scheduler.running().count();
                assert!(!limits.is_adjacent || batch.rows.iter().all(is_low), "slots have gaps");
                if batch.rows.is_empty() {
                    assert!(scheduler.is_idle(), "work was left lying");
                    scheduler.undo();
                    if n >= moves.len() {
                        break;
                    }
                    continue;
                }
                assert!(batch.n_tokens() <= limits.n_batch, "a plan keeps to its budget");
                let is_interrupted = matches!((one, &batch.rows[..]), (Move::Interrupted, [row]) if row.n_draft == 0);
                let outcome = match is_interrupted {
                    true => engine.step_unless(&batch, Rc::new(|| true)),
                    false => engine.step(&batch),
                };
                match outcome {
                    Ok(sampled) => {
                        for committed in scheduler.commit(&sampled) {
                            if committed.tokens.contains(&fake::END) || committed.at_limit {
                                let sequence = scheduler.finish(committed.seq).expect("it was running");
                                engine.disarm(sequence.id);
                                alive.retain(|id| *id != sequence.id);
                                let mut tokens = sequence.tokens;
                                let mut answer = tokens.split_off(sequence.n_prompt);
                                answer.truncate(sequence.n_max - sequence.n_prompt);
                                answer.retain(|token| *token != fake::END);
                                done.push((tokens, sequence.n_max - sequence.n_prompt, answer));
                            }
                        }
                    }
                    Err(EngineError::CacheFull) => {
                        scheduler.undo();
                        assert!(scheduler.make_room() != Room::None, "one alone always fits");
                    }
                    Err(EngineError::Interrupted) => scheduler.interrupt(),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        scheduler.check();
    }
    assert!(alive.is_empty(), "all that was admitted ends");
    done
}

proptest! {
    /// A request gets the same text in a batch as alone.
    #[test]
    fn batched_equals_alone(moves in moves(), n_slots in 1usize..5, n_batch in 5usize..40, chunk in 1usize..40, is_adjacent in any::<bool>(), is_parallel in any::<bool>()) {
        let limits = Limits { n_slots, n_prefixes: 0, n_cells: 48 * n_slots, n_batch, prefill_chunk: chunk, lone_chunk: 2 * chunk, n_waiting: 6, decode_width: n_slots.min(3), n_prefix_cells: 0, n_background_cells: 40, is_adjacent, is_parallel };
        for (prompt, n_max, answer) in run(limits, &mut FakeEngine::default().rolling_back(4), &moves) {
            prop_assert_eq!(answer, fake::answer(&prompt, 0, n_max));
        }
    }

    /// A request gets the same text when its prefix is copied from the cache.
    #[test]
    fn copied_equals_computed(moves in moves(), n_slots in 1usize..5, n_prefixes in 1usize..5, chunk in 1usize..40, is_adjacent in any::<bool>(), is_parallel in any::<bool>()) {
        let limits = Limits { n_slots, n_prefixes, n_cells: 48 * n_slots + 60, n_batch: 40, prefill_chunk: chunk, lone_chunk: 2 * chunk, n_waiting: 6, decode_width: 2, n_prefix_cells: 100, n_background_cells: 60, is_adjacent, is_parallel };
        for (prompt, n_max, answer) in run(limits, &mut FakeEngine::default().rolling_back(4), &moves) {
            prop_assert_eq!(answer, fake::answer(&prompt, 0, n_max));
        }
    }

    /// A request gets the same text when the pool is too small for all sequences, and smaller than the scheduler
    /// believes.
    #[test]
    fn preempted_equals_undisturbed(moves in moves(), n_prefixes in 0usize..3, n_cells in 48usize..100, missing in 0usize..40, is_adjacent in any::<bool>(), is_parallel in any::<bool>()) {
        let limits = Limits { n_slots: 3, n_prefixes, n_cells, n_batch: 16, prefill_chunk: 8, lone_chunk: 12, n_waiting: 6, decode_width: 3, n_prefix_cells: 1000, n_background_cells: 30, is_adjacent, is_parallel };
        let mut engine = FakeEngine::with_cells(n_cells.saturating_sub(missing).max(48)).rolling_back(4);
        for (prompt, n_max, answer) in run(limits, &mut engine, &moves) {
            prop_assert_eq!(answer, fake::answer(&prompt, 0, n_max));
        }
    }
}
