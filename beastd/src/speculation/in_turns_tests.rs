use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::super::{StepCosts, Wish};
use super::*;
use crate::batch::{Row, SlotId};
use crate::engine::fake::ByteVocab;
use crate::engine::{Drafter, Guesses};

/// A simulated GPU: a step takes its usual time, and the first two of another shape take longer.
#[derive(Clone, Copy)]
struct Gpu {
    /// Microseconds of a one-token step; `token_us` for each further token.
    step_us: f64,
    token_us: f64,
    change_us: f64,
}

/// LFM2-2.6B and LFM2-350M on an H100.
const LARGE: Gpu = Gpu { step_us: 2270.0, token_us: 60.0, change_us: 6000.0 };
const SMALL: Gpu = Gpu { step_us: 820.0, token_us: 30.0, change_us: 5000.0 };

impl Gpu {
    fn usual_us(self, n_tokens: usize) -> f64 {
        self.step_us + self.token_us * (n_tokens - 1) as f64
    }

    fn costs(self) -> StepCosts {
        let curve = [1, 4, 8, 16, 64].map(|n| (n, self.usual_us(n)));
        StepCosts::new(1).knowing(curve).changing(self.change_us)
    }
}

/// A pseudorandom number from a seed.
fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*seed >> 40).expect("24 bits")
}

/// Simulates answers of one length, all at once, by a model that generates exactly these texts; returns the time as a
/// share of plain decoding's.
fn time(gpu: Gpu, speculation: &mut Speculation<'_>, texts: &[(Vec<Token>, Vec<Token>)]) -> f64 {
    time_with(gpu, speculation, texts, &Cell::new(0.0))
}

/// The same with a drafter that adds the microseconds it takes to `drafting_us`.
fn time_with(
    gpu: Gpu,
    speculation: &mut Speculation<'_>,
    texts: &[(Vec<Token>, Vec<Token>)],
    drafting_us: &Cell<f64>,
) -> f64 {
    let ids: Vec<SeqId> = (0..texts.len()).map(|n| SeqId(n as u64)).collect();
    ids.iter().for_each(|id| speculation.begin(*id, Wish::ANY));
    let all: Vec<Vec<Token>> = texts.iter().map(|(prompt, answer)| [&prompt[..], answer].concat()).collect();
    let mut known: Vec<Vec<Token>> = texts.iter().map(|(prompt, _)| prompt.clone()).collect();
    let (mut us, mut shape, mut n_same) = (0.0, (texts.len(), texts.len()), 2);
    let plain_us = gpu.usual_us(texts.len()) * texts[0].1.len() as f64;
    loop {
        let alive: Vec<usize> = (0..texts.len()).filter(|n| known[*n].len() < all[*n].len()).collect();
        if alive.is_empty() {
            break;
        }
        let candidate = |&n: &usize| {
            let n_max = (all[n].len() - known[n].len()).saturating_sub(1);
            Candidate { seq: ids[n], tokens: &known[n], n_max, n_room: 1000 }
        };
        let drafts = speculation.propose(&alive.iter().map(candidate).collect::<Vec<_>>());
        let (mut rows, mut sampled) = (Vec::new(), Vec::new());
        for &n in &alive {
            let drafts = drafts.iter().find(|(seq, _)| *seq == ids[n]).map_or(&[][..], |(_, drafts)| drafts);
            let rest = &all[n][known[n].len()..];
            let n_right = drafts.iter().zip(rest).take_while(|(a, b)| a == b).count();
            let tokens = [&known[n][known[n].len() - 1..], drafts].concat();
            rows.push(Row { seq: ids[n], slot: SlotId(0), pos: 0, tokens, n_draft: drafts.len(), sample: true });
            let tokens = rest[..=n_right.min(rest.len() - 1)].to_vec();
            sampled.push(Sampled { seq: ids[n], tokens, logprobs: Vec::new(), stuck: None });
        }
        let batch = Batch { edits: vec![], rows };
        n_same = if shape == (alive.len(), batch.n_tokens()) { n_same + 1 } else { 0 };
        shape = (alive.len(), batch.n_tokens());
        let step_us = gpu.usual_us(batch.n_tokens()) + if n_same < 2 { gpu.change_us / 2.0 } else { 0.0 };
        us += step_us;
        speculation.observe(&batch, &sampled, step_us.round() as u64);
        for (&n, sampled) in alive.iter().zip(&sampled) {
            known[n].extend(&sampled.tokens);
        }
    }
    for id in ids {
        speculation.end(id);
    }
    (us + drafting_us.take()) / plain_us
}

