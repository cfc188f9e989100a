use std::thread::JoinHandle;

use beast_protocol::Event;

use super::*;
use crate::admitted::{Admitted, Resumed};
use crate::batch::{Batch, KvEdit, SamplingParams, SlotId};
use crate::engine::fake::{self, ByteVocab, FakeEngine};
use crate::engine::{Constraint, IsInterrupted, Piece, SavedState};
use crate::governor::{Crowd, Governor};
use crate::prefix_store::StoreKey;
use crate::speculation::StepCosts;
use crate::speculation::Wish;

pub(super) const LIMITS: Limits = Limits {
    n_slots: 2,
    n_prefixes: 2,
    n_cells: 512,
    n_batch: 64,
    prefill_chunk: 32,
    lone_chunk: 32,
    n_waiting: 2,
    decode_width: 2,
    n_prefix_cells: 512,
    n_background_cells: usize::MAX,
    is_adjacent: false,
    is_parallel: false,
};

/// Lets a test observe each step, and hold the engine before it.
struct Gate {
    engine: FakeEngine,
    step: std::sync::mpsc::Receiver<Result<(), EngineError>>,
    begun: std::sync::mpsc::Sender<Batch>,
}

impl Gate {
    fn pass(&mut self, batch: &Batch) -> Result<(), EngineError> {
        // Most tests do not read it, and may have dropped the receiver.
        let _ = self.begun.send(batch.clone());
        // Once a test has dropped its sender, all steps run.
        self.step.recv().unwrap_or(Ok(()))
    }
}

impl Engine for Gate {
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams, n_logprobs: Option<usize>) {
        self.engine.arm(seq, sampling, n_logprobs);
    }
    fn want(&mut self, seq: SeqId, tokens: Vec<Token>) {
        self.engine.want(seq, tokens);
    }
    fn constrain(&mut self, seq: SeqId, constraint: Constraint) {
        self.engine.constrain(seq, constraint);
    }
    fn replay(&mut self, seq: SeqId, tokens: &[Token]) -> bool {
        self.engine.replay(seq, tokens)
    }
    fn disarm(&mut self, seq: SeqId) {
        self.engine.disarm(seq);
    }
    /// A chunk passes the gate like a step without rows.
    fn embed(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Option<Vec<f32>>>, EngineError> {
        self.pass(&Batch::default())?;
        self.engine.embed(pieces)
    }
    fn stop_embedding(&mut self) {
        self.engine.stop_embedding();
    }
    fn set_threads(&mut self, n_threads: usize) -> bool {
        self.engine.set_threads(n_threads)
    }
    fn edit(&mut self, edits: &[KvEdit]) -> Result<(), EngineError> {
        self.engine.edit(edits)
    }
    fn n_rollback(&self) -> usize {
        self.engine.n_rollback()
    }
    fn save(&mut self, slot: SlotId) -> Result<SavedState, EngineError> {
        self.engine.save(slot)
    }
    fn restore(&mut self, slot: SlotId, state: &SavedState) -> Result<bool, EngineError> {
        self.engine.restore(slot, state)
    }
    fn is_free_meanwhile(&self) -> bool {
        self.engine.is_free_meanwhile()
    }
    fn start(&mut self, batch: &Batch) -> Result<(), EngineError> {
        if self.engine.is_free_meanwhile() {
            return self.engine.start(batch);
        }
        self.pass(batch)?;
        self.engine.start(batch)
    }
    fn finish(&mut self, batch: &Batch) -> Result<Vec<crate::batch::Sampled>, EngineError> {
        if self.engine.is_free_meanwhile() {
            self.pass(batch)?;
        }
        self.engine.finish(batch)
    }
    fn step_unless(
        &mut self,
        batch: &Batch,
        is_interrupted: IsInterrupted,
    ) -> Result<Vec<crate::batch::Sampled>, EngineError> {
        self.pass(batch)?;
        self.engine.step_unless(batch, is_interrupted)
    }
}

