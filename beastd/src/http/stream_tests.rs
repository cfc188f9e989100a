use beast_protocol::{ErrorCode, WireError};
use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::http::answers::tests::answers;
use crate::http::refusal::Dialect;
use crate::http::wire::{Socket, split};

/// A script that writes one word per event.
struct Words;

impl Script for Words {
    fn event(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        if let Event::Piece { text, .. } = event {
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        data(out, &refusal.json(Dialect::OpenAi));
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"end");
    }
}

async fn pair() -> (Line, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let peer = TcpStream::connect(listener.local_addr().expect("it is bound")).await.expect("it listens");
    let (stream, _) = listener.accept().await.expect("somebody has connected");
    // Only the connection's state matters here: nothing reads or writes the bytes.
    (split(Socket::Tcp(stream), Duration::from_secs(1)).1, peer)
}

async fn next(reply: &mut Reply) -> Option<String> {
    let frame = reply.body_mut().frame().await?.expect("it cannot fail");
    Some(String::from_utf8(frame.into_data().expect("there are no trailers").to_vec()).expect("it is text"))
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_every_ten_seconds_whatever_the_engine_says_to_itself() {
    let (line, _peer) = pair().await;
    let (said, answers) = answers();
    let mut reply = super::reply(answers, Words, line);
    let began = Instant::now();
    tokio::spawn(async move {
        // A long prefill: many events that clients do not see.
        for n_done in 0..25 {
            sleep(Duration::from_secs(1)).await;
            said.event(Event::Progress { n_done, n_total: 25 }).await;
        }
        said.piece("hello").await;
        said.done().await;
    });
    assert_eq!(next(&mut reply).await.as_deref(), Some(": ping\n\n"));
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(next(&mut reply).await.as_deref(), Some(": ping\n\n"));
    assert_eq!(next(&mut reply).await.as_deref(), Some("hello"));
    assert_eq!(began.elapsed().as_secs(), 25);
    assert_eq!(next(&mut reply).await.as_deref(), Some("end"));
    assert_eq!(next(&mut reply).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_the_last_that_is_said() {
    let (line, _peer) = pair().await;
    let (said, answers) = answers();
    let mut reply = super::reply(answers, Words, line);
    said.piece("hello").await;
    said.event(Event::Failed(WireError::new(ErrorCode::Engine, "it broke"))).await;
    assert_eq!(next(&mut reply).await.as_deref(), Some("hello"));
    assert!(
        next(&mut reply).await.is_some_and(|last| last.starts_with("data: {\"error\"") && last.contains("it broke"))
    );
    assert_eq!(next(&mut reply).await, None);
}

#[tokio::test(start_paused = true)]
async fn answers_that_break_off_are_a_failure() {
    let (line, _peer) = pair().await;
    let (said, answers) = answers();
    let mut reply = super::reply(answers, Words, line);
    drop(said);
    assert!(next(&mut reply).await.is_some_and(|last| last.contains("was interrupted")));
    assert_eq!(next(&mut reply).await, None);
}

#[tokio::test]
async fn a_peer_that_is_reset_ends_it_and_one_that_is_half_closed_does_not() {
    let (line, mut peer) = pair().await;
    let (said, answers) = answers();
    let mut reply = super::reply(answers, Words, line);
    rustix::net::shutdown(&peer, rustix::net::Shutdown::Write).expect("it is connected");
    assert_eq!(next(&mut reply).await.as_deref(), Some(": ping\n\n"));
    said.piece("hello").await;
    while next(&mut reply).await.expect("it goes on") != "hello" {}
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).expect("it is a socket");
    let _ = tokio::time::timeout(Duration::from_millis(1), peer.read_u8()).await;
    drop(peer);
    while next(&mut reply).await.is_some() {}
    said.closed().await;
}

#[tokio::test]
async fn a_reader_that_stops_holds_back_whoever_speaks() {
    let (line, _peer) = pair().await;
    let (said, answers) = answers();
    let _reply = super::reply(answers, Words, line);
    let mut n_said = 0;
    let speaking = async {
        loop {
            said.piece("hello").await;
            n_said += 1;
        }
    };
    let _: Result<(), _> = tokio::time::timeout(Duration::from_millis(200), speaking).await;
    assert!(n_said > MAX_CHUNKS && n_said < 200, "{n_said}");
}
