use super::*;

const DEFAULTS: SamplingDefaults =
    SamplingDefaults { temp: 0.3, top_k: 40, top_p: 0.9, min_p: 0.1, repeat_penalty: 1.05, ..SamplingDefaults::OURS };
const N_VOCAB: usize = 100;

fn settle(change: impl FnOnce(&mut Sampling)) -> Result<SamplingParams, WireError> {
    let mut sampling = Sampling { seed: Some(7), ..Sampling::default() };
    change(&mut sampling);
    DEFAULTS.settle(&sampling, N_VOCAB)
}

/// Checks which values a parameter accepts.
fn check(set: impl Fn(&mut Sampling, f32), good: &[f32], bad: &[f32], name: &str) {
    for &value in good {
        let outcome = settle(|sampling| set(sampling, value));
        assert!(outcome.is_ok(), "{name} {value}: {outcome:?}");
    }
    for &value in bad.iter().chain(&[f32::NAN, f32::INFINITY]) {
        let error = settle(|sampling| set(sampling, value)).expect_err(name);
        assert_eq!(error.code, ErrorCode::Invalid);
        assert!(error.message.starts_with(&format!("{name} is {value}; it must be")), "{error}");
    }
}

#[test]
fn what_is_left_open_is_the_models() {
    let params = settle(|_| ()).expect("fine");
    let penalties = Penalties { repeat: 1.05, ..Penalties::NONE };
    let expected =
        SamplingParams { temp: 0.3, top_k: 40, top_p: 0.9, min_p: 0.1, penalties, seed: 7, ..SamplingParams::GREEDY };
    assert_eq!(params, expected);
}

#[test]
fn every_number_has_its_range() {
    let huge = f32::MAX;
    check(|s, x| s.temp = Some(x), &[0.0, -0.0, 1e-30, 2.0, huge], &[-1e-30, -1.0, f32::NEG_INFINITY], "temp");
    check(|s, x| s.top_p = Some(x), &[1e-30, 0.5, 1.0], &[0.0, -0.0, 1.1, -1.0], "top_p");
    check(|s, x| s.min_p = Some(x), &[0.0, -0.0, 0.5, 1.0], &[-0.1, 1.1], "min_p");
    check(|s, x| s.repeat_penalty = Some(x), &[1e-3, 1.0, 5.0], &[0.0, -0.0, -1.0], "repeat_penalty");
    let bad = [-2.1, 2.1, f32::NEG_INFINITY];
    check(|s, x| s.frequency_penalty = Some(x), &[-2.0, -0.0, 2.0], &bad, "frequency_penalty");
    check(|s, x| s.presence_penalty = Some(x), &[-2.0, -0.0, 2.0], &bad, "presence_penalty");
    check(|s, x| s.dry_multiplier = Some(x), &[0.0, 0.8, huge], &[-0.1, f32::NEG_INFINITY], "dry_multiplier");
    check(|s, x| s.dry_base = Some(x), &[1.0, 1.75, huge], &[0.0, 0.99, -2.0], "dry_base");
    check(|s, x| s.xtc_probability = Some(x), &[0.0, 0.5, 1.0], &[-0.1, 1.1], "xtc_probability");
    check(|s, x| s.xtc_threshold = Some(x), &[0.0, 0.1, 1.0], &[-0.1, 1.1], "xtc_threshold");
    let bias = |s: &mut Sampling, x| s.logit_bias = vec![(3, x)];
    check(bias, &[-100.0, -0.0, 100.0, f32::NEG_INFINITY], &[-huge, huge, 10_001.0], "logit_bias of token 3");
}

#[test]
fn a_bias_is_for_a_token_of_the_vocabulary() {
    for token in [-1, 100, i32::MIN, i32::MAX] {
        let error = settle(|sampling| sampling.logit_bias = vec![(0, 1.0), (token, 1.0)]).expect_err("no such token");
        assert_eq!(error.message, format!("logit_bias names token {token}; the vocabulary has 100"));
    }
    let params = settle(|sampling| sampling.logit_bias = vec![(0, 1.0), (99, -1.0)]).expect("fine");
    assert_eq!(params.logit_bias, [(Token(0), 1.0), (Token(99), -1.0)]);
    let n_most = |n| settle(|sampling| sampling.logit_bias = vec![(0, 1.0); n]);
    assert!(n_most(MAX_BIASES).is_ok());
    assert_eq!(
        n_most(MAX_BIASES + 1).expect_err("too many").message,
        "logit_bias has 1025 entries; at most 1024 are allowed"
    );
}

#[test]
fn temp_0_drops_the_models_repeat_penalty_but_not_the_requests() {
    for temp in [0.0, -0.0] {
        let params = settle(|sampling| sampling.temp = Some(temp)).expect("fine");
        assert_eq!(params.penalties, Penalties::NONE, "the most likely token is meant");
    }
    let asked = settle(|sampling| (sampling.temp, sampling.repeat_penalty) = (Some(0.0), Some(1.3))).expect("fine");
    assert_eq!(asked.penalties.repeat, 1.3);
}

#[test]
fn the_same_goes_for_dry() {
    let defaults = SamplingDefaults { dry: Dry { multiplier: 0.8, base: 2.0, ..Dry::NONE }, ..DEFAULTS };
    let settle = |sampling: &Sampling| defaults.settle(sampling, N_VOCAB).expect("fine").dry;
    assert_eq!(settle(&Sampling::default()), defaults.dry);
    assert_eq!(settle(&Sampling { temp: Some(0.0), ..Sampling::default() }).multiplier, 0.0);
    let asked = Sampling { temp: Some(0.0), dry_multiplier: Some(0.5), ..Sampling::default() };
    assert_eq!(settle(&asked), Dry { multiplier: 0.5, ..defaults.dry });
}

#[test]
fn without_a_seed_each_request_differs() {
    let seed = || DEFAULTS.settle(&Sampling::default(), N_VOCAB).expect("fine").seed;
    let seeds: std::collections::HashSet<u32> = (0..8).map(|_| seed()).collect();
    assert!(seeds.len() > 1, "{seeds:?}");
}
