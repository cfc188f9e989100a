//! Prefill and decode: the engine as beastd drives it, beside llama-bench.

use anyhow::{Context as _, Result, ensure};

use crate::{
    Setup,
    ask::{Side as _, exactly},
    beast::{Beast, N_CTX},
    peers::LlamaBench,
    report::{Required, Row, say},
    words::Words,
};

const N_PROMPT: usize = 512;
const N_GENERATED: u32 = 64;
/// Words of a first text, which shows how many tokens words have.
const N_PROBE: usize = 64;

/// Both sides read the same number of tokens, then generate as many after them. beastd stays resident while
/// llama-bench runs: it is idle then, so it occupies memory but no cores.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let bench = LlamaBench::new(setup)?;
    let beast = Beast::start(setup)?;
    let mut words = Words::new();
    let n_words = words_of_prompt(&beast, &mut words)?;

    let [mut prefill, mut peer_prefill, mut decode, mut peer_decode] = [const { Vec::new() }; 4];
    let mut n_prompts = Vec::new();
    for n in 1..=setup.n_repeats {
        say(&format!("  repeat {n} of {}", setup.n_repeats));
        let answer = beast.ask(&exactly(None, &words.text(n_words), N_GENERATED))?;
        ensure!(!answer.prefill.is_zero() && !answer.decode.is_zero(), "beastd tells no times");
        prefill.push(answer.prefill_speed());
        decode.push(answer.decode_speed());
        peer_prefill.push(bench.prefill(answer.n_prompt)?);
        peer_decode.push(bench.decode(N_GENERATED, answer.n_prompt)?);
        n_prompts.push(answer.n_prompt);
    }
    let shortest = n_prompts.iter().min().context("there is no repeat")?;
    let longest = n_prompts.iter().max().context("there is no repeat")?;
    Ok(vec![
        Row::new(format!("prefill, {shortest} to {longest} tokens"), "tokens/s", prefill)
            .beside(peer_prefill)
            .required(Required::RatioAtLeast(0.97)),
        Row::new(format!("decode, {N_GENERATED} tokens after those"), "tokens/s", decode)
            .beside(peer_decode)
            .required(Required::RatioAtLeast(0.97)),
    ])
}

/// How many words make a prompt of the wanted length, or of half the context if that is less.
fn words_of_prompt(beast: &Beast, words: &mut Words) -> Result<usize> {
    let mut n_tokens =
        |n_words| beast.ask(&exactly(None, &words.text(n_words), 1)).map(|answer| answer.n_prompt as usize);
    let (once, twice) = (n_tokens(N_PROBE)?, n_tokens(2 * N_PROBE)?);
    ensure!(once < twice, "twice as many words make no more tokens");
    let n_of_template = (2 * once).saturating_sub(twice);
    let n_ctx = beast.status()?.model.map_or(N_CTX, |model| model.n_ctx as usize);
    Ok(N_PROMPT.min(n_ctx / 2).saturating_sub(n_of_template) * N_PROBE / (twice - once))
}
