//! A long prompt that neither side has cached.

use anyhow::Result;

use super::{asked, repeats};
use crate::{
    Setup,
    ask::{Side, exactly},
    beast::Beast,
    peers::LlamaServer,
    report::{Required, Row},
    stats::median,
    words::Words,
};

/// Yields about 1,000 tokens.
const N_WORDS: usize = 830;
const N_GENERATED: u32 = 48;

/// Results of one side.
#[derive(Default)]
struct Side1000 {
    first_token: Vec<f64>,
    decode: Vec<f64>,
    n_prompt: u32,
}

impl Side1000 {
    fn add(&mut self, side: &dyn Side, text: &str) -> Result<()> {
        let answer = side.ask(&exactly(None, text, N_GENERATED))?;
        self.first_token.push(answer.first_token_ms());
        self.decode.push(answer.decode_speed());
        self.n_prompt = answer.n_prompt;
        Ok(())
    }
}

/// Runs llama-server with its defaults, and also without repacking weights.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let shipped_server = LlamaServer::start(setup)?;
    let plain_server = LlamaServer::start_with(setup, &["--no-repack"])?;
    let mut words = Words::new();
    let (mut ours, mut shipped, mut plain) = (Side1000::default(), Side1000::default(), Side1000::default());
    for _ in repeats(setup) {
        let text = words.text(N_WORDS);
        ours.add(&beast, &text)?;
        shipped.add(&shipped_server, &text)?;
        plain.add(&plain_server, &text)?;
    }
    let what = format!(
        "Both: a text of {} tokens ({} at the peer), {N_GENERATED} tokens of answer, no speculation. The peer also \
        with --no-repack.",
        ours.n_prompt, shipped.n_prompt
    );
    let asked = asked(&what, &beast, &shipped_server);
    let speed = |side: &Side1000| median(&side.decode).unwrap_or_default();
    let both = format!("peer: {:.1} as shipped, {:.1} with --no-repack", speed(&shipped), speed(&plain));
    let best_decode = if median(&plain.decode) > median(&shipped.decode) { plain.decode } else { shipped.decode };
    let rows = [
        Row::new("first token, new prompt of 1,000 tokens", "ms", ours.first_token.clone())
            .beside(shipped.first_token)
            .required(Required::RatioAtMost(0.65))
            .note("peer as shipped".into()),
        Row::new("  the same", "ms", ours.first_token).beside(plain.first_token).note("peer with --no-repack".into()),
        Row::new("decode after it", "tokens/s", ours.decode)
            .beside(best_decode)
            .required(Required::RatioAtLeast(0.95))
            .note(both),
    ];
    Ok(rows.map(|row| row.asked(&asked)).into())
}
