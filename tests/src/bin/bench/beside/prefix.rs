//! A cached instruction, followed by a new text.

use std::time::Duration;

use anyhow::Result;

use super::{asked, repeats};
use crate::{
    Setup,
    ask::{Side, exactly},
    beast::Beast,
    peers::LlamaServer,
    prefix::{N_SYSTEM, N_TAIL},
    process::wait_for,
    report::{Required, Row},
    stats::ratio,
    words::Words,
};

/// Time for the daemon to save the prefix, which it does when idle. If it saves nothing, the rows say so.
const STORE_LIMIT: Duration = Duration::from_secs(3);
const MOST: Required = Required::AtMost(1.15);

/// Times to the first token of one side, in milliseconds.
#[derive(Default)]
struct Times {
    alone: Vec<f64>,
    again: Vec<f64>,
    n_cached: u32,
}

impl Times {
    /// Sends three texts: the first after a new instruction, the second after the same one, the third on its own.
    fn add(&mut self, side: &dyn Side, system: &str, texts: &[String; 3]) -> Result<()> {
        let [first, second, third] = texts;
        side.ask(&exactly(Some(system), first, 1))?;
        let again = side.ask(&exactly(Some(system), second, 1))?;
        self.n_cached = again.n_cached;
        self.again.push(again.first_token_ms());
        self.alone.push(side.ask(&exactly(None, third, 1))?.first_token_ms());
        Ok(())
    }
}

/// The instruction stays and the text changes, as with a prompt that is used repeatedly; then the daemon restarts.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let server = LlamaServer::start(setup)?;
    let mut beast = Beast::start(setup)?;
    let mut words = Words::new();
    let (mut ours, mut peer, mut restarted) = (Times::default(), Times::default(), Times::default());
    for _ in repeats(setup) {
        let system = words.text(N_SYSTEM);
        let texts = [(); 3].map(|()| words.text(N_TAIL));
        let stored = beast.status()?.stored;
        ours.add(&beast, &system, &texts)?;
        peer.add(&server, &system, &texts)?;

        let mut is_stored = || Ok((beast.status()?.stored != stored).then_some(()));
        let _ = wait_for("a prefix on disk", STORE_LIMIT, Duration::from_millis(50), &mut is_stored);
        beast = beast.restart(setup)?;
        let answer = beast.ask(&exactly(Some(&system), &words.text(N_TAIL), 1))?;
        restarted.n_cached = answer.n_cached;
        restarted.again.push(answer.first_token_ms());
    }
    let what = "Both: an instruction of about 400 tokens with a text of about 30, the same instruction with another text, \
        and a text of that length alone; one token of answer. beastd then ends, starts again and gets the instruction with \
        a third text; llama-server is not asked that, for it keeps nothing by itself.";
    let asked = asked(what, &beast, &server);
    let kept = |times: &Times| format!("{} tokens were known", times.n_cached);
    let rows = [
        Row::new("first token, text alone", "ms", ours.alone.clone()).beside(peer.alone.clone()),
        Row::new("first token, instruction seen before", "ms", ours.again.clone())
            .beside(peer.again.clone())
            .note(format!("{}; peer: {}", kept(&ours), peer.n_cached)),
        Row::new("  as a multiple of the text alone", "x", ratio(&ours.again, &ours.alone))
            .beside(ratio(&peer.again, &peer.alone))
            .required(MOST),
        Row::new("first token, seen before a restart", "ms", restarted.again.clone()).note(kept(&restarted)),
        Row::new("  as a multiple of the text alone", "x", ratio(&restarted.again, &ours.alone)).required(MOST),
    ];
    Ok(rows.map(|row| row.asked(&asked)).into())
}
