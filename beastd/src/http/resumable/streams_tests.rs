use std::future::{pending, ready};

use super::*;
use crate::http::resumable::journal::tests::head;

fn log() -> Arc<Log> {
    Arc::new(Log::new(now_s()))
}

#[test]
fn time_is_over_after_five_minutes_on_any_clock() {
    assert!(!is_expired(1000, 1000 + KEPT - 1));
    assert!(is_expired(1000, 1000 + KEPT));
    assert!(is_expired(1000 + KEPT, 1000), "the clock was set back");
}

#[tokio::test]
async fn who_stops_a_name_stops_the_requests_that_will_begin_it_and_no_later_ones() {
    let streams = Streams::open(None);
    let (first, second, other) =
        (streams.announce("a".into()), streams.announce("a".into()), streams.announce("b".into()));
    streams.delete("a").await.expect("there is no disk");
    for announced in [first, second] {
        // A stopped request fails even if its answer is ready.
        let outcome = announced.unless_stopped(ready(Ok(()))).await;
        assert!(outcome.is_err_and(|refusal| refusal.status == 400 && refusal.message.contains("cancelled")));
    }
    assert_eq!(other.unless_stopped(ready(Ok(1))).await, Ok(1));
    assert_eq!(streams.announce("a".into()).unless_stopped(ready(Ok(2))).await, Ok(2));
    assert!(streams.announced().is_empty());
}

#[tokio::test]
async fn a_request_that_waits_ends_when_its_name_is_stopped() {
    let streams = Streams::open(None);
    let announced = streams.announce("a".into());
    let (outcome, deleted) =
        tokio::join!(announced.unless_stopped(pending::<Result<(), Refusal>>()), streams.delete("a"));
    deleted.expect("there is no disk");
    assert_eq!(outcome, Err(cancelled()));
}

#[tokio::test]
async fn who_comes_back_waits_for_a_stream_that_is_about_to_begin() {
    let streams = Streams::open(None);
    let (refused, begun) = (streams.detach("a".into()).expect("room"), streams.detach("b".into()).expect("room"));
    let found = streams.find(|id| id == "b");
    assert_eq!((found.len(), found[0].1.n_bytes, found[0].1.is_done), (1, 0, false));
    let log = log();
    let begin = async {
        drop(refused);
        streams.insert("b", &log).expect("room");
        drop(begun);
    };
    let (first, second, ()) = tokio::join!(streams.begun("a"), streams.begun("b"), begin);
    assert!(first.is_none() && second.is_some_and(|second| Arc::ptr_eq(&second, &log)));
    let waiting: Vec<_> = (0..MAX_STREAMS).map(|n| streams.detach(n.to_string()).expect("room")).collect();
    assert_eq!(streams.detach("c".into()).expect_err("all wait").status, StatusCode::TOO_MANY_REQUESTS);
    streams.delete("0").await.expect("there is no disk");
    assert!(streams.begun("0").await.is_none(), "it was stopped");
    drop(waiting);
}

#[tokio::test]
async fn the_stream_that_ended_first_makes_room_and_one_that_runs_never_does() {
    let streams = Streams::open(None);
    let logs: Vec<_> = (0..MAX_STREAMS).map(|_| log()).collect();
    for (n, log) in logs.iter().enumerate() {
        assert_eq!(streams.insert(&n.to_string(), log), Ok(None));
    }
    let refused = streams.insert("new", &log()).expect_err("all of them run");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    logs[3].end(now_s());
    logs[5].end(now_s() - 1);
    assert_eq!(streams.insert("new", &log()), Ok(Some("5".into())));
    assert_eq!(streams.insert("3", &log()), Ok(None), "a name that is taken needs no room");
    assert!(streams.get("5").is_none());
}

#[tokio::test]
async fn a_stream_that_was_deleted_before_its_file_was_made_gets_none() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let streams = Streams::open(Some(folder.path().to_owned()));
    let log = log();
    streams.insert("a", &log).expect("there is room");
    streams.delete("a").await.expect("the folder is writable");
    assert!(log.is_stopped());
    assert!(streams.journal(head("a"), &log).await.is_none());
    assert!(journal::scan(folder.path(), 1).is_empty());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_once() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let place = folder.path().join("streams");
    std::fs::write(&place, "").expect("the folder is writable");
    let streams = Streams::open(Some(place.clone()));
    assert!(streams.journal(head("a"), &log()).await.is_none());
    assert!(streams.is_failing.load(Relaxed));
    std::fs::remove_file(&place).expect("it is there");
    assert!(streams.journal(head("a"), &log()).await.is_some());
    assert!(!streams.is_failing.load(Relaxed));
}
