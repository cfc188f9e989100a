//! Delays that a user at a terminal notices, besides those of the engine.

use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    Setup,
    ask::ms,
    beast::{Beast, home},
    process::{isolate, output, wait_for},
    report::{Required, Row},
    words::Words,
};

const N_STATUS: usize = 50;
const N_FIRST_TOKENS: usize = 10;
/// The model answers some texts with little or nothing, so up to this many are tried per answer.
const N_ATTEMPTS: usize = 3;
const N_WORDS: usize = 40;
/// Fewer pieces would make the median of their delays random.
const N_PIECES: u64 = 8;
/// The daemon writes its log before it disconnects; this is for slow disks.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// `beastctl status` from exec to exit, with its output read through a pipe.
pub fn status(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let mut times = Vec::new();
    for _ in 0..N_STATUS {
        let began = Instant::now();
        output(&mut beast.ctl(&["status"]))?;
        times.push(ms(began.elapsed()));
    }
    Ok(vec![Row::new("beastctl status, exec to exit", "ms", times).required(Required::AtMost(5.0))])
}

/// The client without a daemon, from exec to exit.
pub fn client(setup: &Setup) -> Result<Vec<Row>> {
    let home = home()?;
    let row = |arguments: &[&str]| -> Result<Row> {
        let mut times = Vec::new();
        for _ in 0..N_STATUS {
            let mut command = Command::new(setup.programs.join("beastctl"));
            isolate(&mut command, home.path());
            let began = Instant::now();
            output(command.args(arguments))?;
            times.push(ms(began.elapsed()));
        }
        let name = format!("beastctl {}, exec to exit", arguments.join(" "));
        Ok(Row::new(&name, "ms", times).required(Required::AtMost(5.0)))
    };
    Ok(vec![row(&["--version"])?, row(&["completions", "zsh"])?])
}

/// From sampling in the engine until beastctl has the text, as beastctl reports it: both use the same clock.
pub fn lag(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let mut words = Words::new();
    let (mut medians, mut longest) = (Vec::new(), 0.0_f64);
    for _ in 0..N_ATTEMPTS * setup.n_repeats {
        let Some((median, max)) = lag_once(&beast, &words.text(N_WORDS))? else { continue };
        medians.push(median);
        longest = longest.max(max);
        if medians.len() == setup.n_repeats {
            return Ok(vec![
                Row::new("delivery of a token, median", "ms", medians).required(Required::AtMost(1.0)),
                Row::new("delivery of a token, longest", "ms", vec![longest]),
            ]);
        }
    }
    bail!("the model answers with fewer than {N_PIECES} tokens, most of the time")
}

/// Median and longest delay of one answer; `None` if it is too short.
fn lag_once(beast: &Beast, text: &str) -> Result<Option<(f64, f64)>> {
    let args = ["ask", text, "--json", "--max-tokens", "64", "--temp", "0", "--no-start"];
    let answer: Value = serde_json::from_str(&output(&mut beast.ctl(&args))?)?;
    let n = answer["usage"]["n_generated"].as_u64().context("beastctl tells no n_generated")?;
    let lag = |field: &str| answer["client"][field].as_f64().with_context(|| format!("beastctl tells no {field}"));
    if n < N_PIECES { Ok(None) } else { Ok(Some((lag("lag_ms_median")?, lag("lag_ms_max")?))) }
}

/// From exec of beastctl to the first byte on its stdout, minus the engine's time for the prompt.
pub fn first_token(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let mut words = Words::new();
    let mut extras = Vec::new();
    for _ in 0..N_ATTEMPTS * N_FIRST_TOKENS {
        extras.extend(first_token_once(&beast, &words.text(N_WORDS))?);
        if extras.len() == N_FIRST_TOKENS {
            let row = Row::new("first token, beyond the engine's time", "ms", extras);
            return Ok(vec![row.required(Required::AtMost(5.0))]);
        }
    }
    bail!("the model answers with nothing, most of the time")
}

/// While the first token is in transit, the engine generates further ones and keeps its cores busy, as in real use.
/// `None` if the answer is empty.
fn first_token_once(beast: &Beast, text: &str) -> Result<Option<f64>> {
    let n_before = prefill_times(&beast.log()?).len();
    let mut command: Command = beast.ctl(&["ask", text, "--max-tokens", "16", "--temp", "0", "--no-start", "--stats"]);
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("beastctl has no stdout")?;
    let n_read = stdout.read(&mut [0])?;
    let took = began.elapsed();
    // Closing the pipe now would end beastctl prematurely.
    std::io::copy(&mut stdout, &mut std::io::sink())?;
    let done = child.wait_with_output()?;
    ensure!(done.status.success(), "beastctl failed: {}", String::from_utf8_lossy(&done.stderr).trim());
    let mut prefill = || Ok(prefill_times(&beast.log()?).get(n_before).copied());
    let prefill = wait_for("a line in the log of beastd", LOG_LIMIT, Duration::from_millis(1), &mut prefill)?;
    Ok((n_read == 1).then(|| ms(took) - ms(prefill)))
}

/// The engine's prefill times, from the daemon's log: only there are they in microseconds for an answer that beastctl
/// streams.
fn prefill_times(log: &str) -> Vec<Duration> {
    let times = log.lines().filter_map(|line| line.split_once("prefill_us: ")?.1.split(',').next()?.parse().ok());
    times.map(Duration::from_micros).collect()
}
