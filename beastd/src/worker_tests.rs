use std::thread::JoinHandle;

use super::*;
use crate::engine::fake::{self, ByteVocab, FakeEngine};
use crate::governor::Governor;

const LIMITS: Limits = Limits { n_slots: 2, n_prefixes: 2, n_cells: 512, n_batch: 64, prefill_chunk: 32, n_waiting: 2 };

/// Lets a test hold the engine between two steps, and see them.
struct Gate {
    engine: FakeEngine,
    step: std::sync::mpsc::Receiver<Result<(), EngineError>>,
}

impl Engine for Gate {
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams) {
        self.engine.arm(seq, sampling);
    }
    fn disarm(&mut self, seq: SeqId) {
        self.engine.disarm(seq);
    }
    fn set_threads(&mut self, n_threads: usize) -> Result<bool, EngineError> {
        self.engine.set_threads(n_threads)
    }
    fn step(&mut self, batch: &Batch) -> Result<Vec<crate::batch::Sampled>, EngineError> {
        // A test that has dropped its end lets everything run.
        self.step.recv().unwrap_or(Ok(()))?;
        self.engine.step(batch)
    }
}

struct Fixture {
    handle: WorkerHandle,
    metrics: Arc<Metrics>,
    step: std::sync::mpsc::Sender<Result<(), EngineError>>,
    thread: JoinHandle<Result<(), EngineError>>,
}

fn start(limits: Limits) -> Fixture {
    let (handle, inbox) = WorkerHandle::new();
    let (step, gate) = std::sync::mpsc::channel();
    let metrics = Arc::new(Metrics::default());
    let worker_metrics = Arc::clone(&metrics);
    let thread = std::thread::spawn(move || {
        let engine = Gate { engine: FakeEngine::default(), step: gate };
        Worker::new(engine, Arc::new(ByteVocab), limits, 256, Governor::new(1, 1), inbox, worker_metrics).run()
    });
    Fixture { handle, metrics, step, thread }
}

fn admitted(prompt: &str, n_max_tokens: usize) -> Admitted {
    let prompt = ByteVocab.tokenize(prompt, false, false);
    Admitted {
        prompt,
        shared: Vec::new(),
        sampling: SamplingParams::GREEDY,
        n_max_tokens,
        stop: Vec::new(),
        ignore_eos: false,
    }
}

fn expected(prompt: &str, n_max_tokens: usize) -> String {
    let tokens = fake::answer(&ByteVocab.tokenize(prompt, false, false), 0, n_max_tokens);
    tokens.iter().map(|token| char::from(u8::try_from(token.0).expect("a letter"))).collect()
}

