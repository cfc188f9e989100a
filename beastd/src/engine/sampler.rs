//! A sampler chain of llama.cpp's, made from sampling parameters; one per armed sequence.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use super::adjust::Adjust;
use super::constraint::Constraint;
use super::found::Likeliest;
use super::logprobs::{logprobs, logprobs_of};
use super::scan::{Row, Scan};
use crate::batch::{Dry, Logprobs, SamplingParams, Stuck, Token};

/// Texts at which a repeated sequence ends: llama.cpp's defaults.
const BREAKERS: [&str; 4] = ["\n", ":", "\"", "*"];
/// Below this, temperature counts as 0: dividing logits by it would overflow.
const MIN_TEMP: f32 = 1e-5;

/// Chooses the tokens of one sequence.
pub(super) struct Sampler {
    chooser: Chooser,
    constraint: Option<Constraint>,
    n_logprobs: Option<usize>,
    /// Tokens whose log-probabilities are reported instead of those of the likeliest; empty for the likeliest.
    wanted: Vec<Token>,
    /// Placeholder for a token that could not be chosen.
    end: Token,
}

/// A chosen token.
pub(super) struct Choice {
    pub(super) token: Token,
    pub(super) logprobs: Option<Logprobs>,
    /// Why no token could be chosen.
    pub(super) stuck: Option<Stuck>,
}

/// Picks a token from the logits after biases and penalties.
struct Chooser {
    adjust: Option<Adjust>,
    pick: Pick,
}

enum Pick {
    /// Greedy choice straight from the logits: llama.cpp's chain would first copy the whole vocabulary.
    Greedy,
    /// Filters and a draw.
    Chain { chain: LlamaSampler, first: First },
}

/// The chain's first filter, if `Scan` has a faster way to the same candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
enum First {
    TopK(usize),
    MinP(f32),
    Other,
}

impl Sampler {
    /// A sampler for a vocabulary in which `ends`, at least one, end an answer; `dry` comes from [`dry`].
    pub(super) fn new(
        params: &SamplingParams,
        n_logprobs: Option<usize>,
        ends: &[Token],
        dry: Option<LlamaSampler>,
    ) -> Self {
        let chooser = Chooser { adjust: Adjust::new(params, ends), pick: Pick::new(params, dry) };
        Self { chooser, constraint: None, n_logprobs, wanted: Vec::new(), end: ends[0] }
    }

    /// Allows only tokens that fit the constraint from now on.
    pub(super) fn constrain(&mut self, constraint: Constraint) {
        self.constraint = Some(constraint);
    }

    /// Reports the log-probabilities of these tokens with each choice from now on.
    pub(super) fn want(&mut self, tokens: Vec<Token>) {
        self.wanted = tokens;
    }

    fn told(&self, logits: &[f32], token: Token) -> Option<Logprobs> {
        match (&self.wanted[..], self.n_logprobs) {
            ([], n) => n.map(|n| logprobs(logits, token, n)),
            (wanted, _) => Some(logprobs_of(logits, token, wanted)),
        }
    }

    /// Replays a token chosen earlier. False when it is not allowed: then another model chose it.
    pub(super) fn replay(&mut self, token: LlamaToken) -> bool {
        if let Some(constraint) = &mut self.constraint {
            if !constraint.allows(token) {
                return false;
            }
            constraint.accept(token);
        }
        self.chooser.accept(token);
        true
    }

    /// The next token after this row of logits, with its log-probability if requested.
    pub(super) fn sample(&mut self, logits: &[f32], scan: &Scan) -> Choice {
        // llama.cpp sorts logits: a NaN breaks the order, and the sort would then read out of bounds.
        let outcome = if scan.is_sound() { self.choose(logits, scan) } else { Err(Stuck::NotANumber) };
        match outcome {
            Ok(token) => {
                let token = Token(token.0);
                Choice { token, logprobs: self.told(logits, token), stuck: None }
            }
            Err(stuck) => {
                Choice { token: self.end, logprobs: self.n_logprobs.map(|_| Logprobs::default()), stuck: Some(stuck) }
            }
        }
    }

    /// Whether it always takes the likeliest token and needs nothing else of the logits.
    pub(super) fn takes_likeliest(&self) -> bool {
        let Self { chooser, constraint, n_logprobs, wanted, end: _ } = self;
        let is_greedy = matches!(chooser, Chooser { adjust: None, pick: Pick::Greedy });
        is_greedy && constraint.is_none() && n_logprobs.is_none() && wanted.is_empty()
    }

    /// The next token, for a sampler that [takes the likeliest](Self::takes_likeliest).
    pub(super) fn take(&self, likeliest: Likeliest) -> Choice {
        let Likeliest { token, is_sound } = likeliest;
        match is_sound {
            true => Choice { token, logprobs: None, stuck: None },
            false => Choice { token: self.end, logprobs: None, stuck: Some(Stuck::NotANumber) },
        }
    }

    fn choose(&mut self, logits: &[f32], scan: &Scan) -> Result<LlamaToken, Stuck> {
        let mut token = self.chooser.choose(logits, scan);
        if let Some(constraint) = &mut self.constraint {
            // Most tokens are allowed anyway, and finding all allowed ones is slow in llama.cpp. Sampling freely and
            // resampling among the allowed ones on rejection has the same distribution.
            if !constraint.allows(token) {
                let mut allowed = candidates(Row::plain(logits).iter(), false);
                constraint.mask(&mut allowed).map_err(Stuck::Constraint)?;
                token = self.chooser.choose_among(&mut allowed);
            }
            constraint.accept(token);
        }
        self.chooser.accept(token);
        Ok(token)
    }
}

