use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::batch::{Row, SlotId};
use crate::engine::fake::{ByteVocab, END};

const SEQ: SeqId = SeqId(1);

fn tokens(text: &str) -> Vec<Token> {
    text.bytes().map(|byte| Token(byte.into())).collect()
}

/// Sixteen tokens cost hardly more than one.
fn cheap() -> StepCosts {
    StepCosts::new(1).knowing([(1, 100.0), (17, 130.0)])
}

/// Two CPU cores and a model of 2.6 billion parameters, as measured with llama.cpp's kernels.
fn cpu() -> StepCosts {
    StepCosts::new(1).knowing([(1, 54.0), (2, 120.0), (4, 186.0), (8, 303.0), (16, 322.0)])
}

/// Each token costs the same.
fn dear() -> StepCosts {
    StepCosts::new(1).knowing([(1, 100.0), (17, 1700.0)])
}

fn speculation(costs: StepCosts, draft: Option<Box<dyn Drafter>>) -> Speculation<'static> {
    let mut speculation = Speculation::new(Wish::ANY, 15, Arc::new(ByteVocab), draft, costs);
    speculation.begin(SEQ, Wish::ANY);
    speculation
}

/// The outcome of a simulated answer.
struct Run {
    n_steps: usize,
    n_drafted: usize,
    n_accepted: usize,
    /// Its time as a share of plain decoding's.
    time: f64,
}

/// Simulates an answer by a model that generates exactly this text.
fn run(speculation: &mut Speculation<'_>, prompt: &str, answer: &str) -> Run {
    let (mut known, answer) = (tokens(prompt), tokens(answer));
    let end = known.len() + answer.len();
    let plain_us = answer.len() as f64 * speculation.costs.us(1, 1).expect("known");
    let (mut n_steps, mut us) = (0, 0.0);
    let (mut n_drafted, mut n_accepted) = (0, 0);
    let all = [known.clone(), answer].concat();
    while known.len() < end {
        let candidate = Candidate { seq: SEQ, tokens: &known, n_max: end - known.len() - 1, n_room: 1000 };
        let drafts = speculation.propose(&[candidate]).pop().map_or(Vec::new(), |(_, drafts)| drafts);
        let rest = &all[known.len()..];
        let n_right = drafts.iter().zip(rest).take_while(|(a, b)| a == b).count();
        let row = Row {
            seq: SEQ,
            slot: SlotId(0),
            pos: 0,
            tokens: [&known[known.len() - 1..], &drafts].concat(),
            n_draft: drafts.len(),
            sample: true,
        };
        let sampled = vec![Sampled { seq: SEQ, tokens: rest[..=n_right].to_vec(), logprobs: Vec::new(), stuck: None }];
        // The time that the curve gives, so that nothing is learned from it.
        let step_us = speculation.costs.us(1, 1 + drafts.len()).expect("known");
        us += step_us;
        let batch = Batch { edits: vec![], rows: vec![row] };
        let (drafted, accepted) = speculation.observe(&batch, &sampled, step_us.round() as u64);
        (n_drafted, n_accepted) = (n_drafted + drafted, n_accepted + accepted);
        known.extend(&sampled[0].tokens);
        n_steps += 1;
    }
    Run { n_steps, n_drafted, n_accepted, time: us / plain_us }
}

const TEXT: &str =
    "The daemon keeps a model in memory and answers on a socket; whoever asks gets tokens as they come, one by one.";
const OTHER: &str = "1qa2ws3ed4rf5tg6yh7uj8ik9ol0p ZXCVBNM ASDFGHJKL QWERTYUIOP!$%&/()=?`*'+#-.,;:_";

#[test]
fn a_copied_text_takes_a_fraction_of_the_time() {
    let prompt = format!("Copy: {TEXT}\n");
    let outcome = run(&mut speculation(cheap(), None), &prompt, TEXT);
    assert!(outcome.n_steps < TEXT.len() / 4 && outcome.time < 0.4, "{} steps, {}", outcome.n_steps, outcome.time);
    assert!(outcome.n_accepted * 2 > outcome.n_drafted, "{} of {}", outcome.n_accepted, outcome.n_drafted);
    let outcome = run(&mut speculation(cpu(), None), &prompt, TEXT);
    assert!(outcome.time < 0.7, "{} {}/{} {}", outcome.time, outcome.n_accepted, outcome.n_drafted, outcome.n_steps);
}

#[test]
fn a_replaced_word_costs_a_step_or_two_and_not_the_place() {
    let corrected = TEXT.replace("whoever", "whatever").replace("gets", "sees");
    let outcome = run(&mut speculation(cheap(), None), &format!("Fix: {TEXT}\n"), &corrected);
    assert!(outcome.n_steps < TEXT.len() / 3, "{}", outcome.n_steps);
}

#[test]
fn where_nothing_repeats_hardly_any_time_is_lost() {
    for costs in [cpu(), cheap(), dear()] {
        let outcome = run(&mut speculation(costs, None), &format!("Copy: {TEXT}\n"), OTHER);
        assert!(outcome.time < 1.03, "{}, {} guesses", outcome.time, outcome.n_drafted);
    }
}

