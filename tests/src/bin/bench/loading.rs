//! From exec to the first answer, and to a model that is ready.

use std::{
    fs::File,
    io::{copy, sink},
    time::Duration,
};

use anyhow::Result;

use crate::{
    Setup,
    beast::Beast,
    peers::LlamaServer,
    report::{Required, Row},
};

const N_STARTS: usize = 3;

/// Both sides start in turn, with the model's file in the page cache.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    copy(&mut File::open(&setup.model)?, &mut sink())?;
    let [mut answered, mut ready, mut peer_answered, mut peer_ready] = [const { Vec::new() }; 4];
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    for _ in 0..N_STARTS {
        // Each has ended before the other starts.
        let (beast_answered, beast_ready) = Beast::start(setup).map(|beast| (beast.answered, beast.ready))?;
        answered.push(ms(beast_answered));
        ready.push(ms(beast_ready));
        let (server_answered, server_ready) =
            LlamaServer::start(setup).map(|server| (server.answered, server.ready))?;
        peer_answered.push(ms(server_answered));
        peer_ready.push(ms(server_ready));
    }
    Ok(vec![
        Row::new("loading, exec to the first answer", "ms", answered)
            .beside(peer_answered)
            .required(Required::AtMost(50.0)),
        Row::new("loading, exec to ready", "ms", ready).beside(peer_ready).required(Required::RatioAtMost(1.0)),
    ])
}
