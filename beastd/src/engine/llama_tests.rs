//! The real engine on the built-in model: however a prompt is computed, the result is the same up to rounding.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use super::*;
use crate::engine::{Drafter, Guesses, ModelOptions, load, log_to_tracing};

const TEXT: &str = "Write a commit message for this diff. Use the imperative mood. The daemon keeps a model in memory and answers \
    on a socket; clients send a prompt and get tokens back, one by one, until the model has nothing more to say. A scheduler puts \
    the tokens of several requests into one batch, and a cache keeps the beginnings that they share.";

/// Largest difference between logits that rounding explains: a larger batch sums rows in another order. The largest seen
/// is 0.452, with AVX2.
const ROUNDING: f32 = 0.455;

pub(in crate::engine) fn model() -> LoadedModel {
    // Without a subscriber this silences llama.cpp.
    log_to_tracing();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cub/cub.gguf");
    load(&ModelOptions { path, device: None, n_gpu_layers: None, mmap: true, repack: false, kernels: true }, |_| true)
        .expect("the built-in model is there")
}

pub(in crate::engine) fn engine(model: &LoadedModel) -> LlamaEngine<'_> {
    engine_with(model, false)
}

pub(in crate::engine) fn engine_with(model: &LoadedModel, is_divided: bool) -> LlamaEngine<'_> {
    engine_of(model, is_divided, crate::engine::KvType::F16)
}

pub(in crate::engine) const OPTIONS: ContextOptions = ContextOptions {
    n_cells: 2048,
    is_divided: false,
    kv_type: crate::engine::KvType::F16,
    n_places: 8,
    n_batch: 512,
    n_ubatch: 128,
    n_threads: 1,
    n_draft: 8,
};

pub(in crate::engine) fn engine_of(
    model: &LoadedModel,
    is_divided: bool,
    kv_type: crate::engine::KvType,
) -> LlamaEngine<'_> {
    let options = ContextOptions { is_divided, kv_type, ..OPTIONS };
    let mut engine = LlamaEngine::new(model, &options).expect("there is memory for a small context");
    engine.warm_up(Token(5), false).expect("two tokens can be computed");
    engine
}

pub(in crate::engine) fn tokens(model: &LoadedModel) -> Vec<Token> {
    let tokens = model.model.vocab().tokenize(TEXT.as_bytes(), true, false);
    tokens.into_iter().map(|token| Token(token.0)).collect()
}

pub(in crate::engine) fn row(slot: u32, pos: usize, tokens: &[Token], sample: bool) -> Row {
    let pos = u32::try_from(pos).expect("short");
    Row { seq: SeqId(slot.into()), slot: SlotId(slot), pos, tokens: tokens.to_vec(), n_draft: 0, sample }
}

