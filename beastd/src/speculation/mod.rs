//! Speculative decoding: drafts several tokens, which the model verifies in one step; accepted ones are what it would
//! have generated anyway.
//!
//! Drafts change the speed and never the text. Their number follows from two measurements: the acceptance in this
//! request, and the cost of a step with that many tokens on this machine. When plain decoding is faster, nothing is
//! drafted; prompt lookup keeps drafting silently, which is free, and so notices when it would pay again.

mod acceptance;
mod costs;
mod in_turns;
mod lookup;
mod turns;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use acceptance::{Rate, expected_tokens};
pub use costs::StepCosts;
use in_turns::Check;
use lookup::Place;
use turns::Turns;

use crate::batch::{Batch, Sampled, SeqId, Token};
use crate::engine::{Drafter, Guesses, Vocab};

/// Which drafters a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Prompt lookup.
    pub lookup: bool,
    /// The draft model, if there is one.
    pub draft: bool,
}

impl Wish {
    /// No drafters.
    pub const OFF: Self = Self { lookup: false, draft: false };
    /// All drafters.
    pub const ANY: Self = Self { lookup: true, draft: true };

    /// The drafters that both allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { lookup: self.lookup && other.lookup, draft: self.draft && other.draft }
    }
}

/// A sequence that wants drafts.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub seq: SeqId,
    /// All its known tokens.
    pub tokens: &'a [Token],
    /// Most drafts that can be of use before its answer reaches its limit.
    pub n_max: usize,
    /// Most drafts that it has room for, of use or not.
    pub n_room: usize,
}

/// Drafts for one sequence and their source.
#[derive(Debug)]
struct Proposal {
    tokens: Vec<Token>,
    source: Source,
    p: f64,
}

/// The source of drafts; lookups are distinguished by the length of their match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Lookup(usize),
    Draft,
}

/// Acceptance by source.
#[derive(Debug, Clone, Copy)]
struct Rates {
    lookup: [Rate; 6],
    draft: Rate,
    /// Probability that the draft model drafts anything when asked.
    answered: Rate,
}

impl Rates {
    fn of(&mut self, source: Source) -> &mut Rate {
        match source {
            // Matches of 0 (a word was replaced), 1, 2, 3 to 4, 5 to 8, and more tokens.
            Source::Lookup(n_match) => {
                let width = usize::BITS - n_match.saturating_sub(1).leading_zeros();
                &mut self.lookup[n_match.min(1) + width.min(4) as usize]
            }
            Source::Draft => &mut self.draft,
        }
    }
}

/// The shape of a step.
#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    n_rows: usize,
    n_tokens: usize,
    /// Steps of the same shape right before it.
    n_before: usize,
}

/// State of a running request.
#[derive(Debug)]
struct Request {
    wish: Wish,
    rates: Rates,
    /// Where lookup expects the answer to continue.
    place: Option<Place>,
    /// The tokens at `place`, compared with those that are generated.
    expected: Vec<Token>,
    /// Drafts of the draft model that plain steps check.
    checked: VecDeque<Token>,
    n_drafted: usize,
    n_accepted: usize,
    /// Steps until the draft model is asked again after it did not pay; `n_pauses` counts such failures in a row.
    n_pause: usize,
    n_pauses: u32,
}

impl Request {
    /// Where the answer may continue, for so many tokens: after the longest match, or at lookup's current position if
    /// that matches as well.
    fn look_up(&mut self, tokens: &[Token], n_max: usize) {
        let found = lookup::find(tokens);
        // A match of a single token is hardly better than continuing after a replaced word.
        if self.place.is_none_or(|place| found.is_some_and(|found| found.n_match > place.n_match.max(1))) {
            self.place = found;
        }
        self.expected.clear();
        if let Some(place) = self.place {
            let following = tokens.get(place.next..).unwrap_or_default();
            // A whole period has come twice: expects more of them, though only one is known.
            let n = if place.n_match >= following.len() { n_max } else { n_max.min(following.len()) };
            self.expected.extend(following.iter().cycle().take(n));
        }
        if self.expected.is_empty() {
            self.place = None;
        }
    }