fn speculation(gpu: Gpu) -> Speculation<'static> {
    Speculation::new(Wish::ANY, 15, Arc::new(ByteVocab), None, gpu.costs())
}

/// A text whose words come from a small vocabulary, so that it often repeats itself for a few tokens.
fn prose(seed: &mut u64, n: usize) -> Vec<Token> {
    let words = ["the ", "daemon ", "answers ", "a ", "request ", "and ", "keeps ", "its ", "model ", "in ", "memory "];
    let text: String = (0..n).map(|_| words[random(seed) % words.len()]).collect();
    text.bytes().take(n).map(|byte| Token(byte.into())).collect()
}

/// Random tokens.
fn noise(seed: &mut u64, n: usize) -> Vec<Token> {
    (0..n).map(|_| Token(i32::try_from(1 + random(seed) % 250).expect("small"))).collect()
}

#[test]
fn where_drafts_fail_hardly_any_time_is_lost_even_on_a_small_model() {
    for (gpu, n_seqs) in [(LARGE, 1), (SMALL, 1), (LARGE, 4), (SMALL, 8)] {
        let (mut speculation, mut seed) = (speculation(gpu), 7);
        for nth in 0..20 {
            let text = |seed: &mut u64| {
                let kind = if nth % 2 == 0 { prose } else { noise };
                (kind(seed, 60), kind(seed, 160))
            };
            let texts: Vec<_> = (0..n_seqs).map(|_| text(&mut seed)).collect();
            let time = time(gpu, &mut speculation, &texts);
            assert!(time < 1.03, "{n_seqs} at once, text {nth}: {time}");
        }
    }
}

#[test]
fn a_copied_text_takes_a_fraction_of_the_time() {
    for (gpu, n_seqs, most) in [(LARGE, 1, 0.18), (SMALL, 1, 0.28), (LARGE, 4, 0.27)] {
        let (mut speculation, mut seed) = (speculation(gpu), 3);
        let texts: Vec<_> = (0..n_seqs)
            .map(|_| {
                let text = noise(&mut seed, 200);
                ([&text[..], &noise(&mut seed, 5)].concat(), text)
            })
            .collect();
        let time = time(gpu, &mut speculation, &texts);
        // 0.23, 0.31 and 0.36 if lookup loses its place after a step whose drafts were all right.
        assert!(time < most, "{n_seqs} at once: {time}");
    }
}

#[test]
fn all_rows_get_drafts_of_one_width_also_those_that_have_none() {
    let (mut speculation, mut seed) = (speculation(LARGE), 5);
    let copied = noise(&mut seed, 120);
    let known = [[&copied[..], &copied[..60]].concat(), noise(&mut seed, 80)];
    (0..2).for_each(|n| speculation.begin(SeqId(n), Wish::ANY));
    let candidates = [0, 1].map(|n| Candidate { seq: SeqId(n as u64), tokens: &known[n], n_max: 100, n_room: 100 });
    assert_eq!(speculation.propose(&candidates), [], "nothing is proven yet");
    speculation.turns.would_have_saved(1e9);
    let drafts = speculation.propose(&candidates);
    let n = drafts[0].1.len();
    assert!(n >= 3 && drafts[0].1 == copied[60..60 + n] && drafts[1].1.len() == n, "{drafts:?}");
    // Near its limit an answer has no use for all of them, but the shape of the step stays.
    let near_end = candidates.map(|candidate| Candidate { n_max: 1, ..candidate });
    assert!(speculation.propose(&near_end).iter().all(|(_, drafts)| drafts.len() == n));
    // Near the end of the context a request has no room for a row of that width.
    let candidates = candidates.map(|candidate| Candidate { n_room: n - 1, ..candidate });
    assert!(speculation.propose(&candidates).iter().all(|(_, drafts)| drafts.len() < n));
}