pub(super) struct Fixture {
    pub handle: WorkerHandle,
    pub metrics: Arc<Metrics>,
    pub step: std::sync::mpsc::Sender<Result<(), EngineError>>,
    pub begun: std::sync::mpsc::Receiver<Batch>,
    thread: JoinHandle<Result<Ended, EngineError>>,
}

pub(super) fn start(limits: Limits) -> Fixture {
    start_with(limits, None)
}

fn start_with(limits: Limits, store: Option<PrefixStore>) -> Fixture {
    start_on(FakeEngine::default(), limits, store)
}

pub(super) fn start_on(engine: FakeEngine, limits: Limits, store: Option<PrefixStore>) -> Fixture {
    let (handle, inbox) = WorkerHandle::new();
    let (step, gate) = std::sync::mpsc::channel();
    let (begin, begun) = std::sync::mpsc::channel();
    let metrics = Arc::new(Metrics::default());
    let worker_metrics = Arc::clone(&metrics);
    let thread = std::thread::spawn(move || {
        let vocab: Arc<dyn Vocab> = Arc::new(ByteVocab);
        let engine = engine.rolling_back(4);
        let costs = StepCosts::new(1).knowing([(1, 100.0), (16, 150.0)]);
        let speculation = Speculation::new(Wish::ANY, engine.n_rollback(), Arc::clone(&vocab), None, costs);
        let engine = Gate { engine, step: gate, begun: begin };
        let governor = Governor::new(1, 1);
        let parts = Parts { engine, vocab, limits, n_ctx: 256, governor, crowd: Crowd::default(), speculation, store };
        Worker::new(parts, inbox, worker_metrics).run()
    });
    Fixture { handle, metrics, step, begun, thread }
}

pub(super) fn admitted(prompt: &str, n_max_tokens: usize) -> Admitted {
    let prompt = ByteVocab.tokenize(prompt, false, false);
    Admitted {
        prompt,
        shared: Vec::new(),
        sampling: SamplingParams::GREEDY,
        n_logprobs: None,
        wanted: Vec::new(),
        n_max_tokens,
        stop: Vec::new(),
        distinct: false,
        ignore_eos: false,
        wish: Wish::ANY,
        constraint: None,
        is_background: false,
        resumed: Resumed::default(),
        parser: None,
        shown: Vec::new(),
    }
}

pub(super) fn expected(prompt: &str, n_max_tokens: usize) -> String {
    let tokens = fake::answer(&ByteVocab.tokenize(prompt, false, false), 0, n_max_tokens);
    tokens.iter().map(|token| char::from(u8::try_from(token.0).expect("a letter"))).collect()
}

pub(super) fn ticket() -> Ticket {
    let started = Event::Started { model: "fake".into(), n_prompt: 0, n_ctx: 0, notices: Vec::new() };
    Ticket { arrived_us: now_us(), waits_since_us: now_us(), started, lease: None }
}

/// Text and last event of a request.
pub(super) fn collect(mut replies: mpsc::Receiver<Event>) -> (String, Event) {
    let mut text = String::new();
    while let Some(reply) = replies.blocking_recv() {
        match reply {
            Event::Piece { text: more, .. } => text.push_str(&more),
            Event::Done { .. } | Event::Failed(_) => return (text, reply),
            _ => {}
        }
    }
    panic!("the stream ended without an end")
}

#[test]
fn many_requests_at_once_get_what_each_gets_alone() {
    let fixture = start(Limits { n_waiting: 32, ..LIMITS });
    drop(fixture.step);
    let prompts: Vec<String> = (0..20).map(|n| format!("question number {n} {}", "x".repeat(n * 3))).collect();
    let submit = |prompt: &String| fixture.handle.submit(admitted(prompt, 40), ticket()).expect("room").1;
    let replies: Vec<_> = prompts.iter().map(submit).collect();
    for (prompt, replies) in prompts.iter().zip(replies) {
        let (text, end) = collect(replies);
        assert_eq!(text, expected(prompt, 40));
        let Event::Done { usage, timings, .. } = end else { panic!("{end:?}") };
        assert_eq!(usage.n_prompt as usize, prompt.len());
        assert_eq!(usage.n_generated as usize, text.len());
        assert!(timings.first_token_us >= timings.queued_us);
    }
    drop(fixture.handle);
    assert!(matches!(fixture.thread.join().expect("no panic"), Ok(Ended::Stopped)));
    assert_eq!(fixture.metrics.n_requests.load(Relaxed), 20);
    let n_kept = fixture.metrics.n_prefix_tokens.load(Relaxed);
    assert_eq!(fixture.metrics.n_cells_used.load(Relaxed), n_kept, "only kept prefixes are left");
}

