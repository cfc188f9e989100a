use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

use beast_protocol::{Message, Sampling};

use tokio::sync::Semaphore;

use super::*;
use crate::admission::Admission;
use crate::engine::Vocab as _;
use crate::engine::fake::{self, ByteVocab, FakeEngine};
use crate::metrics::Metrics;
use crate::sampling::SamplingDefaults;
use crate::scheduler::Limits;
use crate::speculation::Wish;
use crate::worker::fixture;

const N_CTX: usize = 256;
const DEFAULTS: SamplingDefaults =
    SamplingDefaults { temp: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, ..SamplingDefaults::OURS };

struct Fixture {
    means: Means,
    metrics: Arc<Metrics>,
    thread: fixture::Thread,
}

fn start(n_waiting: usize) -> Fixture {
    let limits = Limits {
        n_slots: 3,
        n_prefixes: 4,
        n_cells: 1024,
        n_batch: 128,
        prefill_chunk: 64,
        lone_chunk: 64,
        n_waiting,
        decode_width: 3,
        n_prefix_cells: 1024,
        n_background_cells: usize::MAX,
        is_adjacent: false,
        is_parallel: false,
    };
    let (worker, metrics, thread) = fixture::start(FakeEngine::default().rolling_back(4), Wish::ANY, limits, N_CTX);
    let admission = Arc::new(Admission::new(Arc::new(ByteVocab), None, DEFAULTS, N_CTX, 20));
    Fixture { means: Means { admission, worker, tokenizing: Arc::new(Semaphore::new(2)), n_slots: 3 }, metrics, thread }
}

fn request(material: &str, question: &str, instruction: &str) -> Arc<Generate> {
    let message = |role, content: String| Message::new(role, content);
    let end = material.len() as u64;
    Arc::new(Generate {
        messages: vec![message(Role::System, "Sum up.".into()), message(Role::User, format!("{material}{question}"))],
        max_tokens: Some(20),
        // The fake engine's answers depend on the seed.
        sampling: Sampling { seed: Some(0), ..Sampling::default() },
        overflow: Overflow::Reduce { material: Span { start: 0, end }, instruction: instruction.into() },
        ..Generate::default()
    })
}

/// Runs a reduction; returns its events, and the prompt of the final call.
async fn run(means: &Means, request: Arc<Generate>) -> (Vec<Event>, Result<String, WireError>) {
    let (events, mut said) = mpsc::channel(1000);
    let outcome = reduce(means.clone(), request, events).await;
    let mut all = Vec::new();
    while let Some(event) = said.recv().await {
        all.push(event);
    }
    if let Ok(admitted) = &outcome {
        assert!(admitted.n_max_tokens >= 20, "room for the answer that was asked for: {}", admitted.n_max_tokens);
    }
    (all, outcome.map(|admitted| text(&admitted.prompt)))
}

fn text(tokens: &[crate::batch::Token]) -> String {
    tokens.iter().map(|token| char::from(u8::try_from(token.0).expect("a byte"))).collect()
}

/// The fake engine's answer to a part on its own.
fn expected(system: &str, part: &str, question: &str) -> String {
    let prompt = ByteVocab.tokenize(&format!("{system}\n\n{part}{question}"), true, false);
    text(&fake::answer(&prompt, 0, 20))
}

fn words(n: usize) -> String {
    (0..n).map(|n| format!("word{n}{}", if n % 9 == 8 { ".\n\n" } else { " " })).collect()
}

fn parts(events: &[Event]) -> Vec<Part> {
    let parts = events.iter().filter_map(|event| match event {
        Event::Part(part) => Some(part.clone()),
        _ => None,
    });
    parts.collect()
}

fn rounds(events: &[Event]) -> Vec<Round> {
    events.iter().filter_map(|event| if let Event::Round(round) = event { Some(*round) } else { None }).collect()
}

#[tokio::test]
async fn every_byte_is_in_a_part_and_every_answer_in_the_last_prompt() {
    let fixture = start(100);
    let material = words(80);
    let (events, outcome) = run(&fixture.means, request(&material, "\nWhy?", "Merge.")).await;
    let prompt = outcome.expect("answered");
    let rounds = rounds(&events);
    let mut first: Vec<Part> = parts(&events).into_iter().filter(|part| part.round == 1).collect();
    assert_eq!(first.len(), rounds[0].n_parts as usize);
    assert!(first.len() > 3);
    // Parts end in any order but are counted in sequence.
    let counted: Vec<u32> = first.iter().map(|part| part.n_done).collect();
    assert_eq!(counted, (1..=rounds[0].n_parts).collect::<Vec<_>>());
    first.sort_by_key(|part| part.index);
    let mut covered = 0;
    for part in &first {
        let span = part.span.start as usize..part.span.end as usize;
        assert_eq!(
            span.start + part.n_overlap as usize,
            covered,
            "nothing is left out, nothing is read twice by accident"
        );
        assert_eq!(part.text, expected("Sum up.", &material[span.clone()], "\nWhy?"));
        covered = span.end;
    }
    assert_eq!(covered, material.len());
    assert_eq!(rounds[0].n_tokens, material.len() as u64, "a byte is a token here");
    assert!(prompt.starts_with("Merge.\n\n") && prompt.ends_with("\nWhy?"), "{prompt}");
    let last: Vec<Part> = parts(&events).into_iter().filter(|part| part.round == rounds.len() as u32).collect();
    let mut sorted = last.clone();
    sorted.sort_by_key(|part| part.index);
    let joined = join(sorted.into_iter().map(|part| part.text).collect());
    assert_eq!(prompt, format!("Merge.\n\n{joined}\nWhy?"));
}

