use proptest::prelude::*;

use super::*;
use crate::engine::fake::{ByteVocab, END};

fn started() -> Event {
    Event::Started { model: "bytes".into(), n_prompt: 0, n_ctx: 0, notices: Vec::new() }
}

/// What a client sees of these bytes, piece by piece, and the reason for an early end.
fn stream(bytes: &[u8], stop: &[&str]) -> (Vec<String>, Option<FinishReason>) {
    let (tx, mut rx) = channel(bytes.len());
    let stop = stop.iter().map(ToString::to_string).collect();
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), stop, false, bytes.len());
    let tokens = bytes.iter().map(|&byte| Token(i32::from(byte)));
    let ended = tokens.into_iter().find_map(|token| stream.push(token, 1));
    stream.finish(ended.unwrap_or(FinishReason::MaxTokens), Usage::default(), Timings::default(), 2);
    let mut pieces = Vec::new();
    while let Ok(reply) = rx.try_recv() {
        match reply {
            Event::Piece { text, .. } => pieces.push(text),
            Event::Done { .. } => return (pieces, ended),
            reply => panic!("{reply:?}"),
        }
    }
    panic!("no end");
}

#[test]
fn a_character_is_sent_when_its_last_byte_is_there() {
    assert_eq!(stream("aé🦀".as_bytes(), &[]).0, ["a", "é", "🦀"]);
}

#[test]
fn bytes_that_never_become_a_character_are_replaced() {
    assert_eq!(stream(b"a\xffb", &[]).0.concat(), "a\u{fffd}b");
    assert_eq!(stream(b"a\xe2\x82", &[]).0.concat(), "a\u{fffd}", "cut in a character");
}

#[test]
fn a_stop_text_ends_the_answer_and_is_not_part_of_it() {
    let (pieces, ended) = stream(b"one END two", &["END"]);
    assert_eq!((pieces.concat().as_str(), ended), ("one ", Some(FinishReason::StopText)));
}

#[test]
fn what_looks_like_a_stop_text_is_held_back_and_comes_when_it_is_none() {
    let (pieces, ended) = stream(b"one EN two E", &["END"]);
    assert_eq!((pieces.concat().as_str(), ended), ("one EN two E", None));
    assert!(!pieces.iter().any(|piece| piece.ends_with('E') && piece.len() > 1));
}

#[test]
fn the_end_token_ends_the_answer() {
    let (tx, mut rx) = channel(4);
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), Vec::new(), false, 4);
    assert_eq!(stream.push(END, 1), Some(FinishReason::Stop));
    drop(stream);
    assert!(rx.try_recv().is_err(), "the end has no text");
}

#[test]
fn hints_never_take_the_room_of_the_answer() {
    let (tx, mut rx) = channel(3);
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), Vec::new(), false, 3);
    for n in 0..1000 {
        stream.hint(Event::Progress { n_done: n, n_total: 0 });
    }
    for _ in 0..3 {
        stream.push(Token(97), 1);
    }
    stream.finish(FinishReason::MaxTokens, Usage::default(), Timings::default(), 1);
    let mut last = None;
    while let Ok(reply) = rx.try_recv() {
        last = Some(reply);
    }
    assert!(matches!(last, Some(Event::Done { .. })));
}

proptest! {
    /// Whatever is held back on the way, the text is that of all bytes at once, up to the first stop text.
    #[test]
    fn pieces_add_up(text in "[abé🦀]{0,40}", stop in proptest::collection::vec("[abé]{1,4}", 0..3)) {
        let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
        // The earliest end counts: a stop text is noticed when its last character arrives.
        let ends = text.char_indices().map(|(n, c)| n + c.len_utf8());
        let expected = ends
            .into_iter()
            .find_map(|end| stop.iter().filter_map(|stop| text[..end].find(stop)).min())
            .map_or(text.as_str(), |at| &text[..at]);
        prop_assert_eq!(stream(text.as_bytes(), &stop).0.concat(), expected);
    }
}