/// Runs the rows and returns the logits after the last token of the last row.
fn logits(engine: &mut LlamaEngine<'_>, edits: Vec<KvEdit>, rows: Vec<Row>) -> Vec<f32> {
    for row in &rows {
        engine.arm(row.seq, &SamplingParams::GREEDY, None);
    }
    engine.step(&Batch { edits, rows }).expect("there is room");
    engine.context.get_logits_ith(engine.batch.n_tokens() - 1).to_vec()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn chunked_copied_and_batched_equal_whole() {
    let model = model();
    let tokens = tokens(&model);
    let n = tokens.len();
    assert!(n > 80, "{n} tokens are too few for this test");
    for is_divided in [false, true] {
        let mut engine = engine_with(&model, is_divided);
        let whole = logits(&mut engine, vec![], vec![row(0, 0, &tokens, true)]);

        let mut chunked = Vec::new();
        for start in (0..n).step_by(20) {
            let end = (start + 20).min(n);
            chunked = logits(&mut engine, vec![], vec![row(1, start, &tokens[start..end], true)]);
        }
        assert!(difference(&whole, &chunked) < ROUNDING, "chunked: {}", difference(&whole, &chunked));

        // A prefix is computed in one slot, cached in a place, and copied to another slot; the first slot then
        // continues with other tokens.
        logits(&mut engine, vec![], vec![row(2, 0, &tokens[..30], true)]);
        let copies =
            vec![KvEdit::Copy { from: SlotId(2), to: SlotId(6) }, KvEdit::Copy { from: SlotId(6), to: SlotId(3) }];
        logits(&mut engine, copies, vec![row(2, 30, &tokens[50..80], true)]);
        let copied = logits(&mut engine, vec![], vec![row(3, 30, &tokens[30..], true)]);
        assert!(difference(&whole, &copied) < ROUNDING, "copied: {}", difference(&whole, &copied));

        // The cached prefix is unchanged, and slots around it can be cleared.
        let edits =
            vec![KvEdit::Clear(SlotId(3)), KvEdit::Clear(SlotId(2)), KvEdit::Copy { from: SlotId(6), to: SlotId(3) }];
        let rows = vec![row(2, 0, &tokens[5..70], true), row(3, 30, &tokens[30..], true)];
        let batched = logits(&mut engine, edits, rows);
        assert!(difference(&whole, &batched) < ROUNDING, "batched: {}", difference(&whole, &batched));

        // The number of threads can change at any time.
        assert!(engine.set_threads(2));
        let edits = vec![KvEdit::Clear(SlotId(3)), KvEdit::Copy { from: SlotId(6), to: SlotId(3) }];
        let threaded = logits(&mut engine, edits, vec![row(3, 30, &tokens[30..], true)]);
        assert!(difference(&whole, &threaded) < ROUNDING, "threaded: {}", difference(&whole, &threaded));

        // Proves that the measure can fail: one wrong token in the middle makes a larger difference.
        let mut wrong = tokens.clone();
        wrong[30] = wrong[31];
        let wrong = logits(&mut engine, vec![KvEdit::Clear(SlotId(0))], vec![row(0, 0, &wrong, true)]);
        assert!(difference(&whole, &wrong) > 2.0 * ROUNDING, "wrong: {}", difference(&whole, &wrong));
    }
}

/// Decodes greedily from a prompt: returns `n` tokens, each with the logits from which it was chosen.
fn decode(engine: &mut LlamaEngine<'_>, slot: u32, prompt: &[Token], n: usize) -> Vec<(Token, Vec<f32>)> {
    let mut known = prompt.to_vec();
    let mut n_done = 0;
    let mut out = Vec::new();
    while out.len() < n {
        let logits = logits(engine, vec![], vec![row(slot, n_done, &known[n_done..], true)]);
        n_done = known.len();
        let token = Token(i32::try_from(super::super::sampler::argmax(&logits)).expect("small"));
        known.push(token);
        out.push((token, logits));
    }
    out
}

/// The answer of plain decoding to a prompt, with its logits.
struct Plain {
    slot: u32,
    prompt: Vec<Token>,
    answer: Vec<(Token, Vec<f32>)>,
}

impl Plain {
    /// Whether rounding could change one of `n` tokens, starting with the `nth`.
    fn is_close(&self, nth: usize, n: usize) -> bool {
        let is_close = |logits: &[f32]| {
            let best = logits.iter().copied().fold(f32::MIN, f32::max);
            logits.iter().filter(|logit| **logit > best - 2.0 * ROUNDING).count() > 1
        };
        self.answer[nth..nth + n].iter().any(|(_, logits)| is_close(logits))
    }
}

/// Decodes several sequences at once with `n_draft` drafts in each step, of which `n_right` are right, and compares the
/// logits after each step with those of plain decoding. Where rounding could change the choice, nothing is drafted, and
/// plain decoding's token is taken. Returns how many steps had drafts.
fn check_guessing(
    engine: &mut LlamaEngine<'_>,
    all: &[Plain],
    n_draft: usize,
    n_right: usize,
    mut between: impl FnMut(&mut LlamaEngine<'_>, usize),
) -> usize {
    let n_answer = all[0].answer.len();
    let rows: Vec<_> =
        all.iter().map(|plain| row(plain.slot, 0, &plain.prompt[..plain.prompt.len() - 1], false)).collect();
    for row in &rows {
        engine.arm(row.seq, &SamplingParams::GREEDY, None);
    }
    engine.step(&Batch { edits: vec![], rows }).expect("room");
    let (mut n_said, mut n_guessed) = (0, 0);
    for step in 0.. {
        if n_said + n_draft + 1 > n_answer {
            break;
        }
        let is_close = all.iter().any(|plain| plain.is_close(n_said, n_right + 1));
        let (n_draft, n_right) = if is_close { (0, 0) } else { (n_draft, n_right) };
        let rows = all.iter().map(|plain| {
            let said = |n: usize| plain.answer[n].0;
            let last = if n_said == 0 { plain.prompt[plain.prompt.len() - 1] } else { said(n_said - 1) };
            let right = (n_said..n_said + n_right).map(said);
            let wrong = (n_said + n_right..n_said + n_draft).map(|n| Token(said(n).0 ^ 1));
            let tokens = std::iter::once(last).chain(right).chain(wrong).collect();
            let pos = plain.prompt.len() - 1 + n_said;
            Row { n_draft, tokens, ..row(plain.slot, pos, &[], true) }
        });
        let rows: Vec<_> = rows.collect();
        let sampled = engine.step(&Batch { edits: vec![], rows }).expect("room");
        for (n, (plain, sampled)) in all.iter().zip(sampled).enumerate() {
            let text = format!("{n_draft} guesses, {n_right} right, {} slots, step {step}", all.len());
            assert!(is_close || sampled.tokens.len() == n_right + 1, "{text}: {sampled:?}");
            // Rows of logits: for each sequence, one after the known token and one after each draft.
            let idx = i32::try_from(n * (n_draft + 1) + n_right).expect("small");
            let off = difference(engine.context.get_logits_ith(idx), &plain.answer[n_said + n_right].1);
            assert!(off < ROUNDING, "{text}: off by {off}");
        }
        n_said += n_right + 1;
        n_guessed += usize::from(n_draft > 0);
        between(engine, step);
    }
    n_guessed
}

fn plain(engine: &mut LlamaEngine<'_>, tokens: &[Token], n_answer: usize) -> Vec<Plain> {
    let prompts = [&tokens[..60], &tokens[10..50], &tokens[20..], &tokens[5..70]];
    let one = |(slot, prompt): (u32, &&[Token])| {
        let answer = decode(engine, slot, prompt, n_answer);
        engine.edit(&[KvEdit::Clear(SlotId(slot))]).expect("emptied");
        Plain { slot, prompt: prompt.to_vec(), answer }
    };
    (0..).zip(&prompts).map(one).collect()
}

#[test]
fn guessing_ahead_changes_nothing_however_many_guesses_are_wrong() {
    let model = model();
    let tokens = tokens(&model);
    for is_divided in [false, true] {
        let mut engine = engine_with(&model, is_divided);
        assert_eq!(engine.n_rollback(), 8, "LFM2 can take guesses back");
        let all = plain(&mut engine, &tokens, 60);
        let clear: Vec<_> = (0..4).map(|slot| KvEdit::Clear(SlotId(slot))).collect();
        for (n_draft, n_right) in [(1, 0), (4, 0), (4, 2), (8, 1), (8, 8), (3, 3)] {
            let n_alone = check_guessing(&mut engine, &all[2..3], n_draft, n_right, |_, _| ());
            engine.edit(&clear).expect("emptied");
            let n_together = check_guessing(&mut engine, &all, n_draft, n_right, |_, _| ());
            engine.edit(&clear).expect("emptied");
            assert!(n_alone > 0 && (n_together > 0 || n_right > 4), "{n_draft}/{n_right}: {n_alone}, {n_together}");
        }
    }
}

#[test]
fn a_sequence_whose_guesses_were_wrong_can_be_copied_and_saved() {
    let model = model();
    let tokens = tokens(&model);
    for is_divided in [false, true] {
        let mut engine = engine_with(&model, is_divided);
        let all = plain(&mut engine, &tokens, 60);
        let one = &all[2..3];
        let n_guessed = check_guessing(&mut engine, one, 5, 1, |engine, step| {
            let (slot, place) = (SlotId(one[0].slot), SlotId(6));
            match step % 4 {
                // Moves the sequence to another place and back; it must then continue as before.
                0 => engine
                    .edit(&[
                        KvEdit::Copy { from: slot, to: place },
                        KvEdit::Clear(slot),
                        KvEdit::Copy { from: place, to: slot },
                        KvEdit::Clear(place),
                    ])
                    .expect("copied"),
                1 => {
                    let state = engine.save(slot).expect("saved");
                    engine.edit(&[KvEdit::Clear(slot)]).expect("emptied");
                    assert_eq!(engine.restore(slot, &state), Ok(true));
                }
                2 => assert!(engine.set_threads(1 + step % 2)),
                _ => {}
            }
        });
        assert!(n_guessed >= 4, "{n_guessed}");
    }
}

/// llama.cpp makes copies between divided cells with the next step; saving and restoring must wait for that.
#[test]
fn a_copy_that_waits_for_a_step_is_saved_and_not_overwritten() {
    let model = model();
    let tokens = tokens(&model);
    let mut engine = engine_with(&model, true);
    let (one, two) = (&tokens[..60], &tokens[20..]);
    let whole = logits(&mut engine, vec![], vec![row(0, 0, two, true)]);
    let other = engine.save(SlotId(0)).expect("saved");
    logits(&mut engine, vec![], vec![row(1, 0, one, true)]);
    let next = [tokens[60]];
    let after = logits(&mut engine, vec![], vec![row(1, one.len(), &next, true)]);
    engine.edit(&[KvEdit::Clear(SlotId(1))]).expect("emptied");
    logits(&mut engine, vec![], vec![row(1, 0, one, true)]);

    // Another state is restored into the place from which a copy is pending.
    engine.edit(&[KvEdit::Copy { from: SlotId(1), to: SlotId(5) }, KvEdit::Clear(SlotId(1))]).expect("copied");
    assert_eq!(engine.restore(SlotId(1), &other), Ok(true));
    let copied = logits(&mut engine, vec![], vec![row(5, one.len(), &next, true)]);
    assert!(difference(&after, &copied) < ROUNDING, "the copy: {}", difference(&after, &copied));
    let last = [two[two.len() - 1]];
    let restored = logits(&mut engine, vec![], vec![row(1, two.len(), &last, true)]);
    let known = logits(&mut engine, vec![], vec![row(0, two.len(), &last, true)]);
    assert!(difference(&known, &restored) < ROUNDING && difference(&whole, &known) > ROUNDING);

    // The copy is saved before any step.
    engine.edit(&[KvEdit::Copy { from: SlotId(0), to: SlotId(6) }]).expect("copied");
    let state = engine.save(SlotId(6)).expect("saved");
    assert_eq!(engine.restore(SlotId(3), &state), Ok(true));
    let [kept, again] = [6, 3].map(|slot| logits(&mut engine, vec![], vec![row(slot, two.len() + 1, &next, true)]));
    assert!(difference(&kept, &again) < ROUNDING, "the saved copy: {}", difference(&kept, &again));
}

#[test]
fn a_state_that_finds_no_room_leaves_the_slot_empty() {
    let model = model();
    let tokens = tokens(&model);
    let mut large = engine(&model);
    logits(&mut large, vec![], vec![row(0, 0, &tokens, true)]);
    let state = large.save(SlotId(0)).expect("saved");
    let options = ContextOptions { n_cells: 256, n_places: 4, n_batch: 256, ..OPTIONS };
    let mut small = LlamaEngine::new(&model, &options).expect("there is memory");
    let many = tokens.iter().cycle().take(240).copied().collect::<Vec<_>>();
    logits(&mut small, vec![], vec![row(1, 0, &many, true)]);
    assert_eq!(small.restore(SlotId(2), &state), Ok(false));
    small.edit(&[KvEdit::Clear(SlotId(1))]).expect("emptied");
    assert_eq!(small.restore(SlotId(2), &state), Ok(true), "with room it fits");
    let whole = logits(&mut large, vec![], vec![row(0, tokens.len(), &tokens[..1], true)]);
    let restored = logits(&mut small, vec![], vec![row(2, tokens.len(), &tokens[..1], true)]);
    assert!(difference(&whole, &restored) < ROUNDING);
}

#[test]
fn the_draft_model_foresees_much_of_what_the_model_says() {
    let model = model();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cub/cub-draft.gguf");
    let options = ModelOptions { path, device: None, n_gpu_layers: None, mmap: true, repack: false, kernels: true };
    let small = load(&options, |_| true).expect("the built-in draft model is there");
    let mut engine = engine(&model);
    let tokens = tokens(&model);
    let answer: Vec<_> = decode(&mut engine, 0, &tokens, 60).into_iter().map(|(token, _)| token).collect();
    let options = engine.options;
    let mut draft = super::super::DraftModel::new(&small, &model, 4, &options).expect("the same vocabulary");
    let (mut n_right, mut n_guessed) = (0, 0);
    let mut known = tokens.clone();
    // A long prompt is prefilled one chunk per call.
    loop {
        let Guesses { tokens, each_us } = draft.draft(SeqId(1), &known, 1);
        assert_eq!(each_us, None, "prefill is not what a guess takes");
        n_guessed += 1;
        if !tokens.is_empty() || n_guessed > 8 {
            break;
        }
    }
    n_guessed = 0;
    for n in 1..answer.len() {
        known.truncate(tokens.len());
        known.extend(&answer[..n]);
        let Guesses { tokens: guesses, each_us } = draft.draft(SeqId(1), &known, 4);
        assert!(each_us.is_some_and(|us| us > 0.0), "{each_us:?}");
        n_guessed += guesses.len();
        n_right += guesses.iter().zip(&answer[n..]).take_while(|(a, b)| a == b).count();
    }
    assert!(n_guessed > 20 && n_right * 2 > n_guessed, "{n_right} of {n_guessed} guesses were right");
}

/// An interrupt check that returns true after `nth` calls, and the number of calls.
fn asked(nth: usize) -> (IsInterrupted, Rc<Cell<usize>>) {
    let n_asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&n_asked);
    let is_interrupted = move || {
        count.set(count.get() + 1);
        count.get() > nth
    };
    (Rc::new(is_interrupted), n_asked)
}

fn step_unless(engine: &mut LlamaEngine<'_>, row: Row, nth: usize) -> (Result<Vec<Sampled>, EngineError>, usize) {
    engine.arm(row.seq, &SamplingParams::GREEDY, None);
    let (is_interrupted, n_asked) = asked(nth);
    let outcome = engine.step_unless(&Batch { edits: vec![], rows: vec![row] }, is_interrupted);
    (outcome, n_asked.get())
}

/// On other systems llama.cpp does not check for interrupts.
#[cfg(target_os = "linux")]
#[test]
fn a_step_that_is_given_up_leaves_everything_as_it_was() {
    let model = model();
    let tokens = tokens(&model);
    let mut engine = engine(&model);
    let (whole, end) = (logits(&mut engine, vec![], vec![row(0, 0, &tokens, true)]), tokens.len());
    let kept = SlotId(6);
    for start in [0, 40] {
        let chunk = row(1, start, &tokens[start..], true);
        let begin = |engine: &mut LlamaEngine<'_>| {
            let slots = (0..8).map(|slot| KvEdit::Clear(SlotId(slot)));
            engine.edit(&slots.collect::<Vec<_>>()).expect("emptied");
            if start > 0 {
                // A cached copy and an adjacent sequence, like the prefixes beside a prompt.
                logits(engine, vec![], vec![row(2, 0, &tokens[30..60], true), row(1, 0, &tokens[..start], true)]);
                engine.edit(&[KvEdit::Copy { from: SlotId(1), to: kept }]).expect("copied");
            }
        };
        begin(&mut engine);
        let (outcome, n_asked) = step_unless(&mut engine, chunk.clone(), usize::MAX);
        assert!(outcome.is_ok() && n_asked > 100, "{outcome:?} after {n_asked} questions");
        let undisturbed = engine.context.get_logits_ith(engine.batch.n_tokens() - 1).to_vec();
        assert!(difference(&whole, &undisturbed) < ROUNDING, "not given up: {}", difference(&whole, &undisturbed));
        for nth in [0, 1, n_asked / 3, n_asked / 2, n_asked - 2, n_asked - 1] {
            begin(&mut engine);
            let held = |engine: &LlamaEngine<'_>| {
                (0..8).map(|slot| engine.context.kv_cache_seq_pos_max(slot)).collect::<Vec<_>>()
            };
            let before = held(&engine);
            // Twice, as if the repeated step were interrupted too.
            for _ in 0..2 {
                assert_eq!(step_unless(&mut engine, chunk.clone(), nth).0, Err(EngineError::Interrupted));
                assert_eq!(held(&engine), before);
            }
            let again = logits(&mut engine, vec![], vec![chunk.clone()]);
            assert!(
                difference(&undisturbed, &again) < ROUNDING,
                "{start}, {nth}: {}",
                difference(&undisturbed, &again)
            );
            if start > 0 {
                let edits = vec![KvEdit::Copy { from: kept, to: SlotId(3) }];
                let copied = logits(&mut engine, edits, vec![row(3, start, &tokens[start..], true)]);
                assert!(difference(&whole, &copied) < ROUNDING, "a copy: {}", difference(&whole, &copied));
                let neighbour = logits(&mut engine, vec![], vec![row(2, 30, &tokens[60..end], true)]);
                let alone = logits(&mut engine, vec![KvEdit::Clear(SlotId(4))], vec![row(4, 0, &tokens[30..], true)]);
                assert!(difference(&alone, &neighbour) < ROUNDING, "a neighbour: {}", difference(&alone, &neighbour));
                engine.edit(&[KvEdit::Clear(SlotId(4))]).expect("emptied");
            }
        }
    }
}

