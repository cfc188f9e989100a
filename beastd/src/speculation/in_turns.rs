//! Drafts on a GPU, in turns with a fixed number of drafts per row. Rows without drafts of their own are padded, which
//! costs a GPU less than a batch of another shape.

use super::{Batch, Candidate, Proposal, Sampled, SeqId, Shape, Speculation, Token, expected_tokens};

/// Numbers of drafts per row to choose from.
const WIDTHS: [usize; 3] = [3, 7, 15];
/// The width at which plain steps estimate what drafts would have saved.
const USUAL_WIDTH: usize = 7;
/// Drafts per row of the draft model that plain steps check before it is given a turn. Without a check, a draft model
/// that is never right costs an answer of 160 tokens 9 % in the simulation, with it 1 %.
const N_CHECKED: usize = 6;
/// The share of them that must be right.
const RIGHT: f64 = 0.75;
/// A smaller gain per step is not worth a turn.
const WORTH_A_TURN: f64 = 1.1;

/// Whether the draft model deserves a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Check {
    #[default]
    None,
    /// Its drafts (`Request::checked`) are being compared with what plain steps generate.
    Running {
        n_right: usize,
        n_drafted: usize,
    },
    Passed,
}

impl Speculation<'_> {
    /// Drafts for all candidates, the same number for each, during a turn of drafts; else none.
    pub(super) fn propose_in_turns(&mut self, candidates: &[Candidate<'_>]) -> Vec<(SeqId, Vec<Token>)> {
        let looked_up: Vec<_> = candidates.iter().map(|candidate| self.look_up(candidate)).collect();
        let n_room = candidates.iter().map(|candidate| candidate.n_room).min().unwrap_or(0).min(self.n_max);
        let change_us = self.costs.change_us();
        if self.turns.n_draft() > n_room || self.turns.is_lost(change_us) {
            self.turns.end(change_us);
        }
        if self.turns.n_draft() == 0 {
            let n =
                self.looking_width(candidates, &looked_up, n_room).or_else(|| self.drafting_width(candidates, n_room));
            let Some(n) = n else { return Vec::new() };
            self.check = Check::default();
            self.turns.begin(n);
        }
        let n = self.turns.n_draft();
        let proposals = self.better(candidates, looked_up, n);
        let mut drafts = Vec::with_capacity(candidates.len());
        for (candidate, proposal) in candidates.iter().zip(proposals) {
            let last = *candidate.tokens.last().expect("a sequence has tokens");
            let mut tokens = Vec::with_capacity(n);
            if let Some(proposal) = proposal {
                tokens.extend(proposal.tokens.iter().take(n));
                self.proposed.insert(candidate.seq, (proposal.source, tokens.len()));
            }
            tokens.resize(n, last);
            drafts.push((candidate.seq, tokens));
        }
        drafts
    }

    /// Drafts per row for a turn that begins now, because lookup has proven to pay; `None` if none should.
    fn looking_width(
        &self,
        candidates: &[Candidate<'_>],
        looked_up: &[Option<Proposal>],
        n_room: usize,
    ) -> Option<usize> {
        let (n_rows, change_us) = (candidates.len(), self.costs.change_us());
        if !self.turns.is_proven(change_us) {
            return None;
        }
        let n_left = candidates.iter().map(|candidate| candidate.n_max).min().unwrap_or(0) as f64;
        let (n, saved_us) = self.best_width(n_rows, n_room, |n| (found_tokens(looked_up, n), 0.0))?;
        // Near the end of an answer, a turn is too short to pay for its two changes.
        (saved_us * n_left / found_tokens(looked_up, n) * n_rows as f64 > 2.0 * change_us).then_some(n)
    }

    /// The same because the draft model has been right. Has it draft something to be checked, if that is unknown.
    fn drafting_width(&mut self, candidates: &[Candidate<'_>], n_room: usize) -> Option<usize> {
        let (n_rows, draft_us) = (candidates.len(), self.draft_us);
        let p = self.drafted_share(candidates)?;
        let drafting = |n: usize| (n_rows as f64 * expected_tokens(p, n), (n_rows * n) as f64 * draft_us);
        let (n, saved_us) = self.best_width(n_rows, n_room, drafting)?;
        if !self.turns.is_worth_a_try(saved_us, self.costs.change_us()) {
            return None;
        }
        match self.check {
            Check::Passed => return Some(n),
            Check::Running { .. } => {}
            Check::None => {
                let drafted = self.draft(candidates, N_CHECKED);
                if drafted.len() == n_rows {
                    let n_drafted = drafted.iter().map(|proposal| proposal.tokens.len()).sum();
                    self.check = Check::Running { n_right: 0, n_drafted };
                    for (candidate, proposal) in candidates.iter().zip(drafted) {
                        if let Some(request) = self.requests.get_mut(&candidate.seq) {
                            request.checked = proposal.tokens.into();
                        }
                    }
                }
            }
        }
        None
    }

    /// The width with which steps save most per time, and the microseconds that each saves. `with` gives a step's
    /// tokens and the microseconds that its drafts take.
    fn best_width(&self, n_rows: usize, n_room: usize, with: impl Fn(usize) -> (f64, f64)) -> Option<(usize, f64)> {
        let plain_us = self.costs.us(n_rows, n_rows)?;
        let saved = |n: usize| {
            let (n_tokens, drafts_us) = with(n);
            let us = self.costs.us(n_rows, n_rows * (n + 1))? + drafts_us;
            Some((n, n_tokens * plain_us / n_rows as f64 - us, us))
        };
        let steps = WIDTHS.into_iter().filter(|n| *n <= n_room).filter_map(saved);
        let (n, saved, us) = steps.max_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2)))?;
        (saved > us * (WORTH_A_TURN - 1.0)).then_some((n, saved))
    }

    /// Compares what the draft model drafted to be checked with what plain steps generate.
    fn check_drafts(&mut self, sampled: &[Sampled]) {
        let Check::Running { n_right, n_drafted } = &mut self.check else { return };
        for Sampled { seq, tokens, .. } in sampled {
            let Some(request) = self.requests.get_mut(seq) else { continue };
            for token in tokens {
                let Some(draft) = request.checked.pop_front() else { break };
                let is_right = draft == *token;
                request.rates.draft.record(is_right);
                self.rates.draft.record(is_right);
                *n_right += usize::from(is_right);
                if !is_right {
                    request.checked.clear();
                }
            }
        }
        if self.requests.values().all(|request| request.checked.is_empty()) {
            let has_passed = *n_right as f64 >= RIGHT * *n_drafted as f64;
            self.check = if has_passed { Check::Passed } else { Check::None };
            if !has_passed {
                self.turns.fail();
            }
        }
    }

    /// The lowest acceptance of the draft model's drafts; `None` without a draft model, or if a request may not use it.
    fn drafted_share(&self, candidates: &[Candidate<'_>]) -> Option<f64> {
        self.draft.as_ref()?;
        let share = |candidate: &Candidate<'_>| {
            let request = self.requests.get(&candidate.seq)?;
            // A declined draft has the same effect as a wrong one; one that was checked has just answered.
            let answered = if self.check == Check::Passed { 1.0 } else { request.rates.answered.share() };
            request.wish.draft.then(|| request.rates.draft.share() * answered)
        };
        candidates.iter().map(share).try_fold(1.0, |least: f64, share| share.map(|share| least.min(share)))
    }

    /// The draft model's drafts instead of the looked-up ones, if more of them are likely to be accepted.
    fn better(
        &mut self,
        candidates: &[Candidate<'_>],
        looked_up: Vec<Option<Proposal>>,
        n: usize,
    ) -> Vec<Option<Proposal>> {
        let Some(p) = self.drafted_share(candidates) else { return looked_up };
        if candidates.len() as f64 * expected_tokens(p, n) <= found_tokens(&looked_up, n) {
            return looked_up;
        }
        let drafted = self.draft(candidates, n);
        if drafted.len() < candidates.len() { looked_up } else { drafted.into_iter().map(Some).collect() }
    }

    /// Whether a step has the same shape as the two before it, so that its time is typical; always true where shapes do
    /// not matter.
    pub(super) fn is_usual(&mut self, batch: &Batch) -> bool {
        let (n_rows, n_tokens, last) = (batch.rows.len(), batch.n_tokens(), self.last_step);
        let n_before = if (last.n_rows, last.n_tokens) == (n_rows, n_tokens) { last.n_before + 1 } else { 0 };
        self.last_step = Shape { n_rows, n_tokens, n_before };
        n_before >= 2 || self.costs.change_us() == 0.0
    }

    /// Records what the step saved if it had drafts, or what it would have saved with drafts.
    pub(super) fn take_turns(&mut self, batch: &Batch, sampled: &[Sampled], step_us: f64, is_usual: bool) {
        let n_rows = batch.rows.len();
        let Some(plain_us) = self.costs.us(n_rows, n_rows) else { return };
        if self.turns.n_draft() > 0 {
            let n_tokens: usize = sampled.iter().map(|sampled| sampled.tokens.len()).sum();
            let gained_us = n_tokens as f64 * plain_us / n_rows as f64;
            let usual_us = if is_usual { step_us } else { self.costs.us(n_rows, batch.n_tokens()).unwrap_or(step_us) };
            self.turns.saved(gained_us - step_us, gained_us - usual_us);
            return;
        }
        self.check_drafts(sampled);
        let width = WIDTHS.into_iter().rfind(|n| *n <= self.n_max.min(USUAL_WIDTH));
        let Some((n, us)) = width.and_then(|n| Some((n, self.costs.us(n_rows, n_rows * (n + 1))?))) else { return };
        let is_right = |sampled: &Sampled| {
            let request = self.requests.get(&sampled.seq)?;
            Some(*request.expected.first()? == *sampled.tokens.first()?)
        };
        let n_right = sampled.iter().filter(|sampled| is_right(sampled) == Some(true)).count() as f64;
        let n_wrong = n_rows as f64 - n_right;
        // A row whose drafts are accepted needs one step for many tokens; any other row needs as many steps as before.
        let gain_us = n_right * (plain_us - us / (n + 1) as f64) - n_wrong * (us - plain_us);
        self.turns.would_have_saved(gain_us / n_rows as f64);
    }
}

/// Expected tokens of a step with these proposals, of at most `n` drafts per row.
fn found_tokens(proposals: &[Option<Proposal>], n: usize) -> f64 {
    let tokens = |proposal: &Option<Proposal>| {
        proposal.as_ref().map_or(1.0, |proposal| expected_tokens(proposal.p, n.min(proposal.tokens.len())))
    };
    proposals.iter().map(tokens).sum()
}

#[cfg(test)]
#[path = "in_turns_tests.rs"]
mod tests;
