//! Tokens that the real engine samples on the built-in model, and their log-probabilities.

use super::tests::{engine, model, row, tokens};
use super::*;
use crate::batch::{Dry, Logprobs, Penalties, Xtc};

const GREEDY: SamplingParams = SamplingParams::GREEDY;
const N: usize = 40;

/// Decodes `N` tokens with drafts from `guesses`, the nth for the nth token. Returns tokens, log-probabilities, and how
/// many drafts were accepted.
fn answer(
    engine: &mut LlamaEngine<'_>,
    sampling: &SamplingParams,
    n_logprobs: Option<usize>,
    guesses: &[Token],
) -> (Vec<Token>, Vec<Logprobs>, usize) {
    let (seq, slot) = (SeqId(77), SlotId(5));
    let prompt = tokens(engine.model);
    engine.edit(&[KvEdit::Clear(slot)]).expect("emptied");
    engine.arm(seq, sampling, n_logprobs);
    let n_prompt = prompt.len();
    let (mut known, mut n_done, mut likely, mut n_right) = (prompt, 0, Vec::new(), 0);
    while known.len() < n_prompt + N {
        let n_said = known.len() - n_prompt;
        let drafts = guesses.get(n_said..(n_said + 4).min(guesses.len())).unwrap_or_default();
        let drafts = if n_said > 0 { drafts } else { &[] };
        let tokens = [&known[n_done..], drafts].concat();
        let row = Row { seq, slot, n_draft: drafts.len(), ..row(5, n_done, &tokens, true) };
        let sampled = engine.step(&Batch { edits: vec![], rows: vec![row] }).expect("room").remove(0);
        n_done = known.len() + sampled.tokens.len() - 1;
        n_right += sampled.tokens.len() - 1;
        known.extend(sampled.tokens);
        likely.extend(sampled.logprobs);
    }
    engine.disarm(seq);
    let mut said = known.split_off(n_prompt);
    said.truncate(N);
    likely.truncate(N);
    (said, likely, n_right)
}

fn said(engine: &mut LlamaEngine<'_>, sampling: &SamplingParams) -> Vec<Token> {
    answer(engine, sampling, None, &[]).0
}

fn count(tokens: &[Token], token: Token) -> usize {
    tokens.iter().filter(|other| **other == token).count()
}

/// The token that occurs most often.
fn commonest(tokens: &[Token]) -> Token {
    *tokens.iter().max_by_key(|token| count(tokens, **token)).expect("there are some")
}

#[test]
fn log_probabilities_are_the_models_own() {
    let model = model();
    let mut engine = engine(&model);
    let (plain, none, _) = answer(&mut engine, &GREEDY, None, &[]);
    assert!(none.is_empty(), "nobody asked");
    let n_vocab = usize::try_from(engine.model.model.n_vocab()).expect("positive");
    let (all, likely, _) = answer(&mut engine, &GREEDY, Some(n_vocab), &[]);
    assert_eq!((&all, likely.len()), (&plain, N), "asking changes nothing");
    for (token, likely) in all.iter().zip(&likely) {
        assert_eq!(likely.top[0], (*token, likely.chosen), "the greedy choice is the likeliest");
        let sum: f64 = likely.top.iter().map(|(_, logprob)| f64::from(*logprob).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-3 && likely.top.len() == n_vocab, "{sum}");
    }
    // Biases and penalties change the choice but not the reported probabilities.
    let sampling = SamplingParams { logit_bias: vec![(plain[0], f32::NEG_INFINITY)], ..GREEDY };
    let (other, biased, _) = answer(&mut engine, &sampling, Some(3), &[]);
    assert_ne!(other[0], plain[0]);
    assert_eq!(biased[0].top, likely[0].top[..3]);
    assert_eq!(biased[0].top.iter().find(|(token, _)| *token == other[0]).map(|top| top.1), Some(biased[0].chosen));
}

