//! Several clients at once.

use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use beast_protocol::Generate;

use super::{asked, repeats};
use crate::{
    Setup,
    ask::{Answer, Side, exactly},
    beast::{Beast, N_SLOTS},
    peers::LlamaServer,
    report::{Required, Row},
    stats::{median, stretch},
    words::Words,
};

/// Yields about 100 tokens.
const N_WORDS: usize = 75;
const N_GENERATED: u32 = 64;
/// Twice as many clients as slots. Their answers are shorter, because each run takes twice as long.
const N_MANY: usize = 2 * N_SLOTS;
const N_GENERATED_OF_MANY: u32 = 32;

/// As many clients as slots, for the total throughput. Then more clients than slots, to see whether some wait far
/// longer than others.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let (beast, server) = (Beast::start(setup)?, LlamaServer::start(setup)?);
    let mut words = Words::new();
    let [mut ours, mut peer, mut ours_of_many, mut peer_of_many] = [(); 4].map(|()| Crowd::default());
    for _ in repeats(setup) {
        let few = questions(&mut words, N_SLOTS, N_GENERATED);
        let many = questions(&mut words, N_MANY, N_GENERATED_OF_MANY);
        ours.add(&beast, &few)?;
        peer.add(&server, &few)?;
        ours_of_many.add(&beast, &many)?;
        peer_of_many.add(&server, &many)?;
    }
    let what = format!(
        "Both: {N_SLOTS} clients at the same moment, texts of about {} tokens, {N_GENERATED} tokens of answer each; then {N_MANY} on the same \
        {N_SLOTS} slots, {N_GENERATED_OF_MANY} tokens each; no speculation. In all: the tokens of all answers in the time from the \
        first request to the last token, prompts included.",
        ours.n_prompt
    );
    let asked = asked(&what, &beast, &server);
    let rows = [
        Row::new("four clients, in all", "tokens/s", ours.speeds)
            .beside(peer.speeds)
            .required(Required::RatioAtLeast(1.0)),
        Row::new("four clients, median first token", "ms", ours.medians).beside(peer.medians),
        Row::new("eight clients, median first token", "ms", ours_of_many.medians).beside(peer_of_many.medians),
        Row::new("eight clients, slowest first token", "ms", ours_of_many.slowest).beside(peer_of_many.slowest),
        Row::new("  as a multiple of the median", "x", ours_of_many.stretches)
            .beside(peer_of_many.stretches)
            .required(Required::AtMost(2.0)),
        Row::new("eight clients, in all", "tokens/s", ours_of_many.speeds).beside(peer_of_many.speeds),
    ];
    Ok(rows.map(|row| row.asked(&asked)).into())
}

pub(super) fn questions(words: &mut Words, n: usize, n_tokens: u32) -> Vec<Generate> {
    (0..n).map(|_| exactly(None, &words.text(N_WORDS), n_tokens)).collect()
}

/// Results of one side's clients, one value per repetition.
#[derive(Default)]
pub(super) struct Crowd {
    /// Total tokens per second.
    pub(super) speeds: Vec<f64>,
    /// Medians of the times to the first token, in milliseconds.
    pub(super) medians: Vec<f64>,
    slowest: Vec<f64>,
    /// The slowest first token as a multiple of the median.
    stretches: Vec<f64>,
    pub(super) n_prompt: u32,
}

impl Crowd {
    pub(super) fn add(&mut self, side: &dyn Side, questions: &[Generate]) -> Result<()> {
        let (answers, took) = at_once(side, questions)?;
        let n_tokens: u32 = answers.iter().map(|answer| answer.n_after_first + 1).sum();
        self.speeds.push(f64::from(n_tokens) / took.as_secs_f64());
        let first_tokens: Vec<f64> = answers.iter().map(Answer::first_token_ms).collect();
        self.medians.extend(median(&first_tokens));
        self.slowest.extend(first_tokens.iter().copied().max_by(f64::total_cmp));
        self.stretches.extend(stretch(&first_tokens));
        self.n_prompt = answers.first().context("nobody asked")?.n_prompt;
        Ok(())
    }
}

/// Sends all requests at the same moment and waits for all answers.
fn at_once(side: &dyn Side, questions: &[Generate]) -> Result<(Vec<Answer>, Duration)> {
    let start = Barrier::new(questions.len() + 1);
    thread::scope(|scope| {
        let ask = |question| {
            start.wait();
            side.ask(question)
        };
        let clients: Vec<_> = questions.iter().map(|question| scope.spawn(move || ask(question))).collect();
        start.wait();
        let began = Instant::now();
        let answers = clients.into_iter().map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?);
        let answers = answers.collect::<Result<Vec<Answer>>>()?;
        Ok((answers, began.elapsed()))
    })
}