    /// Compares new tokens with what lookup expected; with `rates`, learns from that, for this request and globally.
    fn follow(&mut self, tokens: &[Token], mut rates: Option<&mut Rates>) {
        let n_expected = self.expected.len().min(tokens.len());
        for (expected, token) in self.expected.drain(..n_expected).zip(tokens) {
            let Some(place) = self.place else { return };
            let is_right = expected == *token;
            if let Some(rates) = &mut rates {
                rates.of(Source::Lookup(place.n_match)).record(is_right);
                self.rates.of(Source::Lookup(place.n_match)).record(is_right);
            }
            self.place = Some(place.after(is_right));
            if !is_right {
                // Tokens after the first wrong one were not verified; the drain ends with the loop.
                return;
            }
        }
        if tokens.len() > n_expected {
            // Nothing was expected in place of the last one, so the place is not known any more.
            self.place = None;
        }
    }
}

/// A smaller gain is noise.
const WORTH_IT: f64 = 1.03;
/// Number of steps without the draft model after it did not pay; doubled each time, at most `MOST_PAUSES` times.
const PAUSE: usize = 64;
const MOST_PAUSES: u32 = 4;

/// Drafts for all requests.
pub struct Speculation<'model> {
    allowed: Wish,
    n_max: usize,
    vocab: Arc<dyn Vocab>,
    draft: Option<Box<dyn Drafter + 'model>>,
    costs: StepCosts,
    /// Cost of one draft by the draft model, in microseconds.
    draft_us: f64,
    /// Acceptance over all requests, the starting point for the next one.
    rates: Rates,
    requests: HashMap<SeqId, Request>,
    /// Per sequence, the source of the drafts being verified and how many of them come from it; the rest is padding.
    proposed: HashMap<SeqId, (Source, usize)>,
    turns: Turns,
    check: Check,
    last_step: Shape,
}

impl<'model> Speculation<'model> {
    /// `n_max` is how many drafts the engine can roll back; with 0 nothing is ever drafted.
    pub fn new(
        allowed: Wish,
        n_max: usize,
        vocab: Arc<dyn Vocab>,
        draft: Option<Box<dyn Drafter + 'model>>,
        costs: StepCosts,
    ) -> Self {
        let lookup = [0.3, 0.2, 0.35, 0.5, 0.7, 0.85].map(Rate::believed);
        let rates = Rates { lookup, draft: Rate::believed(0.9), answered: Rate::believed(0.9) };
        let allowed = allowed.and(Wish { draft: draft.is_some(), ..Wish::ANY });
        let (requests, proposed) = (HashMap::new(), HashMap::new());
        let (turns, check, last_step) = (Turns::default(), Check::default(), Shape::default());
        Self { allowed, n_max, vocab, draft, costs, draft_us: 0.0, rates, requests, proposed, turns, check, last_step }
    }

    /// Starts a request.
    pub fn begin(&mut self, seq: SeqId, wish: Wish) {
        let request = Request {
            wish: wish.and(self.allowed),
            rates: self.rates,
            place: None,
            expected: Vec::new(),
            checked: VecDeque::new(),
            n_drafted: 0,
            n_accepted: 0,
            n_pause: 0,
            n_pauses: 0,
        };
        self.requests.insert(seq, request);
    }

    /// Ends a request: returns tokens drafted and accepted.
    pub fn end(&mut self, seq: SeqId) -> (usize, usize) {
        if let Some(draft) = &mut self.draft {
            draft.forget(seq);
        }
        self.proposed.remove(&seq);
        let ended = self.requests.remove(&seq);
        if self.requests.is_empty() {
            self.turns.rest(self.costs.change_us());
            self.check = Check::None;
        }
        ended.map_or((0, 0), |request| (request.n_drafted, request.n_accepted))
    }

    /// Sets the number of threads.
    pub fn set_threads(&mut self, n_threads: usize) {
        self.costs.set_threads(n_threads);
        if let Some(draft) = &mut self.draft {
            draft.set_threads(n_threads);
        }
    }

