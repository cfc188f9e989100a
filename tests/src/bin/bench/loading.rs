//! From exec to the first answer, and until the model is ready.

use std::{
    fs::File,
    io::{copy, sink},
    time::Duration,
};

use anyhow::Result;

use crate::{
    Setup,
    ask::ms,
    beast::Beast,
    peers::LlamaServer,
    report::{Required, Row},
};

const N_STARTS: usize = 3;

/// Starts both sides in turn, with the model's file in the page cache.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let Starts { ours, peer } = starts(setup)?;
    Ok(vec![
        Row::new("loading, exec to the first answer", "ms", ours.answered)
            .beside(peer.answered)
            .required(Required::AtMost(50.0)),
        Row::new("loading, exec to ready", "ms", ours.ready).beside(peer.ready).required(Required::RatioAtMost(1.0)),
    ])
}

/// Times of several starts, in milliseconds.
#[derive(Default)]
pub struct Times {
    pub answered: Vec<f64>,
    pub ready: Vec<f64>,
}

impl Times {
    fn add(&mut self, answered: Duration, ready: Duration) {
        self.answered.push(ms(answered));
        self.ready.push(ms(ready));
    }
}

/// Starts of both sides.
#[derive(Default)]
pub struct Starts {
    pub ours: Times,
    pub peer: Times,
}

/// Starts both sides in turn, each after the other has ended.
pub fn starts(setup: &Setup) -> Result<Starts> {
    copy(&mut File::open(&setup.model)?, &mut sink())?;
    let mut starts = Starts::default();
    for _ in 0..N_STARTS {
        let beast = Beast::start(setup)?;
        starts.ours.add(beast.answered, beast.ready);
        drop(beast);
        let server = LlamaServer::start(setup)?;
        starts.peer.add(server.answered, server.ready);
    }
    Ok(starts)
}
