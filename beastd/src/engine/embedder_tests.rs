use super::super::Engine;
use super::super::llama::tests::{engine, model, tokens};
use super::*;
use crate::batch::Token;

fn embed(engine: &mut impl Engine, text: &[Token], n_chunk: usize) -> Vec<f32> {
    for start in (0..text.len()).step_by(n_chunk) {
        let end = text.len().min(start + n_chunk);
        match engine.embed(&[Piece { text, chunk: start..end }]).expect("there is memory").remove(0) {
            Some(vector) => return vector,
            None => assert!(end < text.len()),
        }
    }
    panic!("the last chunk gives the vector")
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn the_same_text_gives_the_same_vector_of_length_one() {
    let model = model();
    let mut engine = engine(&model);
    let text = tokens(&model);
    let vector = embed(&mut engine, &text, 32);
    assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
    // Another text in between, and one that is never finished.
    let other = embed(&mut engine, &text[20..60], 32);
    assert!(cosine(&vector, &other) < 0.999);
    assert_eq!(engine.embed(&[Piece { text: &text, chunk: 0..32 }]), Ok(vec![None]));
    assert_eq!(embed(&mut engine, &text, 32), vector);
    engine.stop_embedding();
    assert_eq!(embed(&mut engine, &text, 32), vector, "with memory of its own again");
}

#[test]
fn chunks_and_a_larger_context_change_nothing_but_rounding() {
    let model = model();
    let mut engine = engine(&model);
    let text: Vec<Token> = tokens(&model).into_iter().cycle().take(1500).collect();
    let short = &text[..90];
    let whole = embed(&mut engine, short, 90);
    for n_chunk in [7, 32, 64] {
        let vector = embed(&mut engine, short, n_chunk);
        assert!(cosine(&whole, &vector) > 0.9999, "{n_chunk}: {}", cosine(&whole, &vector));
    }
    let long = embed(&mut engine, &text, 300);
    assert!((cosine(&long, &long) - 1.0).abs() < 1e-5, "longer than the first context, in larger chunks");
    assert!(cosine(&whole, &embed(&mut engine, short, 32)) > 0.9999);
}

#[test]
fn texts_that_share_a_batch_get_what_each_gets_alone() {
    let model = model();
    let mut engine = engine(&model);
    let text: Vec<Token> = tokens(&model).into_iter().cycle().take(200).collect();
    let short = [&text[..20], &text[100..103], &text[50..51]];
    let alone: Vec<_> = short.iter().map(|text| embed(&mut engine, text, 64)).collect();
    let long = embed(&mut engine, &text[..100], 64);
    let whole = |text| Piece { text, chunk: 0..text.len() };
    let together = engine.embed(&short.map(whole)).expect("there is memory");
    // The last piece of a long text in one batch with short texts.
    for chunk in [0..16, 16..64] {
        assert_eq!(engine.embed(&[Piece { text: &text[..100], chunk }]), Ok(vec![None]));
    }
    let rest = Piece { text: &text[..100], chunk: 64..100 };
    let beside = engine.embed(&[&[rest][..], &short.map(whole)].concat()).expect("there is memory");
    let near = |a: &[f32], b: &Option<Vec<f32>>| {
        let similarity = cosine(a, b.as_ref().expect("it ends"));
        assert!(similarity > 0.9999, "{similarity}");
    };
    near(&long, &beside[0]);
    for ((alone, together), beside) in alone.iter().zip(&together).zip(&beside[1..]) {
        near(alone, together);
        near(alone, beside);
    }
}

/// The size of chunks depends on what else is computed.
#[test]
fn chunks_of_a_text_may_grow() {
    let model = model();
    let options = ContextOptions {
        n_cells: 512,
        is_divided: false,
        kv_type: crate::engine::KvType::F16,
        n_places: 1,
        n_batch: 256,
        n_ubatch: 256,
        n_threads: 1,
        n_draft: 0,
    };
    let mut engine = super::super::LlamaEngine::new(&model, &options).expect("there is memory");
    let text: Vec<Token> = tokens(&model).into_iter().cycle().take(200).collect();
    let whole = embed(&mut engine, &text, 50);
    engine.stop_embedding();
    assert_eq!(engine.embed(&[Piece { text: &text, chunk: 0..8 }]), Ok(vec![None]));
    let vector = engine.embed(&[Piece { text: &text, chunk: 8..200 }]).expect("there is memory").remove(0);
    assert!(cosine(&whole, &vector.expect("it ends")) > 0.9999);
}

#[test]
fn what_generates_is_not_disturbed() {
    use super::super::llama::tests::row;
    use crate::batch::{Batch, SamplingParams, SeqId};

    let model = model();
    let mut engine = engine(&model);
    let text = tokens(&model);
    let step = |engine: &mut super::super::LlamaEngine<'_>, slot: u32, pos, tokens: &[Token]| {
        engine.arm(SeqId(slot.into()), &SamplingParams::GREEDY, None);
        let rows = vec![row(slot, pos, tokens, true)];
        engine.step(&Batch { edits: vec![], rows }).expect("room").remove(0).tokens[0]
    };
    let first = step(&mut engine, 0, 0, &text);
    let second = step(&mut engine, 0, text.len(), &[first]);
    assert_eq!(step(&mut engine, 1, 0, &text), first);
    embed(&mut engine, &text[10..70], 32);
    assert_eq!(step(&mut engine, 1, text.len(), &[first]), second);
}

#[test]
fn near_sentences_are_nearer_than_far_ones() {
    let model = model();
    let mut engine = engine(&model);
    let mut of = |text: &str| {
        let tokens = model.model.vocab().tokenize(text.as_bytes(), true, false);
        embed(&mut engine, &tokens.into_iter().map(|token| Token(token.0)).collect::<Vec<_>>(), 32)
    };
    let near = cosine(&of("Fix a bug in the parser."), &of("Fix a bug in the scanner."));
    let far = cosine(&of("Fix a bug in the parser."), &of("12 + 30 = 42; 7 * 6 = 42"));
    assert!(near > far, "{near} and {far}");
}

#[test]
fn only_what_has_a_direction_becomes_a_vector() {
    assert_eq!(unit(vec![3.0, 0.0, -4.0]), Some(vec![0.6, 0.0, -0.8]));
    for vector in [vec![0.0; 3], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0], vec![]] {
        assert_eq!(unit(vector), None);
    }
}