#[test]
fn a_step_that_could_not_be_put_back_goes_to_its_end() {
    let model = model();
    let tokens = tokens(&model);
    let options = ContextOptions { n_cells: 512, n_places: 1, ..OPTIONS };
    let mut single = LlamaEngine::new(&model, &options).expect("there is memory");
    assert!(step_unless(&mut single, row(0, 0, &tokens[..40], false), 0).0.is_ok(), "there is no place for a copy");

    let mut engine = engine(&model);
    logits(&mut engine, vec![], vec![row(0, 0, &tokens[..40], true)]);
    let wrong = Row { n_draft: 4, ..row(0, 40, &[tokens[40]; 5], true) };
    let n_right = engine.step(&Batch { edits: vec![], rows: vec![wrong] }).expect("room")[0].tokens.len() - 1;
    assert!(engine.rolled_back.contains(&SlotId(0)), "{n_right} of 4 same words were right");
    assert!(step_unless(&mut engine, row(0, 41 + n_right, &tokens[41..80], false), 0).0.is_ok());
}

#[test]
fn helpers_in_place_of_threads_change_nothing() {
    let model = model();
    let tokens = tokens(&model);
    let options = ContextOptions { n_cells: 512, n_places: 2, n_batch: 128, n_threads: 3, n_draft: 0, ..OPTIONS };
    let mut engine = LlamaEngine::new(&model, &options).expect("there is memory");
    let answers = |engine: &mut LlamaEngine<'_>| {
        engine.edit(&[KvEdit::Clear(SlotId(0))]).expect("emptied");
        decode(engine, 0, &tokens, 20)
    };
    let together = answers(&mut engine);
    assert!(engine.set_threads(1));
    let helped = answers(&mut engine);
    assert!(engine.set_threads(3));
    let again = answers(&mut engine);
    for (n, ((token, logits), (helped, with_helpers))) in together.iter().zip(&helped).enumerate() {
        assert!(difference(logits, with_helpers) < ROUNDING, "token {n}");
        if token != helped {
            // A near tie, which rounding may decide; from here on, the texts differ.
            break;
        }
    }
    assert_eq!(again[0].0, together[0].0);
}

#[test]
fn steps_are_timed_and_leave_nothing() {
    let model = model();
    let mut engine = engine_with(&model, true);
    let (usual, change_us) = engine.time_steps(Token(5), &[1, 4, 8]).expect("room");
    assert_eq!(usual.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 4, 8]);
    assert!(usual.iter().all(|(_, us)| *us > 0.0) && change_us >= 0.0, "{usual:?}, {change_us}");
    assert!(engine.is_empty(SlotId(0)) && engine.samplers.is_empty());
}
