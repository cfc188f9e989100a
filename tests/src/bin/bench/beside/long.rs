//! A document far longer than the context.

use std::{
    collections::VecDeque,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use beast_protocol::{Event, Generate, Overflow, Part, Span, Speculation};
use beast_tests::samples;

use super::{asked, repeats};
use crate::{
    Setup,
    ask::{Side, greedy},
    beast::{Beast, N_SLOTS},
    peers::LlamaServer,
    report::{Required, Row},
};

const N_BYTES: usize = 1_000_000;
const N_ANSWER: u32 = 60;
const MERGE: &str = "Merge these summaries of one text into one. Reply with only the summary. Use plain text.";

/// Measures from the request to the end of the answer. llama-server gets beast's own parts, as a script with as many
/// clients as slots would send them. Only beast's time includes finding the parts and merging their answers.
pub fn measure(setup: &Setup) -> Result<Vec<Row>> {
    let setup = setup.of_cub();
    let (beast, server) = (Beast::start(&setup)?, LlamaServer::start(&setup)?);
    let book = samples::book(N_BYTES + 1000 * (setup.n_repeats + 1));
    let (mut ours, mut peer, mut n_parts) = (Vec::new(), Vec::new(), 0);
    for nth in repeats(&setup) {
        // A different text each time, because both sides cache prefixes.
        let text = &book[1000 * nth..][..N_BYTES];
        let question = question(text);
        let (events, took) = beast.begin(&question)?.events()?;
        ours.push(took.as_secs_f64());
        let parts: Vec<Part> = events.into_iter().filter_map(first_round).collect();
        ensure!(!parts.is_empty(), "the document was answered in one piece");
        n_parts = parts.len();
        let calls = parts.iter().map(|part| call(text, part)).collect();
        peer.push(in_turn(&server, calls)?.as_secs_f64());
    }
    let what = format!(
        "Both: the built-in model, a text of {N_BYTES} bytes in {n_parts} parts, at most {N_ANSWER} tokens of answer each, greedy. beast divides, \
        answers all parts, merges the answers in rounds and writes the summary; llama-server answers the same parts from {N_SLOTS} \
        clients, nothing else."
    );
    let row = Row::new("a megabyte summarized", "s", ours).beside(peer).required(Required::RatioAtMost(1.0));
    Ok(vec![row.asked(&asked(&what, &beast, &server))])
}

fn question(text: &str) -> Generate {
    let material = Span { start: 0, end: text.len() as u64 };
    let overflow = Overflow::Reduce { material, instruction: MERGE.into() };
    greedy(Generate { overflow, ..samples::instructed("summarize", text) }, N_ANSWER)
}

fn first_round(event: Event) -> Option<Part> {
    match event {
        Event::Part(part) if part.round == 1 => Some(part),
        _ => None,
    }
}

fn call(text: &str, part: &Part) -> Generate {
    let offset = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let content = &text[offset(part.span.start)..offset(part.span.end)];
    greedy(Generate { speculation: Speculation::Auto, ..samples::instructed("summarize", content) }, N_ANSWER)
}

/// Sends all requests, as many at a time as there are slots.
fn in_turn(side: &dyn Side, calls: VecDeque<Generate>) -> Result<Duration> {
    let calls = Mutex::new(calls);
    let next = || calls.lock().ok().and_then(|mut calls| calls.pop_front());
    let began = Instant::now();
    thread::scope(|scope| {
        let client = || -> Result<()> {
            while let Some(call) = next() {
                side.ask(&call)?;
            }
            Ok(())
        };
        let clients: Vec<_> = (0..N_SLOTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })?;
    Ok(began.elapsed())
}