#[test]
fn where_each_token_costs_the_same_nothing_is_guessed() {
    assert_eq!(run(&mut speculation(dear(), None), &format!("Copy: {TEXT}\n"), TEXT).n_drafted, 0);
}

#[test]
fn a_request_that_wants_none_gets_none() {
    let mut speculation = speculation(cheap(), None);
    speculation.begin(SEQ, Wish::OFF);
    assert_eq!(run(&mut speculation, &format!("Copy: {TEXT}\n"), TEXT).n_drafted, 0);
    assert_eq!(speculation.end(SEQ), (0, 0));
}

#[test]
fn before_a_step_was_measured_nothing_is_guessed_and_then_it_is_tried() {
    let mut speculation = speculation(StepCosts::new(1), None);
    let known = tokens("abcdefgh abcdefgh abcdefgh ab");
    let candidate = Candidate { seq: SEQ, tokens: &known, n_max: 100, n_room: 100 };
    assert!(speculation.propose(&[candidate]).is_empty());
    speculation.costs.record(1, 1, 50.0);
    assert!(!speculation.propose(&[candidate]).is_empty());
}

/// A drafter that drafts fixed tokens.
struct Told(Vec<Token>);

impl Drafter for Told {
    fn draft(&mut self, _seq: SeqId, tokens: &[Token], n_max: usize) -> Guesses {
        let tokens = self.0.iter().skip(tokens.len()).take(n_max).copied().collect();
        Guesses { tokens, each_us: Some(1.0) }
    }
    fn forget(&mut self, _seq: SeqId) {}
    fn set_threads(&mut self, _n_threads: usize) {}
}

#[test]
fn a_draft_model_that_is_right_is_followed_and_one_that_is_not_is_left_alone() {
    let prompt = "Q";
    let right = Told(tokens(&format!("{prompt}{OTHER}")));
    let outcome = run(&mut speculation(cheap(), Some(Box::new(right))), prompt, OTHER);
    assert!(outcome.n_steps < OTHER.len() / 3, "{}", outcome.n_steps);
    for costs in [cpu(), cheap()] {
        let wrong = Told(tokens(&format!("{prompt}{}", "z".repeat(200))));
        let outcome = run(&mut speculation(costs, Some(Box::new(wrong))), prompt, OTHER);
        assert!(outcome.time < 1.1, "{}, {} guesses of a drafter that is never right", outcome.time, outcome.n_drafted);
    }
}

/// A drafter that takes a fifth of a step to decline, and counts how often.
struct Silent(Rc<Cell<usize>>);

impl Drafter for Silent {
    fn draft(&mut self, _seq: SeqId, _tokens: &[Token], _n_max: usize) -> Guesses {
        self.0.set(self.0.get() + 1);
        Guesses { tokens: Vec::new(), each_us: Some(20.0) }
    }
    fn forget(&mut self, _seq: SeqId) {}
    fn set_threads(&mut self, _n_threads: usize) {}
}

#[test]
fn a_draft_model_that_keeps_silent_is_asked_ever_less() {
    let n_asked = Rc::new(Cell::new(0));
    let mut speculation = speculation(cpu(), Some(Box::new(Silent(Rc::clone(&n_asked)))));
    speculation.begin(SEQ, Wish { lookup: false, draft: true });
    let answer = OTHER.repeat(10);
    let outcome = run(&mut speculation, "Q", &answer);
    assert!(outcome.n_steps > 500, "{} steps are too few for this test", outcome.n_steps);
    assert!(n_asked.get() < 20, "asked {} times in {} steps", n_asked.get(), outcome.n_steps);
}

#[test]
fn the_end_of_an_answer_is_never_guessed() {
    let mut known = tokens("abcdefgh");
    known.push(END);
    known.extend(tokens("12345678abcdefgh"));
    let mut speculation = speculation(cheap(), None);
    let candidate = Candidate { seq: SEQ, tokens: &known[..known.len() - 2], n_max: 100, n_room: 100 };
    let drafts = speculation.propose(&[candidate]);
    assert_eq!(drafts[0].1, tokens("gh"));
}

#[test]
fn sequences_that_decode_together_get_the_same_number_or_none() {
    let mut speculation = speculation(cheap(), None);
    speculation.begin(SeqId(2), Wish::ANY);
    let copying = tokens(&format!("{TEXT} {}", &TEXT[..30]));
    let short = tokens("123456789abc 123456789");
    let candidates = [
        Candidate { seq: SEQ, tokens: &copying, n_max: 100, n_room: 100 },
        Candidate { seq: SeqId(2), tokens: &short, n_max: 3, n_room: 3 },
    ];
    let drafts = speculation.propose(&candidates);
    assert_eq!(drafts.iter().map(|(_, drafts)| drafts.len()).collect::<Vec<_>>(), [3, 3]);
    let nothing = tokens("qwertz");
    let candidates = [candidates[0], Candidate { seq: SeqId(2), tokens: &nothing, n_max: 3, n_room: 3 }];
    assert!(speculation.propose(&candidates).is_empty(), "one without guesses stops the others: rows must be equal");
}
