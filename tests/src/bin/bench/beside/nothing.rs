//! Answers that copy nothing from the prompt: here prompt lookup gains nothing, and must not cost anything.

use anyhow::Result;
use beast_protocol::Speculation;

use super::{asked, guessers, repeats};
use crate::{
    Setup,
    ask::{Guesses, Side, Tally},
    beast::Beast,
    peers::LlamaServer,
    report::{Required, Row},
    stats::ratio,
    tasks::{self, TERMS},
};

const N_QUESTIONS: usize = 8;
/// llama-server's best settings where lookup does help.
const LOOKUP: &str = "--spec-type ngram-simple --spec-ngram-simple-size-n 3 --spec-ngram-simple-size-m 4";

/// Each request in both ways, in alternating order, because the difference is small.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let beast = Beast::start(setup)?;
    let plain_server = LlamaServer::start(setup)?;
    let lookup_server = LlamaServer::start_with(setup, &LOOKUP.split(' ').collect::<Vec<_>>())?;
    let [mut auto, mut off, mut peer_lookup, mut peer_plain] = [const { Vec::new() }; 4];
    let (mut guesses, mut peer_guesses) = (Guesses::default(), Guesses::default());
    for n in repeats(setup) {
        let mut ours = Pair::default();
        let mut peer = Pair::default();
        for nth in 0..N_QUESTIONS {
            let question = tasks::question(TERMS[(n * N_QUESTIONS + nth) % TERMS.len()]);
            let guessed = || beast.ask(&tasks::guessing(&question, Speculation::Auto));
            let unguessed = || beast.ask(&tasks::guessing(&question, Speculation::Off));
            ours.add(nth, &guessed, &unguessed)?;
            peer.add(nth, &|| lookup_server.ask(&question), &|| plain_server.ask(&question))?;
        }
        auto.push(ours.with.speed());
        off.push(ours.without.speed());
        peer_lookup.push(peer.with.speed());
        peer_plain.push(peer.without.speed());
        guesses.add(&ours.with);
        peer_guesses.add(&peer.with);
    }
    let what = format!(
        "Both: {N_QUESTIONS} questions in each repeat (`What is a socket?` and the like) whose answers share a name with them and no \
        more. beastd ({}) with speculation `auto` and `off`; the peer also with {LOOKUP}.",
        guessers(&beast)?
    );
    let asked = asked(&what, &beast, &plain_server);
    let (gain, peer_gain) = (ratio(&auto, &off), ratio(&peer_lookup, &peer_plain));
    let rows = [
        Row::new("nothing to copy, guessing as it likes", "tokens/s", auto)
            .beside(peer_lookup)
            .note(format!("{guesses}; peer: {peer_guesses}")),
        Row::new("  as a multiple of no guesses", "x", gain).beside(peer_gain).required(Required::AtLeast(0.97)),
        Row::new("nothing to copy, no guesses", "tokens/s", off).beside(peer_plain),
    ];
    Ok(rows.map(|row| row.asked(&asked)).into())
}

#[derive(Default)]
struct Pair {
    with: Tally,
    without: Tally,
}

type Ask<'a> = dyn Fn() -> Result<crate::ask::Answer> + 'a;

impl Pair {
    fn add(&mut self, nth: usize, with: &Ask, without: &Ask) -> Result<()> {
        if nth.is_multiple_of(2) {
            self.without.add(&without()?);
            self.with.add(&with()?);
        } else {
            self.with.add(&with()?);
            self.without.add(&without()?);
        }
        Ok(())
    }
}
