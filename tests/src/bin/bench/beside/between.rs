//! A short request that arrives while two long ones are read.

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

/// Makes about 3,000 tokens.
const N_WORDS_LONG: usize = 2450;
const N_LONG: usize = 2;
/// Makes some 300 tokens, by which the speed of reading is measured.
const N_WORDS_PROBE: usize = 240;
const N_GENERATED: u32 = 8;
/// So many chunks are read before the short request comes: it arrives in the middle of one.
const CHUNKS_BEFORE: f64 = 1.5;
/// What about one chunk and its own prompt means: the chunk in which it is read bears tokens of the long ones as well.
const ABOUT: f64 = 1.25;
const PAUSE: Duration = Duration::from_millis(5);

/// The long ones are given up once the short one is answered: what comes after that is not of interest here, and takes minutes.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let mut words = Words::new();
    let beast = Beast::start(setup)?;
    let speed = beast.ask(&exactly(None, &words.text(N_WORDS_PROBE), 1))?.prefill_speed();
    let n_chunk = f64::from(beast.status()?.prefill_chunk);
    let before = Duration::from_secs_f64(CHUNKS_BEFORE * n_chunk / speed);
    let [mut ours, mut shares, mut peer, mut peer_shares] = [const { Vec::new() }; 4];
    let (mut asked, mut n_short) = (String::new(), 0);
    for n in repeats(setup) {
        let long = tasks::long_summary(&mut words, N_WORDS_LONG);
        let short = tasks::commit_message(&mut words, N_GENERATED);
        let answer = between(&beast, &long, &short, before)?;
        let allowed_ms = (n_chunk + f64::from(answer.n_prompt - answer.n_cached)) / speed * 1000.0;
        n_short = answer.n_prompt;
        ours.push(answer.first_token_ms());
        shares.push(answer.first_token_ms() / allowed_ms);
        if n == 1 {
            let server = LlamaServer::start(setup)?;
            let answer = between_of_peer(&server, &long, &short, before)?;
            peer.push(answer.first_token_ms());
            peer_shares.push(answer.first_token_ms() / allowed_ms);
            asked = super::asked(&in_words(n_chunk, speed, before), &beast, &server);
        }
    }
    let allowed = median(&ours).zip(median(&shares)).map(|(ms, share)| ms / share).unwrap_or_default();
    let rows = [
        Row::new("first token of a short request between long ones", "ms", ours).beside(peer),
        Row::new("  as a multiple of a chunk and its own prompt", "x", shares)
            .beside(peer_shares)
            .required(Required::AtMost(ABOUT))
            .note(format!("allowed {allowed:.0} ms; prompt of {n_short} tokens")),
    ];
    Ok(rows.map(|row| row.asked(&asked)).into())
}

fn in_words(n_chunk: f64, speed: f64, before: Duration) -> String {
    format!(
        "Both: {N_LONG} summaries of the same file of about 3,000 tokens begin at once; {:.1} s later comes a commit message for a \
        small diff. Allowed is the time of a chunk of {n_chunk} tokens and of the part of its own prompt that is not known yet, \
        at {speed:.0} tokens/s as measured before. The peer once only, because it may read all of the long prompts first.",
        before.as_secs_f64()
    )
}

fn between_of_peer(server: &LlamaServer, long: &Generate, short: &Generate, before: Duration) -> Result<Answer> {
    // Held until the short one is answered.
    let _long = (0..N_LONG).map(|_| server.begin(long)).collect::<Result<Vec<_>>>()?;
    thread::sleep(before);
    server.ask(short)
}

fn between(beast: &Beast, long: &Generate, short: &Generate, before: Duration) -> Result<Answer> {
    let n_there = || beast.status().map(|status| (status.n_running + status.n_waiting) as usize);
    let running = (0..N_LONG).map(|_| beast.begin(long)).collect::<Result<Vec<_>>>()?;
    let mut are_there = || Ok((n_there()? == N_LONG).then_some(()));
    wait_for("two long requests", LIMIT, PAUSE, &mut are_there)?;
    thread::sleep(before);
    ensure!(n_there()? == N_LONG, "the long requests are read before a short one could come");
    let answer = beast.ask(short)?;
    drop(running);
    let mut is_idle = || Ok((beast.status()?.n_running == 0).then_some(()));
    wait_for("the end of the long requests", LIMIT, PAUSE, &mut is_idle)?;
    Ok(answer)
}
