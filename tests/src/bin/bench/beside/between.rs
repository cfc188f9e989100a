//! A short request that arrives during the prefill of long ones.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use beast_protocol::Generate;

use super::repeats;
use crate::{
    Setup,
    ask::{Answer, Side as _, exactly},
    beast::{Beast, LIMIT},
    peers::LlamaServer,
    process::wait_for,
    report::{Required, Row},
    stats::median,
    tasks,
    words::Words,
};

/// Yields about 3,000 tokens.
const N_WORDS_LONG: usize = 2450;
const N_LONG: usize = 2;
/// Yields about 300 tokens, for measuring the prefill speed.
const N_WORDS_PROBE: usize = 240;
const N_GENERATED: u32 = 8;
/// Number of chunks that are computed before the short request arrives. Among several long requests it arrives in the
/// middle of a chunk. Beside a single one, whose chunks are larger, it arrives early in one, late in one, and early
/// in another.
const CHUNKS_BEFORE: [f64; 3] = [0.5, 1.5, 2.5];
/// The same for llama-server.
const CHUNKS_BEFORE_PEER: f64 = 1.5;
/// Factor by which the first token may exceed the time of one chunk and the request's own prompt.
const ABOUT: f64 = 1.25;
const PAUSE: Duration = Duration::from_millis(5);

/// Cancels the long requests once the short one is answered: the rest does not matter here, and takes minutes.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let mut words = Words::new();
    let beast = Beast::start(setup)?;
    let speed = beast.ask(&exactly(None, &words.text(N_WORDS_PROBE), 1))?.prefill_speed();
    let n_chunk = f64::from(beast.status()?.prefill_chunk);
    let allowed_ms = |answer: &Answer| (n_chunk + f64::from(answer.n_prompt - answer.n_cached)) / speed * 1000.0;
    let before = |n_chunks: f64| Duration::from_secs_f64(n_chunks * n_chunk / speed);
    let [mut among, mut beside] = [Times::default(), Times::default()];
    let (mut peer, mut asked) = (Times::default(), String::new());
    for n in repeats(setup) {
        for n_chunks in CHUNKS_BEFORE {
            for (n_long, times) in [(N_LONG, &mut among), (1, &mut beside)] {
                let long = tasks::long_summary(&mut words, N_WORDS_LONG);
                let short = tasks::commit_message(&mut words, N_GENERATED);
                let answer = between(&beast, n_long, &long, &short, before(n_chunks))?;
                times.add(&answer, allowed_ms(&answer));
            }
        }
        if n == 1 {
            let long = tasks::long_summary(&mut words, N_WORDS_LONG);
            let short = tasks::commit_message(&mut words, N_GENERATED);
            let server = LlamaServer::start(setup)?;
            let answer = between_of_peer(&server, &long, &short, before(CHUNKS_BEFORE_PEER))?;
            peer.add(&answer, allowed_ms(&answer));
            asked = super::asked(&in_words(n_chunk, speed), &beast, &server);
        }
    }
    let mut rows = among.rows("first token of a short request between long ones", peer);
    rows.extend(beside.rows("first token of a short request beside a long one", Times::default()));
    Ok(rows.into_iter().map(|row| row.asked(&asked)).collect())
}

/// Times to the first token of the short request.
#[derive(Default)]
struct Times {
    ms: Vec<f64>,
    /// The times as shares of the allowed ones.
    shares: Vec<f64>,
    n_prompt: u32,
}

impl Times {
    fn add(&mut self, answer: &Answer, allowed_ms: f64) {
        self.ms.push(answer.first_token_ms());
        self.shares.push(answer.first_token_ms() / allowed_ms);
        self.n_prompt = answer.n_prompt;
    }

    fn rows(self, what: &str, peer: Self) -> Vec<Row> {
        let allowed = median(&self.ms).zip(median(&self.shares)).map(|(ms, share)| ms / share).unwrap_or_default();
        let worst = self.shares.iter().copied().fold(0.0, f64::max);
        let n_prompt = self.n_prompt;
        vec![
            Row::new(what, "ms", self.ms).beside(peer.ms),
            Row::new("  as a multiple of a chunk and its own prompt", "x", self.shares)
                .beside(peer.shares)
                .required(Required::AtMost(ABOUT))
                .note(format!("allowed {allowed:.0} ms; prompt of {n_prompt} tokens; the worst {worst:.2}")),
        ]
    }
}

fn in_words(n_chunk: f64, speed: f64) -> String {
    let seconds = CHUNKS_BEFORE.map(|n_chunks| format!("{:.1}", n_chunks * n_chunk / speed)).join(", ");
    format!(
        "Both: {N_LONG} summaries of the same file of about 3,000 tokens begin at once, or one of them alone; {seconds} s later comes a commit \
        message for a small diff. Allowed is the time of a chunk of {n_chunk} tokens and of the part of its own prompt that is not known \
        yet, at {speed:.0} tokens/s as measured before. The peer once only, between {N_LONG} and after {CHUNKS_BEFORE_PEER} chunks, because \
        it may read all of the long prompts first."
    )
}

fn between_of_peer(server: &LlamaServer, long: &Generate, short: &Generate, before: Duration) -> Result<Answer> {
    // Held until the short request is answered.
    let _long = (0..N_LONG).map(|_| server.begin(long)).collect::<Result<Vec<_>>>()?;
    thread::sleep(before);
    server.ask(short)
}

fn between(beast: &Beast, n_long: usize, long: &Generate, short: &Generate, before: Duration) -> Result<Answer> {
    let n_there = || beast.status().map(|status| (status.n_running + status.n_waiting) as usize);
    let running = (0..n_long).map(|_| beast.begin(long)).collect::<Result<Vec<_>>>()?;
    let mut are_there = || Ok((n_there()? == n_long).then_some(()));
    wait_for("the long requests", LIMIT, PAUSE, &mut are_there)?;
    thread::sleep(before);
    ensure!(n_there()? == n_long, "the long requests are read before a short one could come");
    let answer = beast.ask(short)?;
    drop(running);
    let mut is_idle = || Ok((beast.status()?.n_running == 0).then_some(()));
    wait_for("the end of the long requests", LIMIT, PAUSE, &mut is_idle)?;
    Ok(answer)
}
