//! Map-reduce: a text longer than the context is answered part by part, then the answers are answered together, in
//! rounds, until one call holds them all. Knows no sockets and no llama.cpp.
//!
//! Sits between session and admission: a part is admitted and scheduled like any other request, but in the
//! background, where it yields to requests with a waiting client. Dropping the future drops the parts' reply
//! channels, which cancels them. Who answers the parts is an [`Answerer`]'s matter.

mod local;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use beast_protocol::{ErrorCode, Event, Generate, Overflow, Part, Role, Round, Span, WireError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::admission::cut_out;
use crate::splitter::{Piece, Sizes};
pub use local::Means;

/// Share of the context for the answer to a part: each round shrinks the text to an eighth at most.
const ANSWER_SHARE: usize = 8;
/// Share of their room by which neighbouring parts overlap, so that text at a boundary is read once in its context.
const OVERLAP_SHARE: usize = 64;
/// Delay before a part is retried when the queue is full and none of our parts is running.
const OVERLOADED_PAUSE: Duration = Duration::from_millis(100);
/// Spare tokens: a part may be tokenized differently next to the text around it.
const MARGIN: usize = 8;
/// How often parts are halved when they turn out to be too long.
const MAX_SHRINKS: u32 = 3;
/// Smaller parts are not worth a call: the question itself is too long.
const MIN_PART: usize = 64;

/// Who answers the parts, and knows their sizes.
pub trait Answerer: Clone + Send + Sync + 'static {
    /// The final request, ready to be answered.
    type Last: Send;

    /// Context in tokens.
    fn n_ctx(&self) -> usize;

    /// Most parts to answer at once.
    fn n_at_once(&self) -> usize;

    /// Whether a part that found no room is tried again, after so many refusals in a row while nothing else of this
    /// input was being answered.
    fn is_patient(&self, n_refusals: u32) -> bool;

    /// Tokens of a whole prompt, whether or not it fits.
    fn n_prompt(&self, request: Generate) -> impl Future<Output = Result<usize, WireError>> + Send;

    /// Splits a text.
    fn split(&self, text: Arc<String>, sizes: Sizes) -> impl Future<Output = Result<Vec<Piece>, WireError>> + Send;

    /// The final request, or [`ErrorCode::TooLong`] if it does not fit.
    fn last(&self, request: Arc<Generate>) -> impl Future<Output = Result<Self::Last, WireError>> + Send;

    /// Answers a part. Dropping the future cancels it.
    fn answer(self, part: Generate) -> impl Future<Output = Result<Answer, WireError>> + Send;
}

/// The answer to a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// Whether it reached its token limit.
    pub is_cut: bool,
}

impl Answer {
    /// Collects the events of an answer; `None` if they end too early.
    pub async fn collect(mut events: mpsc::Receiver<Event>) -> Option<Result<Self, WireError>> {
        let mut text = String::new();
        while let Some(event) = events.recv().await {
            match event {
                Event::Piece { text: piece, .. } => text += &piece,
                Event::Done { reason, .. } => return Some(Ok(Self { text, is_cut: reason.is_cut() })),
                Event::Failed(error) => return Some(Err(error)),
                _ => {}
            }
        }
        None
    }
}

/// One request that is answered in parts.
struct Reduction<A> {
    answerer: A,
    /// The message around the material.
    frame: Frame,
    events: mpsc::Sender<Event>,
}

/// The request without its material.
#[derive(Clone)]
struct Frame {
    request: Generate,
    before: String,
    after: String,
    /// The instruction for combining answers.
    instruction: String,
}

