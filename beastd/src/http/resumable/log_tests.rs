use super::*;

#[tokio::test]
async fn a_reader_gets_what_was_said_and_then_why_it_breaks_off() {
    let log = Log::new(1);
    log.append(b"abc");
    log.stop(Refusal::invalid("first"));
    log.stop(Refusal::invalid("second"));
    assert_eq!(log.read(1).await, Read::More("bc".into()));
    assert_eq!(log.read(3).await, Read::Stopped(Refusal::invalid("first")));
    log.stopped().await;
}

#[tokio::test]
async fn what_has_ended_is_read_to_its_end_though_nobody_keeps_it() {
    let log = Log::new(1);
    log.append(b"abc");
    log.end(5);
    log.stop(Refusal::invalid("too late"));
    assert_eq!(log.read(0).await, Read::More("abc".into()));
    assert_eq!(log.read(3).await, Read::End);
    assert_eq!((log.ended_at(), log.len()), (Some(5), 3));
}
