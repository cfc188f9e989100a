//! Chooses the tokens of a step from what it left: logits, or the likeliest tokens that a GPU found in them.

use std::time::{Duration, Instant};

use super::context::Context;
use super::found::Likeliest;
use super::sampler::{Choice, Sampler};
use super::scan::{Scan, Scanners};
use crate::batch::{Row, Sampled};
use crate::timings::{self, Phase};

/// The outputs of a step, one for each token that asks for one.
pub(super) enum Outputs<'c> {
    Likeliest(Vec<Likeliest>),
    /// Rows of logits; scans of all of them, or of none.
    Logits(Vec<&'c [f32]>, Vec<Scan>),
}

impl<'c> Outputs<'c> {
    /// Waits for a GPU's logits, which are in the batch's tokens from `first` to `last`, then scans all of them at
    /// once. `size` is the number of rows and of logits in each.
    pub(super) fn scanned(
        context: &'c Context<'_>,
        scanners: &Scanners,
        last_wait: &mut Duration,
        (first, last): (i32, i32),
        size: (usize, usize),
    ) -> Self {
        let (began, mut waited, mut logits) = (Instant::now(), Duration::ZERO, Vec::new());
        let scans = scanners.scan(size, *last_wait, || {
            logits = context.logits(first, last);
            waited = began.elapsed();
            logits.clone()
        });
        timings::add(Phase::Wait, waited);
        timings::add(Phase::Scan, began.elapsed() - waited);
        *last_wait = waited;
        Self::Logits(logits, scans)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Likeliest(found) => found.len(),
            Self::Logits(rows, _) => rows.len(),
        }
    }

    fn choose(&self, sampler: &mut Sampler, n: usize) -> Choice {
        match self {
            Self::Likeliest(found) => sampler.take(found[n]),
            Self::Logits(rows, scans) => match scans.get(n) {
                Some(scan) => sampler.sample(rows[n], scan),
                None => sampler.sample(rows[n], &Scan::of(rows[n])),
            },
        }
    }

    /// Samples tokens while they match the drafts, and one more. Sampling from the model at each position and accepting
    /// a draft that was sampled is speculative sampling (Leviathan et al. 2023, <https://arxiv.org/abs/2211.17192>)
    /// with a deterministic drafter: a draft is accepted with the model's own probability for it, and a rejected one is
    /// replaced from the remaining distribution. The outputs of the last known token and of the drafts begin at `at`.
    pub(super) fn verify(&self, sampler: &mut Sampler, row: &Row, at: usize) -> Sampled {
        let drafts = &row.tokens[row.n_known()..];
        let (mut tokens, mut logprobs, mut stuck) = (Vec::with_capacity(1), Vec::new(), None);
        for (n, draft) in drafts.iter().map(Some).chain([None]).enumerate() {
            let choice = self.choose(sampler, at + n);
            tokens.push(choice.token);
            logprobs.extend(choice.logprobs);
            stuck = choice.stuck;
            if stuck.is_some() || tokens.last() != draft {
                break;
            }
        }
        Sampled { seq: row.seq, tokens, logprobs, stuck }
    }
}