#[test]
fn drafts_change_neither_choices_nor_log_probabilities() {
    let model = model();
    let mut engine = engine(&model);
    let (plain, likely, _) = answer(&mut engine, &GREEDY, Some(4), &[]);
    // Every fifth draft is wrong.
    let guesses: Vec<_> = plain.iter().zip(0..).map(|(t, n)| if n % 5 == 4 { Token(t.0 ^ 1) } else { *t }).collect();
    let (drafted, checked, n_right) = answer(&mut engine, &GREEDY, Some(4), &guesses);
    assert!(n_right > N / 3, "{n_right} guesses were right");
    assert_eq!(checked.len(), N);
    for (n, (a, b)) in likely.iter().zip(&checked).enumerate() {
        if drafted[n] != plain[n] {
            let [first, second, ..] = &a.top[..] else { panic!("four were asked for") };
            assert!(first.1 - second.1 < 0.9, "token {n} is no near tie: {a:?}");
            break;
        }
        // Rounding: a batch of another shape sums in another order.
        assert!((a.chosen - b.chosen).abs() < 0.5, "token {n}: {} and {}", a.chosen, b.chosen);
    }
}

#[test]
fn a_bias_forbids_or_forces_a_token() {
    let model = model();
    let mut engine = engine(&model);
    let plain = said(&mut engine, &GREEDY);
    let common = commonest(&plain);
    let forbidden = SamplingParams { logit_bias: vec![(common, f32::NEG_INFINITY)], ..GREEDY };
    let without = said(&mut engine, &forbidden);
    assert_eq!(count(&without, common), 0);
    let forced = SamplingParams { logit_bias: vec![(Token(300), 100.0)], ..GREEDY };
    assert_eq!(said(&mut engine, &forced), [Token(300); N]);
    for sampling in [&forbidden, &forced] {
        let drawn = SamplingParams { temp: 0.8, seed: 3, ..sampling.clone() };
        let drawn = said(&mut engine, &drawn);
        assert_eq!(count(&drawn, common), 0, "drawn at random it holds as well");
    }
    // With drafts: the unbiased answer is a wrong draft where the bias has an effect.
    let (drafted, _, n_right) = answer(&mut engine, &forbidden, None, &without);
    assert_eq!((drafted, count(&answer(&mut engine, &forbidden, None, &plain).0, common)), (without, 0));
    assert!(n_right > 0);
}

#[test]
fn penalties_keep_the_model_from_repeating_itself() {
    let model = model();
    let mut engine = engine(&model);
    let plain = said(&mut engine, &GREEDY);
    let (common, most) = (commonest(&plain), count(&plain, commonest(&plain)));
    assert!(most > 1, "something is said twice");
    let with = |penalties| SamplingParams { penalties, ..GREEDY };
    for penalties in [
        Penalties { repeat: 1.8, ..Penalties::NONE },
        Penalties { frequency: 2.0, ..Penalties::NONE },
        Penalties { presence: 2.0, ..Penalties::NONE },
    ] {
        let penalized = said(&mut engine, &with(penalties));
        assert_ne!(penalized, plain, "{penalties:?}");
        let first = plain.iter().position(|token| count(&plain[..plain.len()], *token) > 1).expect("see above");
        assert_eq!(penalized[..=first], plain[..=first], "before the first repetition nothing changes");
        let (drafted, _, n_right) = answer(&mut engine, &with(penalties), None, &penalized);
        assert_eq!(drafted, penalized, "guessed ahead, {n_right} right");
    }
    let none = Penalties { repeat: 1.8, frequency: 2.0, presence: 2.0, last_n: 0 };
    assert_eq!(said(&mut engine, &with(none)), plain, "no token is recent");
    let strong = Penalties { repeat: 1.8, frequency: 2.0, presence: 2.0, ..Penalties::NONE };
    assert!(count(&said(&mut engine, &with(strong)), common) < most);
}

/// Length of the longest sequence that occurs twice.
fn longest_repeat(tokens: &[Token]) -> usize {
    let same = |a: usize, b: usize| tokens[a..].iter().zip(&tokens[b..]).take_while(|(a, b)| a == b).count();
    let pairs = (0..tokens.len()).flat_map(|a| (a + 1..tokens.len()).map(move |b| (a, b)));
    pairs.map(|(a, b)| same(a, b)).max().unwrap_or(0)
}

