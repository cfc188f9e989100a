use beast_protocol::{ErrorCode, Event, FinishReason};

use super::super::tests::{LIMITS, admitted, collect, expected, start_on, ticket};
use crate::batch::{SeqId, Stuck};
use crate::engine::fake::FakeEngine;

/// Text and last event of two requests. The first gets no token; the second is answered as if it were alone.
fn ends_of_two(stuck: Stuck) -> [(String, Event); 2] {
    let fixture = start_on(FakeEngine::default().sticking(SeqId(0), stuck), LIMITS, None);
    let (id, first) = fixture.handle.submit(admitted("one question", 40), ticket()).expect("room");
    assert_eq!(id, SeqId(0));
    let second = fixture.handle.submit(admitted("another question", 40), ticket()).expect("room").1;
    drop(fixture.step);
    [collect(first), collect(second)]
}

#[test]
fn a_constraint_at_its_dead_end_ends_its_own_answer_and_says_why() {
    let [first, second] = ends_of_two(Stuck::Constraint("no token can follow".into()));
    let Event::Done { reason, usage, dead_end, .. } = first.1 else { panic!("{first:?}") };
    assert_eq!((first.0.as_str(), reason, usage.n_generated), ("", FinishReason::DeadEnd, 0));
    assert_eq!(dead_end.as_deref(), Some("no token can follow"));
    assert_eq!(second.0, expected("another question", 40));
}

#[test]
fn an_output_that_is_not_a_number_fails_its_own_request() {
    let [first, second] = ends_of_two(Stuck::NotANumber);
    let Event::Failed(error) = first.1 else { panic!("{first:?}") };
    assert_eq!(error.code, ErrorCode::Engine);
    assert_eq!(second.0, expected("another question", 40));
}