/// Text and end of a request.
fn collect(mut replies: mpsc::Receiver<Reply>) -> (String, Reply) {
    let mut text = String::new();
    while let Some(reply) = replies.blocking_recv() {
        match reply {
            Reply::Piece { text: more, .. } => text.push_str(&more),
            Reply::Done { .. } | Reply::Failed(_) => return (text, reply),
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
    let submit = |prompt: &String| fixture.handle.submit(admitted(prompt, 40), now_us()).expect("room").1;
    let replies: Vec<_> = prompts.iter().map(submit).collect();
    for (prompt, replies) in prompts.iter().zip(replies) {
        let (text, end) = collect(replies);
        assert_eq!(text, expected(prompt, 40));
        let Reply::Done { usage, timings, .. } = end else { panic!("{end:?}") };
        assert_eq!(usage.n_prompt as usize, prompt.len());
        assert_eq!(usage.n_generated as usize, text.len());
        assert!(timings.first_token_us >= timings.queued_us);
    }
    drop(fixture.handle);
    assert_eq!(fixture.thread.join().expect("no panic"), Ok(()));
    assert_eq!(fixture.metrics.n_requests.load(Relaxed), 20);
    let n_kept = fixture.metrics.n_prefix_tokens.load(Relaxed);
    assert_eq!(fixture.metrics.n_cells_used.load(Relaxed), n_kept, "only kept prefixes are left");
}

#[test]
fn a_dropped_receiver_cancels_in_the_queue_and_in_a_slot() {
    let fixture = start(LIMITS);
    let requests: Vec<_> =
        (0..4).map(|n| fixture.handle.submit(admitted(&format!("{n}"), 100), now_us()).expect("room").1).collect();
    let mut requests = requests.into_iter();
    let (running, waiting) = (requests.next(), requests.nth(1));
    let (rest, last) = (requests.next(), fixture.step.send(Ok(())));
    assert!(last.is_ok());
    drop((running, waiting));
    drop(fixture.step);
    drop(rest);
    drop(fixture.handle);
    assert_eq!(fixture.thread.join().expect("no panic"), Ok(()));
    assert_eq!(fixture.metrics.n_running.load(Relaxed), 0, "nothing is worked on for nobody");
}

#[test]
fn a_cancel_is_answered_with_what_was_done() {
    let fixture = start(LIMITS);
    let (id, mut replies) = fixture.handle.submit(admitted("hello", 100), now_us()).expect("room");
    fixture.step.send(Ok(())).expect("the worker lives");
    while !matches!(replies.blocking_recv(), Some(Reply::Piece { .. })) {}
    fixture.handle.inbox.blocking_send(Command::Cancel(id)).expect("the worker lives");
    fixture.step.send(Ok(())).expect("the worker lives");
    let (_, end) = collect(replies);
    assert!(matches!(end, Reply::Done { reason: FinishReason::Cancelled, .. }), "{end:?}");
}

#[test]
fn the_queue_refuses_what_it_cannot_hold() {
    let fixture = start(LIMITS);
    let first = fixture.handle.submit(admitted("a", 1), now_us()).expect("room").1;
    let submit = |_| fixture.handle.submit(admitted("b", 1), now_us()).expect("the inbox has room").1;
    let others: Vec<_> = (0..8).map(submit).collect();
    drop(fixture.step);
    assert!(matches!(collect(first).1, Reply::Done { .. }));
    let ends: Vec<_> = others.into_iter().map(|replies| collect(replies).1).collect();
    let is_refusal = |end: &&Reply| matches!(end, Reply::Failed(error) if error.code == ErrorCode::Overloaded);
    let n_refused = ends.iter().filter(is_refusal).count();
    assert!((1..=5).contains(&n_refused), "two slots and two places hold at least three of eight: {ends:?}");
}

#[test]
fn stop_fails_what_lives_and_what_comes() {
    let fixture = start(LIMITS);
    let (_, replies) = fixture.handle.submit(admitted("a", 100), now_us()).expect("room");
    fixture.handle.inbox.blocking_send(Command::Stop).expect("the worker lives");
    drop(fixture.step);
    assert_eq!(collect(replies).1, Reply::Failed(shutting_down()));
    assert_eq!(fixture.thread.join().expect("no panic"), Ok(()));
    assert_eq!(fixture.handle.submit(admitted("a", 1), now_us()).expect_err("gone"), shutting_down());
}

#[test]
fn a_broken_engine_fails_every_request_and_ends_the_worker() {
    let fixture = start(LIMITS);
    let (_, replies) = fixture.handle.submit(admitted("a", 100), now_us()).expect("room");
    fixture.step.send(Err(EngineError::Fatal("cosmic ray".into()))).expect("the worker lives");
    let Reply::Failed(error) = collect(replies).1 else { panic!("no failure") };
    assert_eq!(error.code, ErrorCode::Engine);
    assert!(error.message.contains("cosmic ray"), "{error}");
    assert!(fixture.thread.join().expect("no panic").is_err());
}

#[test]
fn a_reader_that_stops_reading_holds_nobody() {
    let fixture = start(LIMITS);
    drop(fixture.step);
    let stuck = fixture.handle.submit(admitted("nobody reads this", 200), now_us()).expect("room").1;
    for n in 0..5 {
        let prompt = format!("read {n}");
        let (text, _) = collect(fixture.handle.submit(admitted(&prompt, 30), now_us()).expect("room").1);
        assert_eq!(text, expected(&prompt, 30));
    }
    assert_eq!(collect(stuck).0, expected("nobody reads this", 200), "and it is all there when it reads after all");
}