    /// Drafts for sequences about to decode together; none when plain decoding is faster. All get the same number: rows
    /// of different lengths would cost the engine one pass each.
    pub fn propose(&mut self, candidates: &[Candidate<'_>]) -> Vec<(SeqId, Vec<Token>)> {
        self.proposed.clear();
        if self.n_max == 0 || candidates.is_empty() || self.costs.us(candidates.len(), candidates.len()).is_none() {
            return Vec::new();
        }
        if self.costs.change_us() > 0.0 {
            return self.propose_in_turns(candidates);
        }
        let looked_up: Vec<_> = candidates.iter().filter_map(|candidate| self.look_up(candidate)).collect();
        let (mut n, mut proposals) = (self.best_length(candidates.len(), &looked_up), looked_up);
        if n == 0 {
            proposals = self.draft(candidates, self.n_max);
            n = self.best_length(candidates.len(), &proposals);
        }
        if n == 0 {
            return Vec::new();
        }
        let mut drafts = Vec::with_capacity(proposals.len());
        for (candidate, proposal) in candidates.iter().zip(proposals) {
            self.proposed.insert(candidate.seq, (proposal.source, n));
            drafts.push((candidate.seq, proposal.tokens[..n].to_vec()));
        }
        drafts
    }

    /// Learns from a step: its cost, and which drafts were accepted. Returns the step's drafted and accepted tokens.
    pub fn observe(&mut self, batch: &Batch, sampled: &[Sampled], step_us: u64) -> (usize, usize) {
        let is_decoding = batch.rows.iter().all(|row| row.sample && row.n_known() == 1);
        let is_usual = self.is_usual(batch);
        // Prefill steps have other costs, and so have the first steps of another shape on a GPU.
        if is_decoding && is_usual {
            self.costs.record(batch.rows.len(), batch.n_tokens(), step_us as f64);
        }
        if is_decoding && self.costs.change_us() > 0.0 {
            self.take_turns(batch, sampled, step_us as f64, is_usual);
        }
        let (mut n_drafted, mut n_accepted) = (0, 0);
        for Sampled { seq, tokens, .. } in sampled {
            let Some(request) = self.requests.get_mut(seq) else { continue };
            let n_in_row = batch.rows.iter().find(|row| row.seq == *seq).map_or(0, |row| row.n_draft);
            let source = self.proposed.remove(seq).filter(|_| n_in_row > 0);
            if let Some((source, n_draft)) = source {
                let n_draft = n_draft.min(n_in_row);
                let n_right = (tokens.len() - 1).min(n_draft);
                let outcomes = std::iter::repeat_n(true, n_right).chain((n_right < n_draft).then_some(false));
                for is_right in outcomes {
                    request.rates.of(source).record(is_right);
                    self.rates.of(source).record(is_right);
                }
                request.n_drafted += n_draft;
                request.n_accepted += n_right;
                (n_drafted, n_accepted) = (n_drafted + n_draft, n_accepted + n_right);
            }
            let is_checked = matches!(source, Some((Source::Lookup(_), _)));
            request.follow(tokens, (!is_checked).then_some(&mut self.rates));
        }
        (n_drafted, n_accepted)
    }

    /// Lookup's drafts, remembered for a free check if no other drafter is used.
    fn look_up(&mut self, candidate: &Candidate<'_>) -> Option<Proposal> {
        let request = self.requests.get_mut(&candidate.seq)?;
        if !request.wish.lookup {
            return None;
        }
        let n_max = self.n_max.min(candidate.n_max);
        // One more than drafts, because a step adds a token to the accepted ones.
        request.look_up(candidate.tokens, self.n_max + 1);
        let n_match = request.place?.n_match;
        let is_end = |token: &Token| self.vocab.is_end(*token);
        let n_before_end = request.expected.iter().position(is_end).unwrap_or(request.expected.len());
        let tokens = request.expected[..n_max.min(n_before_end)].to_vec();
        let source = Source::Lookup(n_match);
        let p = request.rates.of(source).share();
        (!tokens.is_empty()).then_some(Proposal { tokens, source, p })
    }

    /// The draft model's drafts, at most `n_most` for each, if they are likely to pay.
    fn draft(&mut self, candidates: &[Candidate<'_>], n_most: usize) -> Vec<Proposal> {
        let Some(draft) = &mut self.draft else { return Vec::new() };
        let mut proposals = Vec::new();
        for candidate in candidates {
            let Some(request) = self.requests.get_mut(&candidate.seq) else { return Vec::new() };
            if !request.wish.draft {
                return Vec::new();
            }
            if request.n_pause > 0 {
                request.n_pause -= 1;
                return Vec::new();
            }
            let p = request.rates.draft.share();
            let n_max = n_most.min(candidate.n_max);
            let asking = Asking { each_us: self.draft_us, answered: request.rates.answered.share() };
            let n = best_length(&self.costs, candidates.len(), &vec![(p, n_max); candidates.len()], asking);
            if n == 0 {
                // When asked again, the draft model must first catch up, so one that does not pay is asked ever less
                // often.
                request.n_pause = PAUSE << request.n_pauses.min(MOST_PAUSES);
                request.n_pauses += 1;
                return Vec::new();
            }
            let Guesses { mut tokens, each_us } = draft.draft(candidate.seq, candidate.tokens, n);
            if let Some(us) = each_us {
                self.draft_us = if self.draft_us == 0.0 {
                    us
                } else {
                    self.draft_us + (us.min(2.0 * self.draft_us) - self.draft_us) * 0.2
                };
                request.rates.answered.record(!tokens.is_empty());
                self.rates.answered.record(!tokens.is_empty());
            }
            let n_before_end = tokens.iter().position(|token| self.vocab.is_end(*token)).unwrap_or(tokens.len());
            tokens.truncate(n_before_end);
            if tokens.is_empty() {
                return Vec::new();
            }
            proposals.push(Proposal { tokens, source: Source::Draft, p });
        }
        proposals
    }

    /// How many of these drafts pay; the cost of making them is already spent.
    fn best_length(&self, n_seqs: usize, proposals: &[Proposal]) -> usize {
        if proposals.len() < n_seqs {
            return 0;
        }
        let chances: Vec<_> = proposals.iter().map(|proposal| (proposal.p, proposal.tokens.len())).collect();
        best_length(&self.costs, n_seqs, &chances, Asking::FREE)
    }
}

/// Cost of making drafts.
#[derive(Debug, Clone, Copy)]
struct Asking {
    /// Per draft, in microseconds.
    each_us: f64,
    /// Probability that there are any; a drafter that declines takes the time of one draft.
    answered: f64,
}

impl Asking {
    const FREE: Self = Self { each_us: 0.0, answered: 1.0 };
}

/// How many drafts per sequence yield most tokens per second; 0 when plain decoding does. `chances` has the acceptance
/// and number of drafts for each.
fn best_length(costs: &StepCosts, n_seqs: usize, chances: &[(f64, usize)], asking: Asking) -> usize {
    let Some(plain_us) = costs.us(n_seqs, n_seqs) else { return 0 };
    let n_max = chances.iter().map(|(_, n)| *n).min().unwrap_or(0);
    let mut best = (n_seqs as f64 / plain_us * WORTH_IT, 0);
    for k in 1..=n_max {
        let n_tokens: f64 = chances.iter().map(|(p, _)| expected_tokens(*p, k)).sum();
        let Some(us) = costs.us(n_seqs, n_seqs * (k + 1)) else { break };
        let Asking { each_us, answered } = asking;
        let guessed_us = us + (n_seqs * k) as f64 * each_us;
        let declined_us = plain_us + n_seqs as f64 * each_us;
        let n_tokens = answered * n_tokens + (1.0 - answered) * n_seqs as f64;
        let speed = n_tokens / (answered * guessed_us + (1.0 - answered) * declined_us);
        if speed > best.0 {
            best = (speed, k);
        }
    }
    best.1
}

#[cfg(test)]
#[path = "speculation_tests.rs"]
mod tests;
