//! Against the HTTP endpoint of a real beastd, which must have been built.

use beast_tests::Beast;
use beast_tests::http_client::Address;
use beast_tests::samples::{TEXT, babble, instructed};

use super::*;

fn url(beast: &Beast) -> String {
    match beast.http() {
        Address::Tcp(address) => format!("http://{address}/v1"),
        Address::Unix(path) => panic!("it listens on {}", path.display()),
    }
}

/// With what the server says of itself.
fn of(urls: &[&str]) -> Upstreams {
    upstreams(UpstreamConfig { model: None, context: None, ..config(urls) })
}

/// A long answer, within OpenAI's range of temperatures.
fn long() -> Generate {
    let mut request = babble(2000);
    request.sampling.temp = Some(2.0);
    request
}

#[tokio::test]
async fn answers_are_those_of_the_socket() {
    let beast = Beast::with_http(&[]);
    let request = instructed("summarize", TEXT);
    let local = beast.client().ask(&request).text;
    let (text, events, outcome) = ask(&of(&[&url(&beast)]), &request).await;
    assert_eq!((text, outcome), (local, Ok(())));
    let [Event::Started { n_prompt, n_ctx, .. }, Event::Done { reason, usage, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*n_ctx, *reason), (4096, FinishReason::Stop));
    assert!(usage.n_prompt > 50 && usage.n_generated > 3 && *n_prompt > usage.n_prompt / 2, "{usage:?} {n_prompt}");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused_with_its_size() {
    let beast = Beast::with_http(&["n_ctx=512"]);
    let (_, _, outcome) = ask(&of(&[&url(&beast)]), &asked(&"word ".repeat(600))).await;
    let error = outcome.unwrap_err().error;
    let sizes = error.sizes.map(|sizes| (sizes.n_prompt, sizes.n_ctx));
    assert!(matches!(sizes, Some((601..700, 512))), "the server counts: {error:?}");
}

#[tokio::test]
async fn its_death_is_an_error_and_another_one_answers_the_next_request() {
    let (mut one, two) = (Beast::with_http(&[]), Beast::with_http(&[]));
    let upstreams = of(&[&url(&one), &url(&two)]);
    let request = long();
    let (sender, mut receiver) = mpsc::channel(10_000);
    let killed = {
        let asking = upstreams.answer("team", &request, &sender);
        tokio::pin!(asking);
        let mut n_pieces = 0;
        loop {
            tokio::select! {
                outcome = &mut asking => break outcome.unwrap_err(),
                event = receiver.recv() => {
                    n_pieces += usize::from(matches!(event, Some(Event::Piece { .. })));
                    if n_pieces == 3 {
                        one.kill();
                    }
                }
            }
        }
    };
    assert!(killed.error.message.contains("the end: "), "{killed:?}");
    assert_eq!(killed.fallback, None);
    let (text, _, outcome) = ask(&upstreams, &instructed("title", TEXT)).await;
    assert!(!text.is_empty() && outcome == Ok(()), "{outcome:?}");
}

#[tokio::test]
async fn a_cancel_reaches_its_worker() {
    let beast = Beast::with_http(&[]);
    let upstreams = of(&[&url(&beast)]);
    let request = long();
    let (sender, mut receiver) = mpsc::channel(10_000);
    let mut asking = Box::pin(upstreams.answer("team", &request, &sender));
    loop {
        tokio::select! {
            outcome = &mut asking => panic!("it is long: {outcome:?}"),
            event = receiver.recv() => if matches!(event, Some(Event::Piece { .. })) { break },
        }
    }
    drop(asking);
    // Beside this thread, on which the connection has to be closed.
    let waiting = tokio::task::spawn_blocking(move || {
        beast.idle();
        beast.status().n_generated_tokens
    });
    assert!(waiting.await.expect("it becomes idle") < 2000);
}
