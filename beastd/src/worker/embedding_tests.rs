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

/// Sends it to the worker.
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

#[test]
fn jobs_take_turns_by_their_texts() {
    let metrics = Arc::new(Metrics::default());
    let mut embeddings = Embeddings::new(Limits { n_waiting: 8, ..LIMITS }, Arc::clone(&metrics));
    let mut add = |n| {
        let (answer, answered) = oneshot::channel();
        embeddings.add(EmbedJob { inputs: texts(n), answer }, 256, 257);
        answered
    };
    let (mut many, mut one) = (add(3), add(1));
    embeddings.finished(vec![1.0]);
    embeddings.finished(vec![2.0]);
    assert_eq!(one.try_recv().expect("it is done").expect("fine"), [[2.0]]);
    assert_eq!(embeddings.n_inputs(), 2);
    embeddings.finished(vec![3.0]);
    assert!(many.try_recv().is_err(), "a text is left");
    embeddings.finished(vec![4.0]);
    assert_eq!(many.try_recv().expect("it is done").expect("fine"), [[1.0], [3.0], [4.0]]);
    assert!(embeddings.is_empty());
    assert_eq!(metrics.n_requests.load(Relaxed), 2);
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
    // The first chunk may have begun alone. Then they take turns, until the answer is complete.
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
fn only_so_many_texts_wait() {
    let fixture = start(LIMITS);
    let runtime = runtime();
    let alone = begin(&runtime, Box::pin(fixture.handle.embed(texts(4))));
    fixture.begun.recv().expect("the worker lives");
    let refused = begin(&runtime, Box::pin(fixture.handle.embed(texts(1))));
    drop(fixture.step);
    assert_eq!(runtime.block_on(refused).expect_err("the queue is full").code, ErrorCode::Overloaded);
    assert_eq!(runtime.block_on(alone).expect("one job may be larger than the queue").len(), 4);
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
            // Nobody answers: it ends with this.
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
