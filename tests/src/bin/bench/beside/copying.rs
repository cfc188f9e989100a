//! Answers that copy from the prompt, which prompt lookup can draft.

use anyhow::{Context as _, Result};
use beast_protocol::{Generate, Speculation};

use super::{Way, guessers, in_ways, list, quickest, repeats};
use crate::{
    Setup,
    ask::Tally,
    beast::Beast,
    peers::LlamaServer,
    report::{Required, Row},
    stats::ratio,
    tasks,
    words::Words,
};

/// Number of texts per way and repetition.
const N_TEXTS: usize = 3;

/// llama-server's ways to do prompt lookup, chosen by tests on the shapes of LFM2-2.6B. Its defaults (n-grams of 12
/// or more, 48 draft tokens) were half as fast as no drafting; 3 and 4 were the fastest on two cores. Longer drafts
/// are for machines where they cost little.
const WAYS: [&str; 6] = [
    "",
    "--spec-type ngram-simple",
    "--spec-type ngram-simple --spec-ngram-simple-size-n 3 --spec-ngram-simple-size-m 4",
    "--spec-type ngram-simple --spec-ngram-simple-size-n 3 --spec-ngram-simple-size-m 12",
    "--spec-type ngram-mod --spec-ngram-mod-n-match 3 --spec-ngram-mod-n-min 2 --spec-ngram-mod-n-max 4",
    "--spec-type ngram-simple --spec-ngram-simple-size-n 3 --spec-ngram-simple-size-m 5 --no-repack",
];

/// Starts one llama-server at a time, since several would not fit into memory everywhere.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let mut words = Words::new();
    let (mut lookup, mut off) = (Way::new("lookup"), Way::new("off"));
    let ways = WAYS.map(|way| way.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    let mut peers = ways.each_ref().map(|more| Way::with(more));
    let mut arguments = String::new();
    for _ in repeats(setup) {
        let questions: Vec<Generate> = (0..N_TEXTS).map(|_| tasks::copying(&mut words)).collect();
        let ours = |speculation| in_ways(&questions, |question| tasks::guessing(question, speculation));
        off.add(&Tally::of(&beast, &ours(Speculation::Off))?);
        lookup.add(&Tally::of(&beast, &ours(Speculation::Lookup))?);
        for (more, way) in ways.iter().zip(&mut peers) {
            let server = LlamaServer::start_with(setup, more)?;
            way.add(&Tally::of(&server, &questions)?);
            if more.is_empty() {
                arguments = server.arguments().into();
            }
        }
    }
    let asked = format!(
        "Both: {N_TEXTS} texts of two sentences in each repeat, to correct their spelling, which is right; the answer ends where \
        the model ends it. beast: beastd {}, {}, speculation {}. Peer: {arguments}, of which the best counts: {}.",
        beast.arguments(),
        guessers(&beast)?,
        list([&off, &lookup]),
        list(&peers)
    );
    rows(lookup, off, peers.into(), &asked)
}

fn rows(lookup: Way, off: Way, peers: Vec<Way>, asked: &str) -> Result<Vec<Row>> {
    let plain = peers.first().context("llama-server was not asked")?.speeds.clone();
    let best = quickest(peers)?;
    let gain = ratio(&lookup.speeds, &off.speeds);
    let rows = [
        Row::new("answer that copies, looked up", "tokens/s", lookup.speeds)
            .beside(best.speeds.clone())
            .required(Required::RatioAtLeast(1.0))
            .note(format!("{}; peer's best {}: {}", lookup.guesses, best.how, best.guesses)),
        Row::new("  as a multiple of nothing looked up", "x", gain)
            .beside(ratio(&best.speeds, &plain))
            .required(Required::AtLeast(1.0)),
        Row::new("answer that copies, nothing looked up", "tokens/s", off.speeds).beside(plain),
    ];
    Ok(rows.map(|row| row.asked(asked)).into())
}
