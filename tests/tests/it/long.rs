//! Inputs longer than the context: answered in parts, truncated, or refused.

use std::collections::BTreeMap;

use beast_protocol::{ErrorCode, Event, FinishReason, Generate, Overflow, Part, Place, Request, Round, Span, Status};
use beast_tests::samples::{self, book, diff, document, instructed};
use beast_tests::{Beast, eventually};

const MERGE: &str = "Merge these summaries of one text into one. Reply with only the summary. Use plain text.";

fn whole(text: &str) -> Span {
    Span { start: 0, end: text.len() as u64 }
}

fn reducing(text: &str) -> Generate {
    let overflow = Overflow::Reduce { material: whole(text), instruction: MERGE.into() };
    Generate { overflow, max_tokens: Some(60), ..instructed("summarize", text) }
}

fn rounds(events: &[Event]) -> Vec<Round> {
    events.iter().filter_map(|event| if let Event::Round(round) = event { Some(*round) } else { None }).collect()
}

fn parts(events: &[Event], round: u32) -> BTreeMap<u32, Part> {
    let parts = events.iter().filter_map(|event| match event {
        Event::Part(part) if part.round == round => Some((part.index, part.clone())),
        _ => None,
    });
    parts.collect()
}

/// Checks that the parts cover every byte, in order; returns the number of tokens, overlaps counted once.
#[track_caller]
fn check_parts(text: &str, parts: &BTreeMap<u32, Part>) -> u64 {
    let mut covered = 0;
    let mut n_tokens = 0;
    for (n, (index, part)) in parts.iter().enumerate() {
        assert_eq!(*index as usize, n, "each part has one answer");
        assert!(part.span.start <= covered && part.span.end > covered, "{part:?} follows {covered}");
        assert!(text.is_char_boundary(part.span.start as usize));
        covered = part.span.end;
        n_tokens += u64::from(part.n_tokens - part.n_overlap);
    }
    assert_eq!(covered, text.len() as u64, "all of it is read");
    n_tokens
}

/// A megabyte, read completely. The parts' token counts are compared with the daemon's total, which it counts
/// elsewhere.
#[test]
fn a_megabyte_is_read_to_its_last_word() {
    let beast = Beast::start();
    beast.ready();
    let text = book(1_000_000);
    let answer = beast.client().ask(&reducing(&text));
    let (_, usage) = answer.done();
    assert!(!answer.text.trim().is_empty());
    let timings = answer.events.iter().find_map(|event| match event {
        Event::Done { timings, .. } => Some(timings),
        _ => None,
    });
    let timings = timings.expect("it is done");
    assert!(timings.queued_us < timings.first_token_us / 2, "reading parts is no waiting: {timings:?}");

    let rounds = rounds(&answer.events);
    let first = parts(&answer.events, 1);
    let n_read = check_parts(&text, &first);
    assert_eq!(n_read, rounds[0].n_tokens);
    // The exact number of tokens, counted in pieces that fit.
    let n_given = count_tokens(&beast, &text);
    let difference = n_read.abs_diff(n_given);
    assert!(difference * 1000 <= n_given, "{n_read} tokens were read of {n_given}");

    let done: Vec<u32> = answer
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Part(part) if part.round == 1 => Some(part.n_done),
            _ => None,
        })
        .collect();
    assert_eq!(done, (1..=rounds[0].n_parts).collect::<Vec<_>>(), "progress counts every part once");
    beast.idle();
    let Status { n_prompt_tokens, n_tokens_saved, .. } = beast.status();
    let n_mapped: u64 = first.values().map(|part| u64::from(part.n_tokens)).sum();
    let n_computed = n_prompt_tokens + n_tokens_saved;
    assert!(n_computed >= n_mapped + u64::from(usage.n_prompt), "{n_computed} were computed, {n_mapped} mapped");
}

/// Counts tokens without computing anything: input that is too long is refused with its size.
fn count_tokens(beast: &Beast, text: &str) -> u64 {
    let size = |text: &str| -> u64 {
        let error = beast.client().ask(&samples::ask(text)).error();
        let mut numbers = error.message.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok());
        numbers.next().unwrap_or_else(|| panic!("no size in {}", error.message))
    };
    let paragraphs: Vec<&str> = text.split_inclusive("\n\n").collect();
    // The text around the material has a constant length, which follows from requests with the material once and twice.
    let chunk = paragraphs[..200].concat();
    let n_frame: u64 = 2 * size(&chunk) - size(&chunk.repeat(2));
    // Paragraphs are tokenized independently; these chunks are short enough to be counted exactly.
    let chunks = paragraphs.chunks(250).map(|chunk| chunk.concat());
    let (whole, rest): (Vec<String>, Vec<String>) = chunks.partition(|chunk| chunk.len() > 60_000);
    let n_of_rest: u64 = rest.iter().map(|rest| size(&(chunk.clone() + rest)) - size(&chunk)).sum();
    whole.iter().map(|chunk| size(chunk) - n_frame).sum::<u64>() + n_of_rest
}

