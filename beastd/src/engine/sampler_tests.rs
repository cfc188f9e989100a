use llama_cpp_2::token::logit_bias::LlamaLogitBias;
use proptest::prelude::*;

use super::*;
use crate::batch::{Ending, Penalties, Xtc};

/// llama.cpp's own chain over the whole vocabulary, with its own biases and penalties: slow, but authoritative.
fn reference(params: &SamplingParams, n_vocab: i32) -> LlamaSampler {
    let mut chain = Vec::new();
    if !params.logit_bias.is_empty() {
        let bias = |&(token, bias): &(Token, f32)| LlamaLogitBias::new(LlamaToken(token.0), bias);
        chain.push(LlamaSampler::logit_bias(n_vocab, &params.logit_bias.iter().map(bias).collect::<Vec<_>>()));
    }
    let Penalties { repeat, frequency, presence, last_n } = params.penalties;
    let last_n = i32::try_from(last_n).expect("few");
    chain.push(LlamaSampler::penalties(n_vocab, last_n, repeat, frequency, presence));
    if params.temp < MIN_TEMP {
        chain.push(LlamaSampler::greedy());
    } else {
        if params.top_k > 0 {
            chain.push(LlamaSampler::top_k(i32::try_from(params.top_k).expect("few")));
        }
        if params.top_p < 1.0 {
            chain.push(LlamaSampler::top_p(params.top_p, 1));
        }
        if params.min_p > 0.0 {
            chain.push(LlamaSampler::min_p(params.min_p, 1));
        }
        chain.push(LlamaSampler::xtc(params.xtc.probability, params.xtc.threshold, 1, params.seed));
        chain.push(LlamaSampler::temp(params.temp));
        chain.push(LlamaSampler::dist(params.seed));
    }
    LlamaSampler::chain(chain, true)
}

/// Checks that both make the same choices, row after row, each with its own history.
fn check(params: &SamplingParams, rows: &[Vec<f32>]) -> Result<(), TestCaseError> {
    let mut theirs = reference(params, i32::try_from(rows[0].len()).expect("small"));
    let mut ours = Sampler::new(params, None, &[Token(0)], None);
    for row in rows {
        let mut all = candidates((0..).zip(row.iter().copied()), false);
        let expected = choose(&mut theirs, &mut all);
        theirs.accept(expected);
        prop_assert_eq!(ours.sample(row, &Scan::of(row)).token, Token(expected.0));
    }
    Ok(())
}

fn params() -> impl Strategy<Value = SamplingParams> {
    let temp = prop_oneof![Just(0.0_f32), 0.05_f32..2.0];
    let filters = (
        prop_oneof![Just(0_u32), 1..70_u32],
        prop_oneof![Just(1.0_f32), 0.1_f32..1.0],
        prop_oneof![Just(0.0_f32), 0.01_f32..0.5],
    );
    let penalties = prop_oneof![
        Just(Penalties::NONE),
        (0.8_f32..1.5, -0.5_f32..0.9, -0.5_f32..0.9, 0..12_u32)
            .prop_map(|(repeat, frequency, presence, last_n)| Penalties { repeat, frequency, presence, last_n })
    ];
    let bias = proptest::collection::btree_map(0..500_i32, prop_oneof![-9.0_f32..9.0, Just(f32::NEG_INFINITY)], 0..4);
    let xtc = prop_oneof![
        Just(Xtc::NONE),
        (0.0_f32..1.0, 0.0_f32..0.6).prop_map(|(probability, threshold)| Xtc { probability, threshold })
    ];
    let all = (temp, filters, penalties, bias, any::<u32>(), xtc);
    all.prop_map(|(temp, (top_k, top_p, min_p), penalties, bias, seed, xtc)| {
        let logit_bias = bias.into_iter().map(|(token, bias)| (Token(token), bias)).collect();
        let (seed, dry) = (seed.min(u32::MAX - 1), Dry::NONE);
        let ending = Ending::NONE;
        SamplingParams { temp, top_k, top_p, min_p, penalties, dry, xtc, logit_bias, ending, seed }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_short_way_chooses_what_llama_cpp_chooses(
        params in params(),
        rows in proptest::collection::vec(proptest::collection::vec(-12.0_f32..12.0, 20_000), 1..6),
    ) {
        check(&params, &rows)?;
    }

    /// Few different values make ties everywhere, also among the tokens that pass the filters.
    #[test]
    fn equals_change_nothing(
        params in params(),
        rows in proptest::collection::vec(proptest::collection::vec(-20..20_i8, 5_000), 1..4),
    ) {
        let rows: Vec<Vec<f32>> = rows.into_iter().map(|row| row.into_iter().map(f32::from).collect()).collect();
        check(&params, &rows)?;
    }
}

#[test]
fn logits_that_are_not_numbers_are_noticed() {
    let mut sampler = Sampler::new(&SamplingParams::GREEDY, None, &[Token(7)], None);
    let mut logits = vec![0.0; 1000];
    logits[500] = f32::NAN;
    let choice = sampler.sample(&logits, &Scan::of(&logits));
    assert_eq!((choice.token, choice.stuck), (Token(7), Some(Stuck::NotANumber)));
}

#[test]
fn the_end_becomes_likelier_from_the_soft_limit_on() {
    let (word, end) = (Token(3), Token(7));
    let mut logits = vec![0.0; 1000];
    logits[3] = 10.0;
    for temp in [0.0, 0.01] {
        let params = SamplingParams { temp, ending: Ending { from: 4, to: 20 }, ..SamplingParams::GREEDY };
        let mut sampler = Sampler::new(&params, None, &[end], None);
        let chosen: Vec<Token> = (0..16).map(|_| sampler.sample(&logits, &Scan::of(&logits)).token).collect();
        // One more for each token after the fourth: with eleven, the end is ahead.
        assert_eq!(chosen, [[word; 15].as_slice(), &[end]].concat(), "{temp}");
        let mut sampler = Sampler::new(&params, None, &[end], None);
        assert!((0..16).all(|_| sampler.replay(LlamaToken(word.0))), "resumed");
        assert_eq!(sampler.sample(&logits, &Scan::of(&logits)).token, end);
    }
}