/// Answers the material of a request in parts. Returns the final request, which combines their answers and has not
/// been submitted.
///
/// # Errors
/// Those of the parts; [`ErrorCode::TooLong`] when the answers do not get shorter.
pub async fn reduce<A: Answerer>(
    answerer: A,
    request: Arc<Generate>,
    events: mpsc::Sender<Event>,
) -> Result<A::Last, WireError> {
    let (frame, mut text) = Frame::new(&request)?;
    drop(request);
    let reduction = Reduction { answerer, frame, events };
    let (mut round, mut n_shrinks) = (1, 0);
    loop {
        let shared = Arc::new(text);
        let pieces = reduction.divide(&shared, round, n_shrinks).await?;
        let answers = match reduction.round(round, &shared, pieces).await {
            // Its tokens were estimated too low: the round begins again with smaller parts.
            Err(error) if error.code == ErrorCode::TooLong && n_shrinks < MAX_SHRINKS => {
                n_shrinks += 1;
                text = Arc::unwrap_or_clone(shared);
                continue;
            }
            outcome => outcome?,
        };
        let joined = join(answers);
        if joined.is_empty() {
            return Err(WireError::new(
                ErrorCode::Engine,
                "no part of the input got an answer; try: change the prompt, or raise --max-tokens",
            ));
        }
        let last = Arc::new(reduction.frame.around(&joined, None, true, None));
        match reduction.answerer.last(Arc::clone(&last)).await {
            Err(error) if error.code == ErrorCode::TooLong && joined.len() < shared.len() => text = joined,
            outcome => return outcome,
        }
        round += 1;
    }
}

impl<A: Answerer> Reduction<A> {
    /// Splits a text so that a part, the text around it and an answer fit into the context.
    async fn divide(&self, text: &Arc<String>, round: u32, n_shrinks: u32) -> Result<Vec<Piece>, WireError> {
        let n_ctx = self.answerer.n_ctx();
        let n_around = self.answerer.n_prompt(self.frame.around("", None, round > 1, None)).await?;
        let n_max = n_ctx.saturating_sub(n_around + self.n_answer() + MARGIN) >> n_shrinks;
        if n_max < MIN_PART {
            let message = format!(
                "the instruction and the question take {n_around} of the context's {n_ctx} tokens and leave no room \
                 for the input; try: shorten them, or use a larger context"
            );
            return Err(WireError::new(ErrorCode::TooLong, message));
        }
        // Parts made of answers are cut between answers, so they need no overlap.
        let n_overlap = if round == 1 { n_max / OVERLAP_SHARE } else { 0 };
        self.answerer.split(Arc::clone(text), Sizes { n_max, n_overlap }).await
    }

    /// Token limit for the answer to a part.
    fn n_answer(&self) -> usize {
        let n_share = (self.answerer.n_ctx() / ANSWER_SHARE).max(1);
        self.frame.request.max_tokens.map_or(n_share, |n| n_share.min(n as usize))
    }

    /// Answers all parts, a few at a time. Identical parts are answered once.
    async fn round(&self, round: u32, text: &Arc<String>, pieces: Vec<Piece>) -> Result<Vec<String>, WireError> {
        let n_parts = as_u32(pieces.len());
        let n_tokens = pieces.iter().map(|piece| (piece.n_tokens - piece.n_overlap) as u64).sum();
        self.say(Event::Round(Round { round, n_parts, n_tokens })).await;
        let (same, mut waiting) = group(text, &pieces);
        let mut answers = vec![String::new(); pieces.len()];
        let mut running = JoinSet::new();
        let (mut n_done, mut n_refusals) = (0, 0);
        let mut n_at_once = self.answerer.n_at_once();
        loop {
            while running.len() < n_at_once
                && let Some(index) = waiting.pop_front()
            {
                let (answerer, part) = (self.answerer.clone(), self.part(round, text, &pieces[index]));
                running.spawn(async move { (index, answerer.answer(part).await) });
            }
            let Some(outcome) = running.join_next().await else { break };
            let (index, outcome) = outcome.map_err(|error| {
                WireError::new(ErrorCode::Internal, format!("cannot answer a part of the input: {error}"))
            })?;
            let Answer { text: answer, is_cut } = match outcome {
                // The queue is full: run fewer at once, and retry, because the answers so far are too much to lose.
                Err(error) if error.code == ErrorCode::Overloaded && self.answerer.is_patient(n_refusals) => {
                    waiting.push_front(index);
                    n_at_once = running.len().max(1);
                    if running.is_empty() {
                        n_refusals += 1;
                        tokio::time::sleep(OVERLOADED_PAUSE).await;
                    }
                    continue;
                }
                outcome => outcome?,
            };
            n_refusals = 0;
            n_at_once = (n_at_once + 1).min(self.answerer.n_at_once());
            for &index in &same[&contents(text, &pieces[index])] {
                n_done += 1;
                answers[index].clone_from(&answer);
                let Piece { span, n_tokens, n_overlap, .. } = &pieces[index];
                let part = Part {
                    round,
                    index: as_u32(index),
                    n_done,
                    n_parts,
                    span: wire_span(span),
                    n_tokens: as_u32(*n_tokens),
                    n_overlap: as_u32(*n_overlap),
                    is_cut,
                    text: answer.clone(),
                };
                self.say(Event::Part(part)).await;
            }
        }
        Ok(answers)
    }

