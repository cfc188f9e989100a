//! Answers questions with probabilities: each question becomes a few prompts that are scored and averaged. Nothing is
//! generated.
//!
//! Sits between answering and admission, like [`crate::map_reduce`]. All prompts of a request begin with its text:
//! the first is computed alone, the others reuse its prefix from the cache. Dropping the future cancels them.

mod arithmetic;
mod outside;
mod phrasing;
mod tokens;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use beast_protocol::{
    Decide, Decided, ErrorCode, Event, MAX_OPTIONS, Notice, Question, QuestionKind, Timings, Usage, WireError,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::admission::Admission;
use crate::admission::scored::Scoring;
use crate::admitted::ScoredPrompt;
use crate::batch::Token;
use crate::clock::now_us;
use crate::engine::Vocab;
use crate::large_stack;
use crate::worker::{Ticket, WorkerHandle};
pub use outside::{Likely, asked_outside, decided_outside};
use phrasing::{GAP, Phrasing, phrasings};

/// Most questions per request.
pub const MAX_QUESTIONS: usize = 64;
/// Most bytes of a question and its options.
const MAX_QUESTION_LEN: usize = 64 * 1024;
/// Pause before a retry when the queue is full and none of our prompts is running.
const OVERLOADED_PAUSE: Duration = Duration::from_millis(100);

/// What decisions need from the daemon.
pub struct Means {
    pub admission: Arc<Admission>,
    pub worker: WorkerHandle,
    /// Limits concurrent tokenizing.
    pub tokenizing: Arc<Semaphore>,
    /// Number of slots.
    pub n_slots: usize,
    pub model: String,
}

/// For each option, the tokens that can begin it.
type Beginnings = Vec<Vec<Token>>;

/// One prompt of a question.
#[derive(Debug, Clone)]
struct Prompt {
    question: usize,
    options: Beginnings,
}

/// All prompts, ready to be submitted.
struct Plan {
    prompts: Vec<Prompt>,
    requests: Vec<ScoredPrompt>,
    notices: Vec<Notice>,
}

/// Answers all questions of a request. `temperature` gives one per kind of question; `events` receives progress.
///
/// # Errors
/// [`ErrorCode::Invalid`] for invalid questions, [`ErrorCode::TooLong`], and the worker's errors.
pub async fn decide(
    means: &Means,
    request: Decide,
    temperature: impl Fn(QuestionKind) -> f32,
    events: &mpsc::Sender<Event>,
) -> Result<Decided, WireError> {
    let arrived_us = now_us();
    check(&request)?;
    let is_raw = request.is_raw;
    let kinds: Vec<QuestionKind> = request.questions.iter().map(|question| question.kind).collect();
    let temperatures: Vec<f32> = kinds.iter().map(|&kind| if is_raw { 1.0 } else { temperature(kind) }).collect();
    let Plan { prompts, requests, notices } = plan(means, request).await?;
    let scored = score(means, &requests, events).await?;
    let mut usage = Usage::default();
    let mut by_question = vec![Vec::new(); kinds.len()];
    for (prompt, scored) in prompts.iter().zip(&scored) {
        usage.n_prompt += scored.usage.n_prompt;
        usage.n_cached += scored.usage.n_cached;
        let logprobs = scored.of(&prompt.options).ok_or_else(no_probabilities)?;
        by_question[prompt.question].push(arithmetic::answers(&logprobs));
    }
    let probabilities = by_question
        .iter()
        .zip(&temperatures)
        .map(|(phrasings, &temperature)| arithmetic::probabilities(&arithmetic::average(phrasings), temperature));
    let timings = timings(arrived_us, &scored);
    Ok(Decided {
        model: means.model.clone(),
        probabilities: probabilities.collect(),
        temperatures,
        usage,
        timings,
        notices,
    })
}

fn timings(arrived_us: u64, scored: &[Scored]) -> Timings {
    let all_us = now_us() - arrived_us;
    let queued_us = scored.first().map_or(0, |first| first.queued_us);
    Timings { queued_us, prefill_us: all_us.saturating_sub(queued_us), decode_us: 0, first_token_us: all_us }
}

fn check(request: &Decide) -> Result<(), WireError> {
    let invalid = |text: String| WireError::new(ErrorCode::Invalid, text);
    match request.questions.len() {
        0 => return Err(invalid("the request contains no question; try: send at least one".into())),
        n if n > MAX_QUESTIONS => {
            return Err(invalid(format!("too many questions: {n}; try: send at most {MAX_QUESTIONS} at once")));
        }
        _ => {}
    }
    for (nth, question) in (1..).zip(&request.questions) {
        check_question(question).map_err(|why| invalid(format!("question {nth} {why}")))?;
    }
    Ok(())
}

/// Checks a question; the error says what is wrong and what to do.
fn check_question(Question { text, kind, options }: &Question) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty; try: write a question".into());
    }
    if options.iter().any(|option| option.name.trim().is_empty()) {
        return Err("has an option without a name; try: remove it".into());
    }
    let n = options.len();
    match kind {
        QuestionKind::YesNo if n != 2 => {
            return Err(format!("has {n} options, and yes or no needs 2; try: send yes and no"));
        }
        QuestionKind::Choice if n == 0 => return Err("has no options; try: add at least one".into()),
        QuestionKind::Score if n < 2 => return Err(format!("has too few levels: {n}; try: send at least 2")),
        _ if n > MAX_OPTIONS => return Err(format!("has too many options: {n}; try: send at most {MAX_OPTIONS}")),
        _ => {}
    }
    let n_bytes: usize = options.iter().map(|option| option.name.len() + option.description.len()).sum();
    if text.len() + n_bytes > MAX_QUESTION_LEN {
        return Err(format!("is longer than {} KiB; try: shorten it", MAX_QUESTION_LEN >> 10));
    }
    let mut names: Vec<&str> = options.iter().map(|option| option.name.trim()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < n {
        return Err("has two options with the same name; try: rename one".into());
    }
    Ok(())
}

