//! Time to the first token of a prompt whose prefix is cached.

use anyhow::{Result, ensure};

use crate::{
    Setup,
    ask::{Side as _, exactly},
    beast::Beast,
    report::{Required, Row, say},
    words::Words,
};

/// About 400 tokens of instruction and 30 of text.
pub const N_SYSTEM: usize = 330;
pub const N_TAIL: usize = 20;

/// The instruction stays and the text changes, as with a prompt that is used repeatedly; also the text on its own.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let mut words = Words::new();
    let [mut cold, mut warm, mut alone] = [const { Vec::new() }; 3];
    let mut n_cached = 0;
    for n in 1..=setup.n_repeats {
        say(&format!("  repeat {n} of {}", setup.n_repeats));
        let system = words.text(N_SYSTEM);
        let mut ask = |system| beast.ask(&exactly(system, &words.text(N_TAIL), 1));
        cold.push(ask(Some(&system))?.first_token_ms());
        let answer = ask(Some(&system))?;
        ensure!(answer.n_cached > 0, "nothing was kept of the prompt");
        n_cached = answer.n_cached;
        warm.push(answer.first_token_ms());
        alone.push(ask(None)?.first_token_ms());
    }
    Ok(vec![
        Row::new("first token, instruction never seen", "ms", cold),
        Row::new("first token, instruction seen before", "ms", warm)
            .beside(alone)
            .required(Required::RatioAtMost(1.15))
            .note(format!("{n_cached} tokens kept; peer: the text without instruction")),
    ])
}