/// The part of the answer that another daemon has sent is neither computed nor sent again.
#[test]
fn an_answer_goes_on_where_it_was_broken_off() {
    let fixture = start(LIMITS);
    drop(fixture.step);
    let answer = |prompt: &str| fake::answer(&ByteVocab.tokenize(prompt, false, false), 0, 40);
    let prompts = (0..1000).map(|n| format!("question {n}"));
    let prompt = &*prompts.into_iter().find(|prompt| answer(prompt).len() == 40).expect("some answers are long");
    let whole = answer(prompt);
    for n in [1, 7, whole.len() - 1, whole.len()] {
        // The client has received slightly fewer tokens than were sampled, because text may be held back.
        let resumed = Resumed { tokens: whole[..n].to_vec(), n_shown: n - 1 };
        let admitted = Admitted { resumed, n_max_tokens: 40 - n, ..admitted(prompt, 40) };
        let (text, end) = collect(fixture.handle.submit(admitted, ticket()).expect("room").1);
        assert_eq!(text, expected(prompt, 40)[n - 1..]);
        let Event::Done { usage, .. } = end else { panic!("{end:?}") };
        assert_eq!((usage.n_prompt as usize, usage.n_generated as usize), (prompt.len(), whole.len()));
    }
}

#[test]
fn a_worker_that_gives_its_model_back_hands_its_inbox_on() {
    let fixture = start(LIMITS);
    drop(fixture.step);
    fixture.handle.inbox.blocking_send(Command::Unload(oneshot::channel().0)).expect("the worker lives");
    let replies = fixture.handle.submit(admitted("a", 3), ticket()).expect("the inbox stays open").1;
    let Ok(Ok(Ended::Unloaded(mut inbox, _))) = fixture.thread.join() else { panic!("it was told to give it back") };
    let Some(Command::Submit(submission)) = inbox.commands.blocking_recv() else { panic!("it was sent") };
    submission.fail(shutting_down());
    assert!(matches!(collect(replies).1, Event::Failed(_)));
}

#[test]
fn a_dropped_receiver_cancels_in_the_queue_and_in_a_slot() {
    let fixture = start(LIMITS);
    let requests: Vec<_> =
        (0..4).map(|n| fixture.handle.submit(admitted(&format!("{n}"), 100), ticket()).expect("room").1).collect();
    let mut requests = requests.into_iter();
    let (running, waiting) = (requests.next(), requests.nth(1));
    let (rest, last) = (requests.next(), fixture.step.send(Ok(())));
    assert!(last.is_ok());
    drop((running, waiting));
    drop(fixture.step);
    drop(rest);
    drop(fixture.handle);
    assert!(matches!(fixture.thread.join().expect("no panic"), Ok(Ended::Stopped)));
    assert_eq!(fixture.metrics.n_running.load(Relaxed), 0, "nothing is worked on for nobody");
}

#[test]
fn a_cancel_is_answered_with_what_was_done() {
    let fixture = start(LIMITS);
    let (id, mut replies) = fixture.handle.submit(admitted("hello", 100), ticket()).expect("room");
    fixture.step.send(Ok(())).expect("the worker lives");
    while !matches!(replies.blocking_recv(), Some(Event::Piece { .. })) {}
    fixture.handle.inbox.blocking_send(Command::Cancel(id)).expect("the worker lives");
    fixture.step.send(Ok(())).expect("the worker lives");
    let (_, end) = collect(replies);
    assert!(matches!(end, Event::Done { reason: FinishReason::Cancelled, .. }), "{end:?}");
}

