//! Requests that arrive while a large chunk of a lone prompt is computed.

use beast_protocol::Event;

use super::super::tests::{Fixture, LIMITS, admitted, collect, expected, start, start_on, ticket};
use crate::admitted::Admitted;
use crate::batch::SeqId;
use crate::engine::fake::FakeEngine;
use crate::scheduler::Limits;
use crate::worker::FinishReason;

const LONE: Limits = Limits { lone_chunk: 64, ..LIMITS };

/// Waits for a step to begin; returns its request, first position and number of tokens.
fn begun(fixture: &Fixture) -> (SeqId, u32, usize) {
    let batch = fixture.begun.recv().expect("the worker lives");
    let [row] = &batch.rows[..] else { panic!("{batch:?}") };
    (row.seq, row.pos, row.tokens.len())
}

fn go_on(fixture: &Fixture) {
    fixture.step.send(Ok(())).expect("the worker lives");
}

fn submit(fixture: &Fixture, admitted: Admitted) -> (SeqId, tokio::sync::mpsc::Receiver<Event>) {
    fixture.handle.submit(admitted, ticket()).expect("there is room")
}

#[test]
fn a_shorter_request_is_answered_first_and_interrupts_only_once() {
    let fixture = start(LONE);
    let (long, short) = ("long ".repeat(40), "short");
    let (first, first_replies) = submit(&fixture, admitted(&long, 1));
    assert_eq!(begun(&fixture), (first, 0, 64));
    let (second, replies) = submit(&fixture, admitted(short, 1));
    go_on(&fixture);
    assert_eq!(begun(&fixture), (second, 0, short.len()), "nothing of the long one was read");
    go_on(&fixture);
    assert_eq!(collect(replies).0, expected(short, 1));
    assert_eq!(begun(&fixture), (first, 0, 32), "alone, and read in regular chunks");
    let (third, replies) = submit(&fixture, admitted(short, 1));
    go_on(&fixture);
    let (seq, _, _) = begun(&fixture);
    assert_eq!(seq, third);
    go_on(&fixture);
    assert_eq!(collect(replies).0, expected(short, 1));
    assert_eq!(begun(&fixture), (first, 32, 32), "that chunk was not lost");
    drop(fixture.step);
    assert_eq!(collect(first_replies).0, expected(&long, 1));
}

#[test]
fn who_would_wait_anyway_interrupts_nothing() {
    let long = "long ".repeat(20);
    let of_background = Admitted { is_background: true, ..admitted("short", 1) };
    for newcomer in [admitted(&long, 1), admitted(&long.repeat(2), 1), of_background] {
        let fixture = start(LONE);
        let (first, replies) = submit(&fixture, admitted(&long, 1));
        assert_eq!(begun(&fixture), (first, 0, 64));
        let _newcomer = submit(&fixture, newcomer);
        drop(fixture.step);
        assert_eq!(collect(replies).0, expected(&long, 1));
        let n_read_twice =
            fixture.begun.iter().take_while(|batch| batch.rows[0].pos == 0 && batch.rows[0].seq == first);
        assert_eq!(n_read_twice.count(), 0);
    }
}

/// Its own announcement may arrive as late as during the second chunk. By then the request owes fewer tokens than were
/// announced, so it is not interrupted.
#[test]
fn a_request_does_not_interrupt_itself() {
    let fixture = start(LONE);
    let long = "long ".repeat(40);
    let (first, replies) = submit(&fixture, admitted(&long, 1));
    for chunk in [(0, 64), (64, 64), (128, 64)] {
        assert_eq!(begun(&fixture), (first, chunk.0, chunk.1));
        fixture.handle.interrupt.announce(long.len());
        go_on(&fixture);
    }
    drop(fixture.step);
    assert_eq!(collect(replies).0, expected(&long, 1));
}

#[test]
fn a_cancel_interrupts() {
    let fixture = start(LONE);
    let (first, replies) = submit(&fixture, admitted(&"long ".repeat(40), 1));
    assert_eq!(begun(&fixture), (first, 0, 64));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(fixture.handle.cancel(first));
    go_on(&fixture);
    let (_, end) = collect(replies);
    assert!(matches!(end, Event::Done { reason: FinishReason::Cancelled, .. }), "{end:?}");
    let n_read = fixture.metrics.n_prompt_tokens.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(n_read, 0, "the chunk was given up");
}

#[test]
fn a_token_is_sent_while_a_gpu_computes_the_next_and_the_first_at_once() {
    let fixture = start_on(FakeEngine::default().free_meanwhile(), LIMITS, None);
    let (seq, mut replies) = submit(&fixture, admitted("question 4", 3));
    let answer = expected("question 4", 3);
    assert_eq!(answer.len(), 3);
    let mut piece = || loop {
        match replies.blocking_recv().expect("the answer has not ended") {
            Event::Piece { text, .. } => return text,
            Event::Done { .. } => panic!("an early end"),
            _ => {}
        }
    };
    for n in 0..2 {
        assert_eq!(begun(&fixture).0, seq);
        go_on(&fixture);
        // The next step stands at its gate meanwhile.
        assert_eq!(piece(), answer[n..=n]);
    }
    go_on(&fixture);
    assert_eq!(collect(replies).0, answer[2..]);
}