#[tokio::test]
async fn rounds_follow_until_one_call_holds_all() {
    let fixture = start(100);
    let (events, outcome) = run(&fixture.means, request(&words(900), "", "")).await;
    let prompt = outcome.expect("answered");
    let rounds = rounds(&events);
    assert!(rounds.len() > 1, "{rounds:?}");
    assert!(rounds.windows(2).all(|pair| pair[1].n_parts < pair[0].n_parts), "{rounds:?}");
    assert!(prompt.starts_with("Sum up."), "without an instruction of its own the request's holds: {prompt}");
    assert!(prompt.len() < N_CTX);
}

#[tokio::test]
async fn equal_parts_are_answered_once() {
    let fixture = start(100);
    let (events, outcome) = run(&fixture.means, request(&"y\n".repeat(5000), "", "Merge.")).await;
    outcome.expect("answered");
    let parts = parts(&events);
    let distinct: BTreeSet<_> = parts.iter().filter(|part| part.round == 1).map(|part| &part.text).collect();
    assert!(parts.len() > 30 && distinct.len() <= 3, "{} of {}", distinct.len(), parts.len());
    assert!(fixture.metrics.n_requests.load(Relaxed) < 20);
}

#[tokio::test]
async fn a_full_queue_only_makes_it_slower() {
    let fixture = start(0);
    let (events, outcome) = run(&fixture.means, request(&words(80), "", "Merge.")).await;
    outcome.expect("answered");
    assert_eq!(rounds(&events)[0].n_parts as usize, parts(&events).iter().filter(|part| part.round == 1).count());
}

#[tokio::test]
async fn a_question_that_leaves_no_room_is_refused_with_both_sizes() {
    let fixture = start(100);
    let (_, outcome) = run(&fixture.means, request(&words(80), &"why ".repeat(50), "")).await;
    let error = outcome.expect_err("no room");
    assert_eq!(error.code, ErrorCode::TooLong);
    assert!(error.message.contains("take 209 of") && error.message.contains("256"), "{}", error.message);
}

#[tokio::test]
async fn dropping_it_cancels_its_parts() {
    let Fixture { means, metrics, thread } = start(100);
    let (events, mut said) = mpsc::channel(1);
    let reducing = tokio::spawn(reduce(means.clone(), request(&words(4000), "", ""), events));
    // The round is announced and parts are running; nothing reads their answers.
    assert!(matches!(said.recv().await, Some(Event::Round(_))));
    assert!(matches!(said.recv().await, Some(Event::Part(_))));
    reducing.abort();
    assert!(reducing.await.expect_err("aborted").is_cancelled());
    drop((means, said));
    // The worker thread ends only when all handles are dropped, so no part is left.
    tokio::task::spawn_blocking(|| thread.join()).await.expect("no panic").expect("no panic").expect("a good end");
    assert_eq!(metrics.n_running.load(Relaxed) + metrics.n_waiting.load(Relaxed), 0);
}

/// A server that estimates four bytes a token, and takes prompts of at most `max_len` bytes.
#[derive(Clone)]
struct Strict {
    max_len: usize,
    code: ErrorCode,
}

impl Answerer for Strict {
    type Last = Generate;

    fn n_ctx(&self) -> usize {
        N_CTX
    }

    fn n_at_once(&self) -> usize {
        2
    }

    fn is_patient(&self, n_refusals: u32) -> bool {
        n_refusals < 2
    }

    async fn n_prompt(&self, _: Generate) -> Result<usize, WireError> {
        Ok(10)
    }

    async fn split(&self, text: Arc<String>, sizes: Sizes) -> Result<Vec<Piece>, WireError> {
        let ends = (1..=text.len() / 4).map(|nth| 4 * nth).collect();
        Ok(crate::splitter::split(&text, &crate::splitter::KnownEnds(ends), sizes, || true))
    }

    async fn last(&self, request: Arc<Generate>) -> Result<Generate, WireError> {
        Ok(Arc::unwrap_or_clone(request))
    }

    async fn answer(self, part: Generate) -> Result<Answer, WireError> {
        match part.messages[1].content.len() > self.max_len {
            true => Err(WireError::new(self.code, "no")),
            false => Ok(Answer { text: "yes".into(), is_cut: false }),
        }
    }
}

#[tokio::test]
async fn parts_that_are_too_long_after_all_are_halved() {
    let (events, mut said) = mpsc::channel(1000);
    let server = Strict { max_len: 500, code: ErrorCode::TooLong };
    let last = reduce(server, request(&words(900), "", "Merge."), events.clone()).await.expect("answered");
    assert!(last.messages[1].content.starts_with("yes\n\nyes"), "{last:?}");
    let mut all = Vec::new();
    while let Ok(event) = said.try_recv() {
        all.push(event);
    }
    let rounds = rounds(&all);
    assert!(rounds.iter().all(|round| round.round == 1) && rounds.len() > 1, "{rounds:?}");
    let hopeless = Strict { max_len: 20, code: ErrorCode::TooLong };
    let error = reduce(hopeless, request(&words(900), "", "Merge."), events).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLong);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_has_room_is_given_up() {
    let (events, _said) = mpsc::channel(1000);
    let server = Strict { max_len: 20, code: ErrorCode::Overloaded };
    let error = reduce(server, request(&words(900), "", "Merge."), events).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Overloaded);
}