#[test]
fn dry_ends_sequences_that_repeat_with_and_without_drafts() {
    let model = model();
    let mut engine = engine(&model);
    // Makes the model repeat the same two tokens.
    let bias: Vec<_> = [300, 301].map(|token| (Token(token), 1000.0)).into();
    let loops = SamplingParams { logit_bias: bias, ..GREEDY };
    let plain = said(&mut engine, &loops);
    assert!(longest_repeat(&plain) > 10, "{plain:?}");
    let dry = Dry { multiplier: 1e6, last_n: 4096, ..Dry::NONE };
    let penalized = SamplingParams { dry, ..loops.clone() };
    let dried = said(&mut engine, &penalized);
    assert!(longest_repeat(&dried) <= 3, "{dried:?}");
    assert_eq!(said(&mut engine, &penalized), dried, "it draws nothing");
    assert_eq!(answer(&mut engine, &penalized, None, &dried).0, dried, "guessed ahead");
    for none in [Dry { multiplier: 0.0, ..dry }, Dry { last_n: 0, ..dry }, Dry { allowed_length: 1000, ..dry }] {
        assert_eq!(said(&mut engine, &SamplingParams { dry: none, ..loops.clone() }), plain, "{none:?}");
    }
    let drawn = SamplingParams { temp: 0.7, seed: 5, dry, ..loops };
    let first = said(&mut engine, &drawn);
    assert!(longest_repeat(&first) <= 3, "{first:?}");
    assert_eq!(said(&mut engine, &drawn), first, "a seed repeats");
}

#[test]
fn xtc_drops_the_likeliest_and_a_seed_repeats() {
    let model = model();
    let mut engine = engine(&model);
    let drawn = |xtc| SamplingParams { temp: 0.01, seed: 11, xtc, ..GREEDY };
    let plain = said(&mut engine, &drawn(Xtc::NONE));
    let always = Xtc { probability: 1.0, threshold: 0.01 };
    let dropped = said(&mut engine, &drawn(always));
    assert_ne!(dropped, plain);
    assert_eq!(said(&mut engine, &drawn(always)), dropped, "a seed repeats");
    let often = drawn(Xtc { probability: 0.5, ..always });
    assert_eq!(said(&mut engine, &often), said(&mut engine, &often), "a seed repeats");
    for none in [Xtc { probability: 0.0, ..always }, Xtc { threshold: 0.51, ..always }] {
        assert_eq!(said(&mut engine, &drawn(none)), plain, "{none:?}");
    }
    assert_eq!(said(&mut engine, &SamplingParams { xtc: always, ..GREEDY }), said(&mut engine, &GREEDY), "greedy");
}

/// Extreme parameters neither end the process nor yield an invalid token.
#[test]
fn extreme_parameters_are_survived() {
    let model = model();
    let mut engine = engine(&model);
    let plain = said(&mut engine, &GREEDY);
    assert_eq!(said(&mut engine, &SamplingParams { temp: f32::MIN_POSITIVE, ..GREEDY }), plain, "as good as greedy");
    let n_vocab = engine.model.model.n_vocab();
    let all = (0..1024).map(|token| (Token(token), f32::NEG_INFINITY)).collect();
    let dry = Dry { multiplier: 1.0, last_n: 4096, ..Dry::NONE };
    for sampling in [
        SamplingParams { temp: f32::MAX, ..GREEDY },
        SamplingParams { temp: 1.0, top_p: f32::MIN_POSITIVE, ..GREEDY },
        SamplingParams { temp: 1.0, top_k: u32::MAX, min_p: 1.0, ..GREEDY },
        SamplingParams { temp: 1.0, logit_bias: all, ..GREEDY },
        SamplingParams { temp: 1.0, logit_bias: vec![(Token(9), 10_000.0); 1024], ..GREEDY },
        SamplingParams { temp: 1.0, penalties: Penalties { repeat: f32::MAX, ..Penalties::NONE }, ..GREEDY },
        SamplingParams { temp: 1.0, penalties: Penalties { repeat: 1e-38, ..Penalties::NONE }, ..GREEDY },
        SamplingParams { penalties: Penalties { repeat: 1e-38, ..Penalties::NONE }, ..GREEDY },
        SamplingParams { dry: Dry { multiplier: f32::MAX, base: f32::MAX, allowed_length: 0, last_n: 4096 }, ..GREEDY },
        SamplingParams { temp: 1.0, dry: Dry { multiplier: f32::MAX, base: 1.0, ..dry }, ..GREEDY },
        SamplingParams { temp: 1.0, dry: Dry { allowed_length: u32::MAX, ..dry }, ..GREEDY },
        SamplingParams { temp: 1.0, xtc: Xtc { probability: 1.0, threshold: 0.0 }, ..GREEDY },
        SamplingParams { temp: f32::MAX, xtc: Xtc { probability: 1.0, threshold: 1.0 }, ..GREEDY },
    ] {
        let said = said(&mut engine, &sampling);
        assert!(said.iter().all(|token| (0..n_vocab).contains(&token.0)), "{sampling:?}: {said:?}");
    }
}
