//! Decoding under CPU contention: another program keeps one core busy.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::{
    Setup,
    ask::{Side as _, exactly},
    beast::Beast,
    process::Process,
    report::{Required, Row, say},
    words::Words,
};

const N_WORDS: usize = 20;
const N_GENERATED: u32 = 64;
/// Without the governor, a token was once observed to take three seconds.
const N_GENERATED_WITHOUT: u32 = 12;
const NEIGHBOUR_LIMIT_S: &str = "300";

/// Measures without, with, and again without contention, in turn. The other program is real and runs in a session of
/// its own, as if started from another terminal, because the kernel divides cores between sessions.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let governed = Beast::start(setup)?;
    let ungoverned = Beast::start_with(setup, &["governor=false"])?;
    let mut words = Words::new();
    let mut speed = |beast: &Beast, n_tokens: u32| {
        let answer = beast.ask(&exactly(None, &words.text(N_WORDS), n_tokens))?;
        anyhow::Ok(answer.decode_speed())
    };
    let [mut alone, mut company, mut without, mut after] = [const { Vec::new() }; 4];
    for n in 1..=setup.n_repeats {
        say(&format!("  repeat {n} of {}", setup.n_repeats));
        alone.push(speed(&governed, N_GENERATED)?);
        let neighbour = neighbour()?;
        company.push(speed(&governed, N_GENERATED)?);
        without.push(speed(&ungoverned, N_GENERATED_WITHOUT)?);
        drop(neighbour);
        // During the first answer the daemon still observes the machine; the second one has all threads from its
        // beginning.
        speed(&governed, N_GENERATED)?;
        after.push(speed(&governed, N_GENERATED)?);
    }
    Ok(vec![
        Row::new("decode, one core taken by xz", "tokens/s", company)
            .beside(alone.clone())
            .required(Required::RatioAtLeast(0.6))
            .note("peer: ours on the idle machine".into()),
        Row::new("the same without the governor", "tokens/s", without).beside(alone.clone()),
        Row::new("decode, after xz has ended", "tokens/s", after).beside(alone).required(Required::RatioAtLeast(0.9)),
    ])
}

/// A program that keeps a core busy as long as this value lives, in a session of its own. Ctrl-C does not reach
/// another session, so `timeout` ends it if this program dies first.
pub fn neighbour() -> Result<Process> {
    let mut command = Command::new("setsid");
    command.args(["timeout", NEIGHBOUR_LIMIT_S, "xz", "-9", "-T1", "-c", "/dev/zero"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Process::start(&mut command).context("xz, setsid and timeout are needed")
}
