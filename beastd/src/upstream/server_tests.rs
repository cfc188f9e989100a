use super::*;

fn servers() -> [Server; 3] {
    ["http://a", "http://b", "http://c"].map(Server::new)
}

#[tokio::test(start_paused = true)]
async fn the_one_with_the_fewest_requests_is_asked() {
    let servers = servers();
    servers[0].n_running.store(2, Ordering::Relaxed);
    servers[1].n_running.store(1, Ordering::Relaxed);
    servers[2].n_running.store(1, Ordering::Relaxed);
    assert_eq!(next(&servers, &[]).url, "http://b");
    assert_eq!(next(&servers, &["http://b"]).url, "http://c");
}

#[tokio::test(start_paused = true)]
async fn one_that_has_failed_rests_longer_each_time() {
    let servers = servers();
    let dead = Fault::Unreachable("refused".into());
    servers[0].note(Some(&dead));
    assert_eq!(next(&servers, &["http://b", "http://c"]).url, "http://b", "even one tried before is better");
    tokio::time::advance(FIRST_REST).await;
    assert_eq!(next(&servers, &[]).url, "http://a");
    servers[0].note(Some(&dead));
    tokio::time::advance(FIRST_REST).await;
    assert_eq!(next(&servers, &[]).url, "http://b");
    for _ in 0..100 {
        servers[0].note(Some(&dead));
    }
    tokio::time::advance(LONGEST_REST).await;
    assert_eq!(next(&servers, &[]).url, "http://a");
    servers[0].note(Some(&dead));
    servers[0].note(None);
    assert_eq!(next(&servers, &[]).url, "http://a", "an answer makes up for all failures");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_no_failure_of_its_server() {
    let servers = servers();
    servers[0].note(Some(&Fault::Refused { status: 429, words: String::new(), retry_after: None }));
    assert_eq!(next(&servers, &[]).url, "http://a");
    servers[0].note(Some(&Fault::Refused { status: 500, words: String::new(), retry_after: None }));
    assert_eq!(next(&servers, &[]).url, "http://b");
}

#[test]
fn a_key_is_never_shown() {
    let key = Key::new("sk-1234").expect("plain");
    assert!(!format!("{key:?} {:?}", key.header).contains("1234"));
    assert!(Key::new("a\nb").is_none());
}
