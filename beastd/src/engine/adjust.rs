//! Biases, penalties and the pull to the end, applied only to the tokens that have one: llama.cpp's samplers visit the
//! whole vocabulary, which takes longer than the rest of sampling.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::scan::BLOCK;
use crate::batch::{Ending, Penalties, SamplingParams, Token};

/// The biases and penalties of a sequence, with its recent tokens.
pub(super) struct Adjust {
    bias: Vec<(Token, f32)>,
    ending: Ending,
    ends: Box<[Token]>,
    n_accepted: usize,
    penalties: Penalties,
    recent: VecDeque<Token>,
    counts: HashMap<Token, u32>,
}

impl Adjust {
    /// `None` if no logit changes. `ends` are the end-of-turn tokens.
    pub(super) fn new(params: &SamplingParams, ends: &[Token]) -> Option<Self> {
        let Penalties { repeat, frequency, presence, last_n } = params.penalties;
        let penalizes = last_n > 0 && (repeat != 1.0 || frequency != 0.0 || presence != 0.0);
        let penalties = if penalizes { params.penalties } else { Penalties { last_n: 0, ..Penalties::NONE } };
        let is_ending = params.ending != Ending::NONE;
        (penalizes || is_ending || !params.logit_bias.is_empty()).then(|| Self {
            bias: params.logit_bias.clone(),
            ending: params.ending,
            ends: ends.into(),
            n_accepted: 0,
            penalties,
            recent: VecDeque::new(),
            counts: HashMap::new(),
        })
    }

    pub(super) fn accept(&mut self, token: Token) {
        self.n_accepted += 1;
        if self.penalties.last_n == 0 {
            return;
        }
        *self.counts.entry(token).or_default() += 1;
        self.recent.push_back(token);
        if self.recent.len() > self.penalties.last_n as usize {
            let old = self.recent.pop_front().expect("there are more than none");
            let count = self.counts.get_mut(&old).expect("what is recent is counted");
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&old);
            }
        }
    }

    /// The blocks of this row with changed logits, after the change.
    pub(super) fn blocks(&self, logits: &[f32]) -> BTreeMap<usize, Vec<f32>> {
        let mut blocks = BTreeMap::new();
        for (token, bias) in &self.bias {
            if let Some(logit) = place(&mut blocks, logits, *token) {
                *logit += bias;
            }
        }
        let pull = self.ending.bias(self.n_accepted);
        for token in self.ends.iter().filter(|_| pull > 0.0) {
            if let Some(logit) = place(&mut blocks, logits, *token) {
                *logit += pull;
            }
        }
        for (token, count) in &self.counts {
            if let Some(logit) = place(&mut blocks, logits, *token) {
                *logit = penalized(*logit, *count, self.penalties);
            }
        }
        blocks
    }

    /// The logit of one token after the change.
    pub(super) fn one(&self, token: Token, logit: f32) -> f32 {
        let biases = self.bias.iter().filter(|(biased, _)| *biased == token);
        let logit = biases.fold(logit, |logit, (_, bias)| logit + bias);
        let pull = if self.ends.contains(&token) { self.ending.bias(self.n_accepted) } else { 0.0 };
        let logit = logit + pull;
        self.counts.get(&token).map_or(logit, |count| penalized(logit, *count, self.penalties))
    }
}

fn place<'a>(blocks: &'a mut BTreeMap<usize, Vec<f32>>, logits: &[f32], token: Token) -> Option<&'a mut f32> {
    let at = usize::try_from(token.0).ok().filter(|at| *at < logits.len())?;
    let start = at / BLOCK * BLOCK;
    let block = blocks.entry(at / BLOCK).or_insert_with(|| logits[start..logits.len().min(start + BLOCK)].to_vec());
    Some(&mut block[at - start])
}

/// llama.cpp's arithmetic. On AArch64 its compiler fuses multiplication and addition.
fn penalized(logit: f32, count: u32, penalties: Penalties) -> f32 {
    let Penalties { repeat, frequency, presence, .. } = penalties;
    let count = count as f32;
    let logit = if logit <= 0.0 { logit * repeat } else { logit / repeat };
    let less =
        if cfg!(target_arch = "aarch64") { count.mul_add(frequency, presence) } else { count * frequency + presence };
    logit - less
}
