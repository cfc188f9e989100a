//! The group `peers`: the same prompts on the same file through beastd and llama-server, in turn.
//!
//! Each measurement starts both sides itself and lists their arguments below the table. Nothing is chosen in our
//! favour: where llama-server can be configured in several relevant ways, the best one counts. Speeds are what each
//! side reports of itself; times to the first token are measured here, on both sides from the request to the first
//! event with a token.

mod between;
mod clients;
mod company;
mod copying;
mod draft;
mod long;
mod memory;
mod new_prompt;
mod nothing;
mod prefix;
mod sse;

use std::fmt;

use anyhow::{Context as _, Result};
use beast_protocol::{Generate, SpeculationStatus};

use crate::{
    Measurement, Setup,
    ask::{Guesses, Tally},
    beast::Beast,
    peers::{LlamaServer, in_words},
    report::say,
    stats::median,
};

/// In the order of the table.
pub const MEASUREMENTS: &[Measurement] = &[
    Measurement { name: "prefix", run: prefix::measure },
    Measurement { name: "new-prompt", run: new_prompt::measure },
    Measurement { name: "copying", run: copying::measure },
    Measurement { name: "nothing-to-copy", run: nothing::measure },
    Measurement { name: "draft", run: draft::measure },
    Measurement { name: "four-clients", run: clients::measure },
    Measurement { name: "sse", run: sse::measure },
    Measurement { name: "long", run: long::measure },
    Measurement { name: "company", run: company::measure },
    Measurement { name: "memory", run: memory::measure },
    Measurement { name: "between", run: between::measure },
];

/// A way to answer, its speeds, and the acceptance of its drafts.
struct Way {
    /// A description for the report.
    how: String,
    speeds: Vec<f64>,
    guesses: Guesses,
}

impl Way {
    fn new(how: impl Into<String>) -> Self {
        Self { how: how.into(), speeds: Vec::new(), guesses: Guesses::default() }
    }

    /// A way of llama-server, with these additional arguments.
    fn with(more: &[&str]) -> Self {
        Self::new(if more.is_empty() { "as it is".into() } else { format!("with {}", in_words(more)) })
    }

    fn add(&mut self, tally: &Tally) {
        self.speeds.push(tally.speed());
        self.guesses.add(tally);
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.1} tokens/s, {}", self.how, median(&self.speeds).unwrap_or_default(), self.guesses)
    }
}

/// Describes the ways in turn; also reported while they are measured.
fn list<'a>(ways: impl IntoIterator<Item = &'a Way>) -> String {
    let ways: Vec<String> = ways.into_iter().map(Way::to_string).collect();
    ways.iter().for_each(|way| say(&format!("  {way}")));
    ways.join("; ")
}

/// The fastest way.
fn quickest(ways: Vec<Way>) -> Result<Way> {
    let candidates = ways.into_iter().map(|way| (median(&way.speeds), way));
    let quickest = candidates.max_by(|(a, _), (b, _)| a.unwrap_or_default().total_cmp(&b.unwrap_or_default()));
    Ok(quickest.context("there is no way to answer")?.1)
}

/// What both sides were asked, and their command lines.
fn asked(what: &str, beast: &Beast, server: &LlamaServer) -> String {
    format!("{what} beast: beastd {}. Peer: {}.", beast.arguments(), server.arguments())
}

/// The daemon's drafters, as it reports them.
fn guessers(beast: &Beast) -> Result<String> {
    let SpeculationStatus { drafters, draft_model, reason, .. } = beast.status()?.speculation;
    let who =
        if drafters.is_empty() { "nothing guesses".into() } else { format!("guessing by {}", drafters.join(" and ")) };
    let model = draft_model.map(|model| format!(", draft model {model}")).unwrap_or_default();
    Ok(who + &model + &reason.map(|reason| format!(" ({reason})")).unwrap_or_default())
}

fn repeats(setup: &Setup) -> impl Iterator<Item = usize> {
    let n_repeats = setup.n_repeats;
    (1..=n_repeats).inspect(move |n| say(&format!("  repeat {n} of {n_repeats}")))
}

/// Each request in every way, in turn.
fn in_ways(questions: &[Generate], way: impl Fn(&Generate) -> Generate) -> Vec<Generate> {
    questions.iter().map(way).collect()
}