#[test]
fn the_queue_refuses_what_it_cannot_hold() {
    let fixture = start(LIMITS);
    let first = fixture.handle.submit(admitted("a", 1), ticket()).expect("room").1;
    let submit = |_| fixture.handle.submit(admitted("b", 1), ticket()).expect("the inbox has room").1;
    let others: Vec<_> = (0..8).map(submit).collect();
    drop(fixture.step);
    assert!(matches!(collect(first).1, Event::Done { .. }));
    let ends: Vec<_> = others.into_iter().map(|replies| collect(replies).1).collect();
    let is_refusal = |end: &&Event| matches!(end, Event::Failed(error) if error.code == ErrorCode::Overloaded);
    let n_refused = ends.iter().filter(is_refusal).count();
    assert!((1..=5).contains(&n_refused), "two slots and two places hold at least three of eight: {ends:?}");
}

#[test]
fn stop_fails_what_lives_and_what_comes() {
    let fixture = start(LIMITS);
    let (_, replies) = fixture.handle.submit(admitted("a", 100), ticket()).expect("room");
    fixture.handle.inbox.blocking_send(Command::Stop).expect("the worker lives");
    drop(fixture.step);
    assert_eq!(collect(replies).1, Event::Failed(shutting_down()));
    assert!(matches!(fixture.thread.join().expect("no panic"), Ok(Ended::Stopped)));
    assert_eq!(fixture.handle.submit(admitted("a", 1), ticket()).expect_err("gone"), shutting_down());
}

#[test]
fn a_broken_engine_fails_every_request_and_ends_the_worker() {
    let fixture = start(LIMITS);
    let (_, replies) = fixture.handle.submit(admitted("a", 100), ticket()).expect("room");
    fixture.step.send(Err(EngineError::Fatal("cosmic ray".into()))).expect("the worker lives");
    let Event::Failed(error) = collect(replies).1 else { panic!("no failure") };
    assert_eq!(error.code, ErrorCode::Engine);
    assert!(error.message.contains("cosmic ray"), "{error}");
    assert!(fixture.thread.join().expect("no panic").is_err());
}

#[test]
fn a_reader_that_stops_reading_holds_nobody() {
    let fixture = start(LIMITS);
    drop(fixture.step);
    let stuck = fixture.handle.submit(admitted("nobody reads this", 200), ticket()).expect("room").1;
    for n in 0..5 {
        let prompt = format!("read {n}");
        let (text, _) = collect(fixture.handle.submit(admitted(&prompt, 30), ticket()).expect("room").1);
        assert_eq!(text, expected(&prompt, 30));
    }
    assert_eq!(collect(stuck).0, expected("nobody reads this", 200), "and it is all there when it reads after all");
}

#[test]
fn a_text_that_repeats_itself_is_guessed_ahead_and_stays_the_same() {
    let fixture = start(Limits { n_cells: 2048, ..LIMITS });
    drop(fixture.step);
    // The fake's answers never repeat themselves. The prompt contains one of them, so lookup finds it the second time.
    let mut n_accepted = 0;
    for seed in 0..20 {
        let question = format!("question {seed} ");
        let said = expected(&question, 100);
        let prompt = format!("{question}{said}!{question}");
        let (text, end) = collect(fixture.handle.submit(admitted(&prompt, 60), ticket()).expect("room").1);
        assert_eq!(text, expected(&prompt, 60), "guessing changes nothing");
        let Event::Done { usage, .. } = end else { panic!("{end:?}") };
        assert_eq!(usage.n_generated as usize, text.len());
        assert!(usage.n_accepted <= usage.n_drafted);
        n_accepted += usage.n_accepted;
    }
    let n_drafted = fixture.metrics.n_drafted.load(Relaxed);
    assert!(n_drafted > 0 && u64::from(n_accepted) == fixture.metrics.n_accepted.load(Relaxed), "{n_drafted}");
}

