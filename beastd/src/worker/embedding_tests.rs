use std::pin::Pin;
use std::task::Poll;

use super::super::tests::{LIMITS, admitted, collect, expected, start, ticket};
use super::*;
use crate::engine::Vocab;
use crate::engine::fake::{self, ByteVocab};

fn tokens(text: &str) -> Vec<Token> {
    ByteVocab.tokenize(text, false, false)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

/// Polls once, which sends the job to the worker.
fn begin<F: Future>(runtime: &tokio::runtime::Runtime, mut embedding: Pin<Box<F>>) -> Pin<Box<F>> {
    let polled = runtime.block_on(std::future::poll_fn(|cx| Poll::Ready(embedding.as_mut().poll(cx))));
    assert!(polled.is_pending());
    embedding
}

fn texts(n: usize) -> Vec<Vec<Token>> {
    (0..n).map(|n| tokens(&format!("text {n} {}", "x".repeat(n * 30)))).collect()
}

fn refused(handle: &WorkerHandle, inputs: Vec<Vec<Token>>) -> (ErrorCode, String) {
    let error = runtime().block_on(handle.embed(inputs)).expect_err("refused");
    (error.code, error.message)
}

#[test]
fn several_texts_get_what_each_gets_alone() {
    let fixture = start(LIMITS);
    drop(fixture.step);
    let inputs = texts(6);
    let embed = |inputs: Vec<Vec<Token>>| runtime().block_on(fixture.handle.embed(inputs)).expect("fine");
    let together = embed(inputs.clone());
    assert_eq!(together, inputs.iter().map(|input| fake::embedding(input)).collect::<Vec<_>>());
    for (input, vector) in inputs.iter().zip(together) {
        assert_eq!(embed(vec![input.clone()]), [vector]);
    }
    assert_eq!(embed(Vec::new()), Vec::<Vec<f32>>::new());
}

type Answered = oneshot::Receiver<Result<Vec<Vec<f32>>, WireError>>;

/// Jobs of texts with these lengths.
fn with(jobs: &[&[usize]]) -> (Embeddings, Vec<Answered>) {
    let metrics = Arc::new(Metrics::default());
    let mut embeddings = Embeddings::new(Limits { n_waiting: 64, ..LIMITS }, metrics);
    let add = |lengths: &&[usize]| {
        let (answer, answered) = oneshot::channel();
        let inputs = lengths.iter().map(|&n| tokens(&"x".repeat(n))).collect();
        embeddings.add(EmbedJob { inputs, answer }, 256, 257);
        answered
    };
    let answered = jobs.iter().map(add).collect();
    (embeddings, answered)
}

/// Runs steps until no text is left; returns each one as `JOB.TEXT:CHUNK`.
fn steps(embeddings: &mut Embeddings, n_chunk: usize) -> Vec<String> {
    std::iter::from_fn(|| {
        let parts = embeddings.next(n_chunk);
        let step: Vec<String> =
            parts.iter().map(|Part { job, nth, chunk }| format!("{job}.{nth}:{}-{}", chunk.start, chunk.end)).collect();
        for part in parts {
            let is_end = part.chunk.end == embeddings.text(&part).len();
            let vector = is_end.then(|| vec![part.job as f32, part.nth as f32]);
            embeddings.computed(part, vector);
        }
        (!step.is_empty()).then(|| step.join(" "))
    })
    .collect()
}

#[test]
fn short_texts_share_a_step_and_a_long_one_is_computed_in_parts() {
    let (mut embeddings, mut answered) = with(&[&[10, 70, 12, 20]]);
    assert_eq!(steps(&mut embeddings, 32), ["1.1:0-32", "1.1:32-64", "1.1:64-70 1.3:0-20", "1.2:0-12 1.0:0-10"]);
    let vectors = answered[0].try_recv().expect("it is done").expect("fine");
    assert_eq!(vectors, [[1.0, 0.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]], "in the order of the texts");
    assert!(embeddings.is_empty());
}

#[test]
fn jobs_take_turns_by_their_texts() {
    let (mut embeddings, mut answered) = with(&[&[30, 30, 30], &[30]]);
    assert_eq!(steps(&mut embeddings, 32), ["1.0:0-30", "2.0:0-30", "1.1:0-30", "1.2:0-30"]);
    assert!(answered.iter_mut().all(|answered| answered.try_recv().is_ok()));
    let (mut embeddings, _answered) = with(&[&[5; 20], &[5, 5]]);
    let first = embeddings.next(1000);
    assert_eq!(first.len(), MAX_PIECES);
    assert_eq!(first.iter().take(5).map(|part| part.job).collect::<Vec<_>>(), [1, 2, 1, 2, 1]);
}

#[test]
fn an_unfinished_text_ends_with_its_job() {
    let (mut embeddings, mut answered) = with(&[&[70], &[10]]);
    let part = embeddings.next(32).remove(0);
    embeddings.computed(part, None);
    drop(answered.remove(0));
    embeddings.drop_abandoned();
    assert_eq!(steps(&mut embeddings, 32), ["2.0:0-10"]);
}

#[test]
fn every_end_of_a_job_counts_as_a_request() {
    let metrics = Arc::new(Metrics::default());
    let mut embeddings = Embeddings::new(Limits { n_waiting: 8, ..LIMITS }, Arc::clone(&metrics));
    let mut add = |inputs| {
        let (answer, answered) = oneshot::channel();
        embeddings.add(EmbedJob { inputs, answer }, 256, 257);
        (answered, metrics.n_requests.load(Relaxed))
    };
    assert_eq!(add(Vec::new()).1, 1, "nothing to do");
    assert_eq!(add(vec![Vec::new()]).1, 2, "refused");
    let (kept, n_ended) = add(texts(1));
    assert_eq!(n_ended, 2, "it runs");
    drop(add(texts(1)).0);
    embeddings.drop_abandoned();
    assert_eq!(metrics.n_requests.load(Relaxed), 3, "given up");
    embeddings.fail(&shutting_down());
    assert_eq!(metrics.n_requests.load(Relaxed), 4);
    drop(kept);
}

#[test]
fn who_generates_goes_on_between_chunks() {
    let fixture = start(LIMITS);
    let runtime = runtime();
    let embedding = begin(&runtime, Box::pin(fixture.handle.embed(vec![tokens(&"x".repeat(256))])));
    let replies = fixture.handle.submit(admitted("hello", 5), ticket()).expect("room").1;
    // The first chunk may run before the request arrives. After that, chunks and steps alternate until the answer is
    // complete.
    let mut order = Vec::new();
    for _ in 0..8 {
        order.push(!fixture.begun.recv().expect("the worker lives").rows.is_empty());
        fixture.step.send(Ok(())).expect("the worker lives");
    }
    drop(fixture.step);
    let order = &order[order.iter().position(|is_step| *is_step).expect("it generates")..];
    assert!(order[..6].iter().zip(order[1..6].iter()).all(|(a, b)| a != b), "{order:?}");
    assert_eq!(collect(replies).0, expected("hello", 5));
    assert_eq!(runtime.block_on(embedding).expect("fine").len(), 1);
}

#[test]
fn a_dropped_future_cancels_between_chunks() {
    let fixture = start(LIMITS);
    let runtime = runtime();
    let embedding = begin(&runtime, Box::pin(fixture.handle.embed(texts(2))));
    fixture.begun.recv().expect("the worker lives");
    runtime.block_on(async { drop(embedding) });
    fixture.step.send(Ok(())).expect("the worker lives");
    let replies = fixture.handle.submit(admitted("hello", 5), ticket()).expect("room").1;
    let batch = fixture.begun.recv().expect("the worker lives");
    assert!(!batch.rows.is_empty(), "nothing is computed for nobody");
    drop(fixture.step);
    assert_eq!(collect(replies).0, expected("hello", 5));
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let fixture = start(LIMITS);
    drop(fixture.step);
    let refused = |inputs| refused(&fixture.handle, inputs);
    let text =
        "the input (257 tokens) exceeds the available context size (256 tokens); try: shorten it, or raise n_ctx";
    assert_eq!(refused(vec![tokens(&"x".repeat(257))]), (ErrorCode::TooLong, text.into()));
    let text = "input 1 is empty; try: send some text";
    assert_eq!(refused(vec![tokens("a"), Vec::new()]), (ErrorCode::Invalid, text.into()));
    for token in [-1, 257, i32::MAX] {
        let text = format!("the input has token {token}; the vocabulary has 257");
        assert_eq!(refused(vec![vec![Token(token)]]), (ErrorCode::Invalid, text));
    }
    let whole = runtime().block_on(fixture.handle.embed(vec![tokens(&"x".repeat(256))]));
    assert!(whole.is_ok(), "a text needs no room for an answer");
}

#[test]
fn only_so_many_jobs_wait_however_many_texts_they_have() {
    let fixture = start(LIMITS);
    let runtime = runtime();
    let alone = begin(&runtime, Box::pin(fixture.handle.embed(texts(4))));
    fixture.begun.recv().expect("the worker lives");
    let beside = begin(&runtime, Box::pin(fixture.handle.embed(texts(6))));
    let refused = begin(&runtime, Box::pin(fixture.handle.embed(texts(1))));
    drop(fixture.step);
    assert_eq!(runtime.block_on(refused).expect_err("the queue is full").code, ErrorCode::Overloaded);
    assert_eq!(runtime.block_on(alone).expect("one job may be larger than the queue").len(), 4);
    assert_eq!(runtime.block_on(beside).expect("it has a place").len(), 6);
}

#[test]
fn the_end_of_the_worker_is_told() {
    let fixture = start(LIMITS);
    let runtime = runtime();
    let embedding = begin(&runtime, Box::pin(fixture.handle.embed(texts(2))));
    fixture.handle.inbox.blocking_send(Command::Stop).expect("the worker lives");
    drop(fixture.step);
    assert_eq!(runtime.block_on(embedding).expect_err("it ends"), shutting_down());
    assert_eq!(runtime.block_on(fixture.handle.embed(texts(1))).expect_err("it has ended"), shutting_down());
}

#[test]
fn memory_is_given_back_after_a_while() {
    let (handle, mut inbox) = WorkerHandle::new();
    runtime().block_on(async {
        for _ in 0..3 {
            // No worker replies, so the timeout ends the job.
            let embedding = tokio::time::timeout(IDLE / 2, handle.embed(texts(1)));
            assert!(embedding.await.is_err());
        }
        let ended = tokio::time::Instant::now();
        let mut n_jobs = 0;
        while let Some(Command::Embed(_)) = inbox.commands.recv().await {
            n_jobs += 1;
        }
        assert_eq!(n_jobs, 3);
        assert!((IDLE..IDLE * 2).contains(&ended.elapsed()), "{:?}", ended.elapsed());
        assert!(tokio::time::timeout(IDLE * 3, inbox.commands.recv()).await.is_err(), "once");
    });
}