/// Renders and tokenizes on another thread, because both take time.
async fn plan(means: &Means, request: Decide) -> Result<Plan, WireError> {
    let _permit = means.tokenizing.acquire().await.expect("it is never closed");
    let admission = Arc::clone(&means.admission);
    large_stack::beside(move || plan_now(&admission, request)).await.unwrap_or_else(|why| {
        let text = format!("cannot tokenize the questions: {why}; try: repeat the request, and see beastctl logs");
        Err(WireError::new(ErrorCode::Internal, text))
    })
}

fn plan_now(admission: &Admission, request: Decide) -> Result<Plan, WireError> {
    let (mut prompts, mut tails) = (Vec::new(), Vec::new());
    for (nth, question) in request.questions.iter().enumerate() {
        for (phrasing, options) in told_apart(question, admission.vocab(), nth)? {
            tails.push((phrasing.tail, options.concat()));
            prompts.push(Prompt { question: nth, options });
        }
    }
    let has_state = !request.state.trim().is_empty();
    let gap = if has_state { GAP } else { "" };
    let scoring = Scoring { text: request.state.trim_end().to_owned(), gap, drop: request.drop, tails };
    let (requests, notices) = admission.admit_scored(&scoring)?;
    Ok(Plan { prompts, requests, notices })
}

/// The phrasings of a question whose answers begin with different tokens, with the tokens of each option.
fn told_apart(question: &Question, vocab: &dyn Vocab, nth: usize) -> Result<Vec<(Phrasing, Beginnings)>, WireError> {
    let all = phrasings(question);
    let possible = |phrasings: Vec<Phrasing>| -> Vec<_> {
        let with_tokens = |phrasing: Phrasing| {
            let options = tokens::beginnings(&phrasing.spellings, vocab)?;
            Some((phrasing, options))
        };
        phrasings.into_iter().filter_map(with_tokens).collect()
    };
    let mut found = possible(all.in_words);
    if found.is_empty() {
        found = possible(all.with_labels);
    }
    if found.is_empty() {
        let text = format!("the model cannot tell the options of question {} apart; try: rename them", nth + 1);
        return Err(WireError::new(ErrorCode::Invalid, text));
    }
    Ok(found)
}