#[test]
fn an_instruction_survives_a_restart_on_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = || StoreKey { model: [7; 32], engine: "fake".into(), kv_layout: "bytes".into() };
    let store = || Some(PrefixStore::open(&folder.path().join("prefixes"), key(), 1 << 20).expect("it can be made"));
    let instruction = "a long instruction that everybody begins with: ";
    for (n_restored, text) in [(0, "first"), (1, "second")] {
        let fixture = start_with(LIMITS, store());
        drop(fixture.step);
        let prompt = format!("{instruction}{text} text");
        let admitted = Admitted { shared: vec![instruction.len()], ..admitted(&prompt, 20) };
        let (answer, end) = collect(fixture.handle.submit(admitted, ticket()).expect("room").1);
        assert_eq!(answer, expected(&prompt, 20));
        let Event::Done { usage, .. } = end else { panic!("{end:?}") };
        assert_eq!(usage.n_cached as usize, n_restored * instruction.len());
        drop(fixture.handle);
        assert!(matches!(fixture.thread.join().expect("no panic"), Ok(Ended::Stopped)));
        assert_eq!(fixture.metrics.n_stored.load(Relaxed), 1);
        assert_eq!(fixture.metrics.n_restored.load(Relaxed), n_restored as u64);
    }
}

/// The tokens of an answer, each with the log-probability that the client received.
fn told(mut replies: mpsc::Receiver<Event>) -> Vec<(Token, Option<beast_protocol::TokenLogprob>)> {
    let mut told = Vec::new();
    while let Some(reply) = replies.blocking_recv() {
        match reply {
            Event::Piece { tokens, logprobs, .. } => {
                assert!(logprobs.is_empty() || logprobs.len() == tokens.len());
                let logprobs = logprobs.into_iter().map(Some).chain(std::iter::repeat(None));
                told.extend(tokens.into_iter().map(Token).zip(logprobs));
            }
            Event::Done { .. } => return told,
            Event::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    panic!("the stream ended without an end")
}

/// Drafts and an interruption change nothing; requests that do not ask for log-probabilities get none.
#[test]
fn log_probabilities_stay_with_their_tokens() {
    let fixture = start(Limits { n_cells: 2048, ..LIMITS });
    drop(fixture.step);
    let mut n_drafted = 0;
    for seed in 0..20 {
        let question = format!("question {seed} ");
        let said = expected(&question, 100);
        let prompt = ByteVocab.tokenize(&format!("{question}{said}!{question}"), false, false);
        let answer = fake::answer(&prompt, 0, 60);
        let (n_resumed, n) = (answer.len() / 3, seed % 5);
        let resumed = Resumed { tokens: answer[..n_resumed].to_vec(), n_shown: n_resumed };
        let asked = Admitted { prompt: prompt.clone(), n_logprobs: Some(n), ..admitted("", 60) };
        let on = Admitted { resumed, n_logprobs: Some(n), prompt: prompt.clone(), ..admitted("", 60 - n_resumed) };
        let not_asked = Admitted { prompt: prompt.clone(), ..admitted("", 60) };
        let submit = |admitted| told(fixture.handle.submit(admitted, ticket()).expect("room").1);
        assert!(submit(not_asked).iter().all(|(_, logprob)| logprob.is_none()));
        for (told, n_before) in [(submit(asked), 0), (submit(on), n_resumed)] {
            let tokens: Vec<Token> = told.iter().map(|(token, _)| *token).collect();
            assert_eq!(tokens, answer[n_before..]);
            for (nth, (token, logprob)) in told.iter().enumerate() {
                let before = [&prompt[..], &answer[..n_before + nth]].concat();
                let expected = fake::logprobs(&before, *token, n);
                let logprob = logprob.as_ref().expect("it was asked for");
                assert_eq!((logprob.chosen.token, logprob.chosen.logprob), (token.0, expected.chosen));
                let top: Vec<_> = logprob.top.iter().map(|top| (Token(top.token), top.logprob)).collect();
                assert_eq!(top, expected.top);
            }
        }
        n_drafted = fixture.metrics.n_drafted.load(Relaxed);
    }
    assert!(n_drafted > 0);
}