    fn part(&self, round: u32, text: &str, piece: &Piece) -> Generate {
        let (content, heading) = contents(text, piece);
        self.frame.around(content, heading, round > 1, Some(as_u32(self.n_answer())))
    }

    async fn say(&self, event: Event) {
        // If the receiver is gone, the whole reduction will be dropped.
        let _ = self.events.send(event).await;
    }
}

impl Frame {
    /// Splits a request into material and surroundings.
    fn new(request: &Generate) -> Result<(Self, String), WireError> {
        let Overflow::Reduce { material, instruction } = &request.overflow else {
            unreachable!("only such requests are reduced")
        };
        let content = request.messages.last().map(|message| message.content.as_str()).unwrap_or_default();
        let (before, material, after) = cut_out(content, *material)?;
        let mut messages = request.messages.clone();
        if let Some(last) = messages.last_mut() {
            last.content = String::new();
        }
        let frame = Self {
            request: Generate { messages, ..request.clone() },
            before: before.to_owned(),
            after: after.to_owned(),
            instruction: instruction.clone(),
        };
        Ok((frame, material.to_owned()))
    }

    /// The request with other material. With `n_answer`, for a part: that token limit, and no grammar or schema,
    /// which apply to the final answer only.
    fn around(&self, material: &str, heading: Option<&str>, is_of_answers: bool, n_answer: Option<u32>) -> Generate {
        let mut request = self.request.clone();
        if is_of_answers
            && !self.instruction.is_empty()
            && let Some(system) = request.messages.first_mut().filter(|message| message.role == Role::System)
        {
            system.content.clone_from(&self.instruction);
        }
        if let Some(last) = request.messages.last_mut() {
            let heading = heading.map(|heading| format!("{heading}\n")).unwrap_or_default();
            last.content = [&self.before, heading.as_str(), material, &self.after].concat();
        }
        if n_answer.is_some() {
            request.max_tokens = n_answer;
            request.constraint = None;
            request.overflow = Overflow::Refuse;
            request.resume = None;
        }
        request
    }
}

/// The text of a part, and the line that names its file unless the text contains it.
type Contents<'a> = (&'a str, Option<&'a str>);

/// Groups parts with the same contents; also returns the first part of each group, in order, which are the ones to
/// answer.
fn group<'a>(text: &'a str, pieces: &[Piece]) -> (HashMap<Contents<'a>, Vec<usize>>, VecDeque<usize>) {
    let mut same: HashMap<_, Vec<usize>> = HashMap::new();
    let mut firsts = VecDeque::new();
    for (index, piece) in pieces.iter().enumerate() {
        let indices = same.entry(contents(text, piece)).or_default();
        indices.push(index);
        if indices.len() == 1 {
            firsts.push_back(index);
        }
    }
    (same, firsts)
}

fn contents<'a>(text: &'a str, piece: &Piece) -> Contents<'a> {
    (&text[piece.span.clone()], piece.heading.clone().map(|span| &text[span]))
}

/// One paragraph per answer, in the order of the parts.
fn join(answers: Vec<String>) -> String {
    let answers: Vec<&str> = answers.iter().map(|answer| answer.trim()).filter(|answer| !answer.is_empty()).collect();
    answers.join("\n\n")
}

fn as_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn wire_span(span: &Range<usize>) -> Span {
    Span { start: span.start as u64, end: span.end as u64 }
}

#[cfg(test)]
#[path = "map_reduce_tests.rs"]
mod tests;