#[test]
fn what_fits_is_answered_at_once_and_what_does_not_in_parts() {
    let beast = Beast::start();
    beast.ready();
    let answer = beast.client().ask(&reducing(&document(50)));
    assert_eq!((rounds(&answer.events).len(), answer.done().0), (0, FinishReason::Stop));
    let text = document(600);
    let answer = beast.client().ask(&reducing(&text));
    answer.done();
    check_parts(&text, &parts(&answer.events, 1));
    let started = answer.events.iter().position(|event| matches!(event, Event::Started { .. })).expect("started");
    let last_part = answer.events.iter().rposition(|event| matches!(event, Event::Part(_))).expect("in parts");
    assert!(last_part < started, "the answer follows all parts");
}

/// A commit message must not wait for a whole book.
#[test]
fn a_short_request_does_not_wait_for_the_parts_of_a_long_one() {
    let beast = Beast::with(&["n_slots=1"]);
    beast.ready();
    let mut long = beast.client();
    long.send(&Request::Generate(reducing(&document(6000))));
    eventually(|| beast.status().n_running == 1);
    let answer = beast.client().ask(&samples::commit_msg(&diff("read_all", 3)));
    assert_eq!(answer.text.trim(), samples::subject("read_all"));
    let status = beast.status();
    assert!(status.n_running + status.n_waiting > 0, "the long one is still at it");
    assert!(status.n_preempted > 0, "a part gave way");
}

#[test]
fn a_cancel_ends_all_parts() {
    let beast = Beast::start();
    beast.ready();
    let mut client = beast.client();
    client.send(&Request::Generate(reducing(&document(6000))));
    client.until(|event| matches!(event, Event::Part(_)));
    client.send(&Request::Cancel);
    let end = client.until(|event| matches!(event, Event::Done { .. } | Event::Failed(_)));
    assert!(matches!(end, Event::Done { reason: FinishReason::Cancelled, .. }), "{end:?}");
    beast.idle();
    // The connection can still be used.
    assert_eq!(client.ask(&samples::commit_msg(&diff("read_all", 3))).done().0, FinishReason::Stop);
}

#[test]
fn a_client_that_goes_away_leaves_nothing_running() {
    let beast = Beast::start();
    beast.ready();
    let mut client = beast.client();
    client.send(&Request::Generate(reducing(&document(6000))));
    client.until(|event| matches!(event, Event::Part(_)));
    drop(client);
    beast.idle();
}

#[test]
fn what_may_be_dropped_is_dropped_and_told() {
    let beast = Beast::start();
    let text = document(2000);
    for (drop, place) in [(Place::Head, "beginning"), (Place::Middle, "middle"), (Place::Tail, "end")] {
        let overflow = Overflow::Truncate { material: whole(&text), drop };
        let answer = beast.client().ask(&Generate { overflow, max_tokens: Some(30), ..instructed("title", &text) });
        let (_, usage) = answer.done();
        assert!((3500..=4066).contains(&usage.n_prompt), "as much as fits stays: {}", usage.n_prompt);
        let told = answer.events.iter().any(|event| match event {
            Event::Started { notices, .. } => notices.iter().any(|notice| notice.text.contains(place)),
            _ => false,
        });
        assert!(told, "{:?}", answer.events);
    }
}

#[test]
fn everything_else_refuses_with_both_sizes() {
    let beast = Beast::start();
    let error = beast.client().ask(&instructed("title", &document(600))).error();
    assert_eq!(error.code, ErrorCode::TooLong);
    assert!(error.message.contains("4096"), "{}", error.message);
    // Also if it should be answered in parts, but the question alone is too long.
    let question = document(600);
    let text = format!("{}{question}", document(600));
    let material = Span { start: 0, end: (text.len() - question.len()) as u64 };
    let overflow = Overflow::Reduce { material, instruction: String::new() };
    let error = beast.client().ask(&Generate { overflow, ..instructed("ask", &text) }).error();
    assert_eq!(error.code, ErrorCode::TooLong);
}