#[derive(Debug, Default)]
struct Scored {
    /// Log-probabilities of the wanted tokens, in their order.
    logprobs: Vec<(Token, f32)>,
    usage: Usage,
    queued_us: u64,
}

impl Scored {
    /// The log-probabilities of each option's tokens; `None` if one is missing or not a number.
    fn of(&self, options: &[Vec<Token>]) -> Option<Vec<Vec<f32>>> {
        let logprob = |token: &Token| {
            let found = self.logprobs.iter().find(|(known, _)| known == token);
            found.map(|(_, logprob)| *logprob).filter(|logprob| !logprob.is_nan())
        };
        options.iter().map(|tokens| tokens.iter().map(logprob).collect()).collect()
    }
}

/// Scores all prompts: the first alone, to cache the prefix that all share, then the others, twice as many at a time
/// as there are slots, so that the next ones are queued when a slot becomes free.
async fn score(
    means: &Means,
    prompts: &[ScoredPrompt],
    events: &mpsc::Sender<Event>,
) -> Result<Vec<Scored>, WireError> {
    let mut scored: Vec<Scored> = prompts.iter().map(|_| Scored::default()).collect();
    let mut waiting: VecDeque<usize> = (0..prompts.len()).collect();
    let mut running = JoinSet::new();
    let (mut n_at_once, mut is_first) = (1, true);
    loop {
        while running.len() < n_at_once
            && let Some(nth) = waiting.pop_front()
        {
            let (worker, prompt, hears) =
                (means.worker.clone(), prompts[nth].clone(), is_first.then(|| events.clone()));
            running.spawn(async move { (nth, score_one(worker, prompt, hears).await) });
        }
        let Some(outcome) = running.join_next().await else { break };
        let (nth, outcome) = outcome.map_err(|error| {
            WireError::new(ErrorCode::Internal, format!("cannot score a question: {error}; try: repeat the request"))
        })?;
        match outcome {
            Ok(one) => scored[nth] = one,
            // The queue is full: run fewer at once, and retry.
            Err(error) if error.code == ErrorCode::Overloaded && !is_first => {
                waiting.push_front(nth);
                n_at_once = running.len().max(1);
                if running.is_empty() {
                    tokio::time::sleep(OVERLOADED_PAUSE).await;
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        (n_at_once, is_first) = (2 * means.n_slots, false);
    }
    Ok(scored)
}

async fn score_one(
    worker: WorkerHandle,
    prompt: ScoredPrompt,
    hears: Option<mpsc::Sender<Event>>,
) -> Result<Scored, WireError> {
    let started = Event::Progress { n_done: 0, n_total: u32::try_from(prompt.prompt.len()).unwrap_or(u32::MAX) };
    let now_us = now_us();
    let ticket = Ticket { arrived_us: now_us, waits_since_us: now_us, started, lease: None };
    let (_, mut said) = worker.submit(prompt.into(), ticket)?;
    let mut scored = Scored::default();
    while let Some(event) = said.recv().await {
        match event {
            Event::Piece { logprobs, .. } => {
                let told = logprobs.into_iter().flat_map(|told| told.top);
                scored.logprobs.extend(told.map(|told| (Token(told.token), told.logprob)));
            }
            Event::Done { usage, timings, .. } => {
                (scored.usage, scored.queued_us) = (usage, timings.queued_us);
                return Ok(scored);
            }
            Event::Failed(error) => return Err(error),
            event => {
                // Progress only; a slow client may miss some.
                let _ = hears.as_ref().map(|hears| hears.try_send(event));
            }
        }
    }
    let text = "the engine stopped; try: repeat the request, and see beastctl logs for the reason";
    Err(WireError::new(ErrorCode::Engine, text))
}

fn no_probabilities() -> WireError {
    let text = "the model computed no probabilities: its file may be damaged; try: use another model";
    WireError::new(ErrorCode::Engine, text)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
