//! Speculative decoding with a draft model.

use anyhow::{Context as _, Result};
use beast_protocol::{Generate, Speculation};

use super::{Way, guessers, in_ways, list, quickest, repeats};
use crate::{
    Setup,
    ask::Tally,
    beast::Beast,
    peers::{LlamaBench, LlamaServer},
    report::{Required, Row},
    stats::{ceiling, ratio},
    tasks::{self, TERMS},
    words::Words,
};

const N_QUESTIONS: usize = 4;
const N_SUMMARIES: usize = 2;
/// llama-server's limits for draft tokens. With a limit of one, the acceptance rate is the probability that a draft
/// is right.
const PEER_LENGTHS: [&str; 3] = ["1", "3", "8"];
/// Tokens for measuring the draft model's speed.
const N_DRAFTER: u32 = 32;

pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let Some(draft) = &setup.draft else { return Ok(vec![Row::without("draft model", "no --draft FILE was given")]) };
    let draft = draft.to_str().context("the draft model's path is no UTF-8")?;
    let beast = Beast::start_with(setup, &[&format!("draft={draft}")])?;
    let ways = PEER_LENGTHS.map(|length| ["-md", draft, "--spec-type", "draft-simple", "--spec-draft-n-max", length]);
    let mut peers = ways.each_ref().map(|more| Way::with(more));
    let (mut drafted, mut off, mut peer_off) = (Way::new("draft"), Way::new("off"), Way::with(&[]));
    let mut words = Words::new();
    let mut arguments = String::new();
    for n in repeats(setup) {
        let questions = questions(n, &mut words);
        let ours = |speculation| in_ways(&questions, |question| tasks::guessing(question, speculation));
        off.add(&Tally::of(&beast, &ours(Speculation::Off))?);
        drafted.add(&Tally::of(&beast, &ours(Speculation::Draft))?);
        let server = LlamaServer::start(setup)?;
        arguments = server.arguments().into();
        peer_off.add(&Tally::of(&server, &questions)?);
        drop(server);
        for (more, way) in ways.iter().zip(&mut peers) {
            way.add(&Tally::of(&LlamaServer::start_with(setup, more)?, &questions)?);
        }
    }
    let asked = format!(
        "Both: {N_QUESTIONS} questions and {N_SUMMARIES} summaries in each repeat; the answer ends where the model ends it. beast: beastd {}, \
        {}, speculation {}. Peer: {arguments}, of those with a draft model the best counts: {}. The ceiling is the \
        most that (1 - p^(k+1)) / (1 - p) tokens in the measured time of checking k + 1 can gain.",
        beast.arguments(),
        guessers(&beast)?,
        list([&off, &drafted]),
        list([&peer_off].into_iter().chain(&peers))
    );
    let theory = Theory::of(setup, &drafted, &peers);
    rows([drafted, off, peer_off], peers.into(), theory, &asked)
}

/// Requests whose acceptance is about what cub's card states for all its tasks: 84 %.
fn questions(n: usize, words: &mut Words) -> Vec<Generate> {
    let question = |nth| tasks::harder_question(nth, TERMS[(n * N_QUESTIONS + nth) % TERMS.len()]);
    (0..N_QUESTIONS).map(question).chain((0..N_SUMMARIES).map(|_| tasks::summary(words))).collect()
}

/// The theoretical limits of drafting.
struct Theory {
    /// Probability that a draft token is right.
    p: f64,
    /// The best speedup, and the number of drafts for it: if drafts were free, and at their measured cost.
    free: (f64, u32),
    paid: (f64, u32),
    drafter_ms: f64,
}

impl Theory {
    /// llama-server's first way drafts one token at a time; if that gave no result, our own acceptance rate is used.
    fn of(setup: &Setup, drafted: &Way, peers: &[Way]) -> Result<Self> {
        let single = peers.first().and_then(|way| way.guesses.share());
        let p = single.or(drafted.guesses.share()).context("nothing was guessed")?;
        let costs = &setup.calibration.get().context("the machine was not looked at")?.verify_costs;
        let draft = setup.draft.as_ref().context("no draft model")?;
        let drafter_ms = 1000.0 / LlamaBench::of(setup, draft)?.decode(N_DRAFTER, N_DRAFTER)?;
        let of = |drafter_ms| ceiling(p, costs, drafter_ms).context("no calibration");
        Ok(Self { p, free: of(0.0)?, paid: of(drafter_ms)?, drafter_ms })
    }
}

fn rows(ours: [Way; 3], peers: Vec<Way>, theory: Result<Theory>, asked: &str) -> Result<Vec<Row>> {
    let [drafted, off, peer_off] = ours;
    let best = quickest(peers)?;
    let gain = ratio(&drafted.speeds, &off.speeds);
    let (free, paid) = match &theory {
        Ok(Theory { p, free, paid, drafter_ms }) => (
            format!("ceiling {:.2} with {} guesses, each right with chance {p:.2}", free.0, free.1),
            format!("ceiling {:.2} with {} guesses of {drafter_ms:.1} ms each", paid.0, paid.1),
        ),
        Err(error) => (format!("no ceiling: {error:#}"), String::new()),
    };
    let share = |of: fn(&Theory) -> (f64, u32)| match &theory {
        Ok(theory) => gain.iter().map(|gain| gain / of(theory).0).collect(),
        Err(_) => Vec::new(),
    };
    let rows = [
        Row::new("answers with a draft model", "tokens/s", drafted.speeds)
            .beside(best.speeds.clone())
            .note(format!("{}; peer's best {}: {}", drafted.guesses, best.how, best.guesses)),
        Row::new("  as a multiple of none", "x", gain.clone()).beside(ratio(&best.speeds, &peer_off.speeds)),
        Row::new("  as a share of the ceiling", "x", share(|theory| theory.free))
            .required(Required::AtLeast(0.9))
            .note(free),
        Row::new("  as a share of that with the guesses' own cost", "x", share(|theory| theory.paid)).note(paid),
        Row::new("the same answers without", "tokens/s", off.speeds).beside(peer_off.speeds),
    ];
    Ok(rows.map(|row| row.asked(asked)).into())
}
