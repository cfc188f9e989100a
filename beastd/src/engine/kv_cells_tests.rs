use super::tests::{OPTIONS, engine_of, model, row, tokens};
use super::*;

/// The logits after all tokens, of which those beyond `middle` are computed in a second step.
fn logits(engine: &mut LlamaEngine<'_>, slot: u32, tokens: &[Token], middle: usize) -> Vec<f32> {
    for (range, sample) in [(0..middle, false), (middle..tokens.len(), true)] {
        let row = row(slot, range.start, &tokens[range], sample);
        engine.arm(row.seq, &SamplingParams::GREEDY, None);
        engine.step(&Batch { edits: Vec::new(), rows: vec![row] }).expect("there is room");
    }
    engine.context.get_logits_ith(engine.batch.n_tokens() - 1).to_vec()
}

#[test]
fn cells_of_8_bits_give_nearly_the_logits_of_those_with_16() {
    let model = model();
    let tokens = tokens(&model);
    let of = |kv_type| logits(&mut engine_of(&model, false, kv_type), 0, &tokens, tokens.len() - 3);
    let (full, small) = (of(crate::engine::KvType::F16), of(crate::engine::KvType::Q8_0));
    let spread = full.iter().copied().fold(f32::MIN, f32::max) - full.iter().copied().fold(f32::MAX, f32::min);
    let most = full.iter().zip(&small).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most > 0.0 && most < 0.02 * spread, "they differ by {most} of {spread}");
}

#[test]
fn a_state_of_8_bits_is_saved_and_comes_back() {
    let model = model();
    let tokens = tokens(&model);
    let (known, rest) = tokens.split_at(tokens.len() - 5);
    let mut engine = engine_of(&model, false, crate::engine::KvType::Q8_0);
    let straight = logits(&mut engine, 0, &tokens, known.len());
    engine.edit(&[KvEdit::Clear(SlotId(0))]).expect("a whole slot can be cleared");
    logits(&mut engine, 1, known, 1);
    let state = engine.save(SlotId(1)).expect("a slot can be saved");
    let as_f16 = {
        let mut engine = engine_of(&model, false, crate::engine::KvType::F16);
        logits(&mut engine, 1, known, 1);
        engine.save(SlotId(1)).expect("a slot can be saved")
    };
    assert!(state.bytes().len() < as_f16.bytes().len());
    assert!(engine.restore(SlotId(2), &state).expect("the engine works"), "its own state fits");
    let row = row(2, known.len(), rest, true);
    engine.arm(row.seq, &SamplingParams::GREEDY, None);
    engine.step(&Batch { edits: Vec::new(), rows: vec![row] }).expect("there is room");
    let after = engine.context.get_logits_ith(engine.batch.n_tokens() - 1);
    let most = straight.iter().zip(after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(most < 1e-3, "{most}");
    assert!(!engine.restore(SlotId(3), &as_f16).expect("the engine works"), "another type's state does not fit");
}

#[test]
fn as_many_states_as_are_allowed_fit_into_the_graph() {
    let model = model();
    let n_states = [crate::engine::KvType::F16, crate::engine::KvType::Q8_0].map(|kv_type| {
        let n_draft = model.max_states(kv_type) - 1;
        let options = ContextOptions { kv_type, n_draft, n_batch: 256, n_ubatch: 256, n_places: 4, ..OPTIONS };
        let mut engine = LlamaEngine::new(&model, &options).expect("there is memory");
        engine.warm_up(Token(5), false).expect("two tokens can be computed");
        // llama.cpp would end this process.
        let chunk = vec![Token(5); 200];
        let rows = (0..4).map(|slot| row(slot, 0, &chunk[..if slot == 0 { 200 } else { 1 }], slot > 0)).collect();
        (1..4).for_each(|slot| engine.arm(SeqId(slot), &SamplingParams::GREEDY, None));
        engine.step(&Batch { edits: Vec::new(), rows }).expect("there is room");
        n_draft + 1
    });
    assert!(n_states[0] > n_states[1] && n_states[1] > 16, "{n_states:?}");
}