/// The penalty for repeated sequences, if enabled. Expensive: finding the tokens that end a sequence visits the whole
/// vocabulary.
pub(super) fn dry(params: &SamplingParams, model: &LlamaModel) -> Option<LlamaSampler> {
    let Dry { multiplier, base, allowed_length, last_n } = params.dry;
    let [length, last_n] = [allowed_length, last_n].map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    (multiplier > 0.0 && last_n > 0).then(|| LlamaSampler::dry(model, multiplier, base, length, last_n, BREAKERS))
}

fn candidates(logits: impl IntoIterator<Item = (i32, f32)>, is_sorted: bool) -> LlamaTokenDataArray {
    let data = logits.into_iter().map(|(id, logit)| LlamaTokenData::new(LlamaToken(id), logit, 0.0));
    LlamaTokenDataArray::from_iter(data, is_sorted)
}

impl Chooser {
    /// Samples from the whole vocabulary; `accept` records the choice.
    fn choose(&mut self, logits: &[f32], scan: &Scan) -> LlamaToken {
        match &self.adjust {
            None => self.pick.choose(Row::plain(logits), scan),
            Some(adjust) => {
                let changed = adjust.blocks(logits);
                self.pick.choose(Row::changed(logits, &changed), &scan.with(&changed))
            }
        }
    }

    /// Samples from candidates, at least one; `accept` records the choice.
    fn choose_among(&mut self, candidates: &mut LlamaTokenDataArray) -> LlamaToken {
        if let Some(adjust) = &self.adjust {
            for data in &mut candidates.data {
                data.set_logit(adjust.one(Token(data.id().0), data.logit()));
            }
        }
        self.pick.choose_among(candidates)
    }

    fn accept(&mut self, token: LlamaToken) {
        if let Some(adjust) = &mut self.adjust {
            adjust.accept(Token(token.0));
        }
        if let Pick::Chain { chain, .. } = &mut self.pick {
            chain.accept(token);
        }
    }
}

impl Pick {
    fn new(params: &SamplingParams, dry: Option<LlamaSampler>) -> Self {
        let has_dry = dry.is_some();
        let mut chain = Vec::from_iter(dry);
        if params.temp < MIN_TEMP {
            if !has_dry {
                return Self::Greedy;
            }
            chain.push(LlamaSampler::greedy());
            return Self::Chain { chain: LlamaSampler::chain(chain, true), first: First::Other };
        }
        // llama.cpp's order, so that parameters have the same effect as there.
        if params.top_k > 0 {
            chain.push(LlamaSampler::top_k(i32::try_from(params.top_k).unwrap_or(i32::MAX)));
        }
        if params.top_p < 1.0 {
            chain.push(LlamaSampler::top_p(params.top_p, 1));
        }
        if params.min_p > 0.0 {
            chain.push(LlamaSampler::min_p(params.min_p, 1));
        }
        // The largest number makes llama.cpp pick a random seed.
        let seed = params.seed.min(u32::MAX - 1);
        if params.xtc.probability > 0.0 {
            chain.push(LlamaSampler::xtc(params.xtc.probability, params.xtc.threshold, 1, seed));
        }
        chain.push(LlamaSampler::temp(params.temp));
        chain.push(LlamaSampler::dist(seed));
        let first = match () {
            () if has_dry => First::Other,
            () if params.top_k > 0 => First::TopK(usize::try_from(params.top_k).unwrap_or(usize::MAX)),
            () if params.top_p >= 1.0 && params.min_p > 0.0 => First::MinP(params.min_p),
            () => First::Other,
        };
        Self::Chain { chain: LlamaSampler::chain(chain, true), first }
    }

    fn choose(&mut self, row: Row<'_>, scan: &Scan) -> LlamaToken {
        match self {
            Self::Greedy => LlamaToken(i32::try_from(scan.argmax(row)).expect("a vocabulary fits into 31 bits")),
            Self::Chain { chain, first } => choose(chain, &mut first.candidates(row, scan)),
        }
    }

    fn choose_among(&mut self, candidates: &mut LlamaTokenDataArray) -> LlamaToken {
        match self {
            Self::Greedy => {
                let logits: Vec<f32> = candidates.data.iter().map(LlamaTokenData::logit).collect();
                candidates.data[argmax(&logits)].id()
            }
            Self::Chain { chain, .. } => choose(chain, candidates),
        }
    }
}

fn choose(chain: &mut LlamaSampler, candidates: &mut LlamaTokenDataArray) -> LlamaToken {
    candidates.apply_sampler(chain);
    candidates.selected_token().expect("the chain ends with a choice")
}

impl First {
    /// What the chain's first filter leaves of the vocabulary, in that filter's order; the whole vocabulary if the scan
    /// cannot tell.
    fn candidates(self, row: Row<'_>, scan: &Scan) -> LlamaTokenDataArray {
        let all = || candidates(row.iter(), false);
        match self {
            Self::TopK(k) => scan.top(row, k).map_or_else(all, |top| candidates(top, true)),
            Self::MinP(min_p) => candidates(scan.at_least(row, scan.max() + min_p.ln()), false),
            Self::Other => all(),
        }
    }
}

/// Index of the first maximum; ties go to the lower token, as in llama.cpp.
pub(super) fn argmax(logits: &[f32]) -> usize {
    Scan::of(logits).argmax(Row::plain(logits))
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
