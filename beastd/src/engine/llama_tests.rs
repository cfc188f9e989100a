//! The real engine on the built-in model: however a prompt is computed, the outcome is the same but for rounding.

use std::path::Path;

use super::*;
use crate::engine::{ModelOptions, load, log_to_tracing};

const TEXT: &str = "Write a commit message for this diff. Use the imperative mood. The daemon keeps a model in memory and answers \
    on a socket; clients send a prompt and get tokens back, one by one, until the model has nothing more to say. A scheduler puts \
    the tokens of several requests into one batch, and a cache keeps the beginnings that they share.";

/// Largest difference of a logit that rounding explains: sums of a row are added up in another order in a larger batch.
const ROUNDING: f32 = 0.35;

fn model() -> LoadedModel {
    // Without a subscriber this silences llama.cpp.
    log_to_tracing();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cub/cub.gguf");
    load(&ModelOptions { path, n_gpu_layers: Some(0), mmap: true }, |_| true).expect("the built-in model is there")
}

fn engine(model: &LoadedModel) -> LlamaEngine<'_> {
    let options = ContextOptions { n_cells: 2048, n_places: 8, n_batch: 512, n_ubatch: 128, n_threads: 1 };
    LlamaEngine::new(model, &options).expect("there is memory for a small context")
}

fn tokens(model: &LoadedModel) -> Vec<Token> {
    let tokens = model.model.vocab().tokenize(TEXT.as_bytes(), true, false);
    tokens.into_iter().map(|token| Token(token.0)).collect()
}

fn row(slot: u32, pos: usize, tokens: &[Token], sample: bool) -> Row {
    let pos = u32::try_from(pos).expect("short");
    Row { seq: SeqId(slot.into()), slot: SlotId(slot), pos, tokens: tokens.to_vec(), sample }
}

/// Runs the rows and returns the logits after the last token of the last row.
fn logits(engine: &mut LlamaEngine<'_>, edits: Vec<KvEdit>, rows: Vec<Row>) -> Vec<f32> {
    for row in &rows {
        engine.arm(row.seq, &SamplingParams::GREEDY);
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
    let mut engine = engine(&model);
    let whole = logits(&mut engine, vec![], vec![row(0, 0, &tokens, true)]);

    let mut chunked = Vec::new();
    for start in (0..n).step_by(20) {
        let end = (start + 20).min(n);
        chunked = logits(&mut engine, vec![], vec![row(1, start, &tokens[start..end], true)]);
    }
    assert!(difference(&whole, &chunked) < ROUNDING, "chunked: {}", difference(&whole, &chunked));

    // The beginning is computed in one slot, kept in a place, and copied to another slot; the first goes on with something else.
    logits(&mut engine, vec![], vec![row(2, 0, &tokens[..30], true)]);
    let copies = vec![KvEdit::Copy { from: SlotId(2), to: SlotId(6) }, KvEdit::Copy { from: SlotId(6), to: SlotId(3) }];
    logits(&mut engine, copies, vec![row(2, 30, &tokens[50..80], true)]);
    let copied = logits(&mut engine, vec![], vec![row(3, 30, &tokens[30..], true)]);
    assert!(difference(&whole, &copied) < ROUNDING, "copied: {}", difference(&whole, &copied));

    // The kept one is still as it was, and slots can be emptied around it.
    let edits =
        vec![KvEdit::Clear(SlotId(3)), KvEdit::Clear(SlotId(2)), KvEdit::Copy { from: SlotId(6), to: SlotId(3) }];
    let rows = vec![row(2, 0, &tokens[5..70], true), row(3, 30, &tokens[30..], true)];
    let batched = logits(&mut engine, edits, rows);
    assert!(difference(&whole, &batched) < ROUNDING, "batched: {}", difference(&whole, &batched));

    // Another number of threads, in the middle of it all.
    assert_eq!(engine.set_threads(2), Ok(true));
    let edits = vec![KvEdit::Clear(SlotId(3)), KvEdit::Copy { from: SlotId(6), to: SlotId(3) }];
    let moved = logits(&mut engine, edits, vec![row(3, 30, &tokens[30..], true)]);
    assert!(difference(&whole, &moved) < ROUNDING, "moved: {}", difference(&whole, &moved));

    // The measure can fail: one wrong token in the middle makes a larger difference.
    let mut wrong = tokens.clone();
    wrong[30] = wrong[31];
    let wrong = logits(&mut engine, vec![KvEdit::Clear(SlotId(0))], vec![row(0, 0, &wrong, true)]);
    assert!(difference(&whole, &wrong) > 2.0 * ROUNDING, "wrong: {}", difference(&whole, &wrong));
}