#[test]
fn a_period_shorter_than_a_row_is_drafted_as_often_as_it_fits() {
    let (mut speculation, mut seed) = (speculation(LARGE), 9);
    speculation.begin(SeqId(0), Wish::ANY);
    let known = [noise(&mut seed, 20), noise(&mut seed, 3).repeat(6)].concat();
    speculation.turns.would_have_saved(1e9);
    let candidate = Candidate { seq: SeqId(0), tokens: &known, n_max: 100, n_room: 100 };
    let drafts = speculation.propose(&[candidate]);
    let expected: Vec<Token> = known[20..23].iter().copied().cycle().take(drafts[0].1.len()).collect();
    assert!(drafts[0].1.len() > 3 && drafts[0].1 == expected, "{drafts:?}");
}

/// Recurring phrases of one length with other text between them: drafts are proven to pay, and then fail.
fn phrases(seed: &mut u64, n_phrase: usize, n_between: usize, n: usize) -> Vec<Token> {
    let phrase = noise(seed, n_phrase);
    let mut text = Vec::new();
    while text.len() < n {
        text.extend(&phrase);
        text.extend(noise(seed, n_between));
    }
    text.truncate(n);
    text
}

#[test]
fn phrases_that_come_again_save_more_than_their_ends_cost() {
    let kinds = [(4, 4), (6, 10), (8, 4), (10, 10), (14, 3), (14, 14), (20, 5), (20, 20), (30, 10), (40, 40)];
    let mut times = Vec::new();
    for gpu in [LARGE, SMALL] {
        for (n_phrase, n_between) in kinds {
            let (mut speculation, mut seed) = (speculation(gpu), 11);
            for _ in 0..6 {
                let text = phrases(&mut seed, n_phrase, n_between, 260);
                let time = time(gpu, &mut speculation, &[(text[..100].to_vec(), text[100..].to_vec())]);
                assert!(time < 1.13, "{} us, {n_phrase} and {n_between}: {time}", gpu.step_us);
                times.push(time);
            }
        }
    }
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    assert!(mean < 0.9, "{mean}");
}

/// Microseconds of a draft by the 350M.
const DRAFT_US: f64 = 800.0;

/// A draft model that knows the answer, and is right with a probability in percent, for so many tokens more at first.
struct Knowing {
    text: Vec<Token>,
    percent: usize,
    n_right: usize,
    seed: u64,
    us: Rc<Cell<f64>>,
}

impl Drafter for Knowing {
    fn draft(&mut self, _seq: SeqId, tokens: &[Token], n_max: usize) -> Guesses {
        let next = self.text.iter().skip(tokens.len()).take(n_max);
        let guesses: Vec<Token> = next
            .map(|token| {
                let is_right = self.n_right > 0 || random(&mut self.seed) % 100 < self.percent;
                self.n_right = self.n_right.saturating_sub(1);
                if is_right { *token } else { Token(0) }
            })
            .collect();
        self.us.set(self.us.get() + guesses.len() as f64 * DRAFT_US);
        Guesses { tokens: guesses, each_us: Some(DRAFT_US) }
    }
    fn forget(&mut self, _seq: SeqId) {}
    fn set_threads(&mut self, _n_threads: usize) {}
}

/// The time of an answer that only this draft model can draft.
fn time_drafted(percent: usize, n_right: usize) -> f64 {
    let mut seed = 5;
    let (prompt, answer) = (noise(&mut seed, 60), noise(&mut seed, 160));
    let us = Rc::new(Cell::new(0.0));
    let text = [&prompt[..], &answer].concat();
    let draft = Knowing { text, percent, n_right, seed, us: Rc::clone(&us) };
    let mut speculation = Speculation::new(Wish::ANY, 15, Arc::new(ByteVocab), Some(Box::new(draft)), LARGE.costs());
    time_with(LARGE, &mut speculation, &[(prompt, answer)], &us)
}

#[test]
fn a_draft_model_is_checked_before_it_is_given_a_turn() {
    for (percent, n_right, most) in [(0, 0, 1.02), (0, 4, 1.03), (20, 0, 1.02), (50, 0, 1.03), (98, 0, 0.6)] {
        let time = time_drafted(percent, n_right);
        assert!(time < most, "{percent} % and {n_right} at first: {time}");
    }
}
