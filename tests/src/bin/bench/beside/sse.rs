//! The same clients over SSE on both sides, and over our own socket: the cost of HTTP, and which side is faster.

use std::{thread, time::Duration};

use anyhow::Result;

use super::clients::{Crowd, questions};
use super::{asked, repeats};
use crate::{
    Setup,
    ask::Side,
    beast::Beast,
    http,
    peers::{LlamaServer, Sse},
    report::{Required, Row},
    words::Words,
};

const WIDTHS: [usize; 3] = [1, 4, 16];
const N_GENERATED: u32 = 48;

/// Pause before each side: threads that the previous one kept busy would count as CPU contention for beastd.
const REST: Duration = Duration::from_millis(1500);

/// Ratio from which two sides count as equal, because runs of the same program differ by as much.
const EQUAL: f64 = 0.97;

/// One, four and sixteen clients on four slots.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let port = http::free_port()?;
    // HTTP clients cannot turn drafting off, and llama-server does not draft by default.
    let beast = Beast::start_with(setup, &[&format!("http.listen=127.0.0.1:{port}"), "speculation=off"])?;
    let (server, sse) = (LlamaServer::start(setup)?, Sse::at(port));
    let mut words = Words::new();
    let mut rows = Vec::new();
    for width in WIDTHS {
        let [mut over_socket, mut over_sse, mut peer] = [(); 3].map(|()| Crowd::default());
        for _ in repeats(setup) {
            let sides: [(&mut Crowd, &dyn Side); 3] =
                [(&mut over_sse, &sse), (&mut peer, &server), (&mut over_socket, &beast)];
            for (crowd, side) in sides {
                thread::sleep(REST);
                // New texts for each side, so that none is cached.
                crowd.add(side, &questions(&mut words, width, N_GENERATED))?;
            }
        }
        let what = format!(
            "{width} clients at the same moment on four slots, texts of about {} tokens, {N_GENERATED} tokens of answer each; beast over \
            /v1/chat/completions with stream: true, as llama-server.",
            over_sse.n_prompt
        );
        let asked = asked(&what, &beast, &server);
        let name = |what: &str| format!("SSE, {width} clients, {what}");
        rows.extend([
            Row::new(name("in all"), "tokens/s", over_sse.speeds.clone())
                .beside(peer.speeds)
                .required(Required::RatioAtLeast(1.0))
                .asked(&asked),
            Row::new(name("median first token"), "ms", over_sse.medians.clone()).beside(peer.medians).asked(&asked),
            Row::new(name("our socket (left) beside our SSE (right)"), "tokens/s", over_socket.speeds)
                .beside(over_sse.speeds)
                .required(Required::RatioAtLeast(EQUAL))
                .asked(&asked),
            Row::new(name("first token, our socket (left) beside our SSE (right)"), "ms", over_socket.medians)
                .beside(over_sse.medians)
                .asked(&asked),
        ]);
    }
    Ok(rows)
}
