//! Decoding under CPU contention: another program keeps one core busy. Also a second after it has ended.

use std::{thread, time::Duration};

use anyhow::Result;

use super::{asked, repeats};
use crate::{
    Setup,
    ask::{Side, exactly},
    beast::Beast,
    company::neighbour,
    peers::LlamaServer,
    report::{Required, Row},
    stats::ratio,
    words::Words,
};

/// Few words, because llama-server's prefill may be ten times slower then.
const N_WORDS: usize = 6;
const N_GENERATED: u32 = 48;
/// Tokens for llama-server under contention, where each may take two seconds.
const N_GENERATED_OF_PEER: u32 = 8;
const PAUSE: Duration = Duration::from_secs(1);

/// Tokens per second of one side.
#[derive(Default)]
struct Speeds {
    alone: Vec<f64>,
    beside: Vec<f64>,
    after: Vec<f64>,
}

impl Speeds {
    fn add(&mut self, side: &dyn Side, words: &mut Words, n_beside: u32) -> Result<()> {
        let mut speed = |n_tokens| anyhow::Ok(side.ask(&exactly(None, &words.text(N_WORDS), n_tokens))?.decode_speed());
        self.alone.push(speed(N_GENERATED)?);
        let neighbour = neighbour()?;
        self.beside.push(speed(n_beside)?);
        drop(neighbour);
        thread::sleep(PAUSE);
        self.after.push(speed(N_GENERATED)?);
        Ok(())
    }
}

pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let (beast, server) = (Beast::start(setup)?, LlamaServer::start(setup)?);
    let mut words = Words::new();
    let (mut ours, mut peer) = (Speeds::default(), Speeds::default());
    for _ in repeats(setup) {
        ours.add(&beast, &mut words, N_GENERATED)?;
        peer.add(&server, &mut words, N_GENERATED_OF_PEER)?;
    }
    let what = format!(
        "Both: texts of {N_WORDS} words, {N_GENERATED} tokens of answer, no speculation: alone, beside `xz -9 -T1` in a session of \
        its own (the peer for {N_GENERATED_OF_PEER} tokens then), and one second after xz has ended."
    );
    let asked = asked(&what, &beast, &server);
    let rows = [
        Row::new("decode alone", "tokens/s", ours.alone.clone()).beside(peer.alone.clone()),
        Row::new("decode, one core taken by xz", "tokens/s", ours.beside.clone()).beside(peer.beside.clone()),
        Row::new("  as a share of alone", "x", ratio(&ours.beside, &ours.alone))
            .beside(ratio(&peer.beside, &peer.alone))
            .required(Required::AtLeast(0.6)),
        Row::new("decode, 1 s after xz has ended, as a share of alone", "x", ratio(&ours.after, &ours.alone))
            .beside(ratio(&peer.after, &peer.alone))
            .required(Required::AtLeast(0.9)),
    ];
    Ok(rows.map(|row| row.asked(&asked)).into())
}
