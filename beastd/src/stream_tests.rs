use proptest::prelude::*;

use super::*;
use crate::engine::fake::{ByteVocab, END};

fn started() -> Event {
    Event::Started { model: "bytes".into(), n_prompt: 0, n_ctx: 0, notices: Vec::new() }
}

/// The pieces that a client gets for these bytes, and the reason for an early end.
fn stream(bytes: &[u8], stop: &[&str]) -> (Vec<String>, Option<FinishReason>) {
    let (tx, mut rx) = channel(bytes.len());
    let stop = stop.iter().map(ToString::to_string).collect();
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), &[], stop, false, bytes.len());
    let tokens = bytes.iter().map(|&byte| Token(i32::from(byte)));
    let ended = tokens.into_iter().find_map(|token| stream.push(token, None, 1));
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

/// The text that the client gets of this answer, which reaches its limit, and the reason.
fn at_the_limit(answer: &str, soft_limit: usize) -> (String, FinishReason) {
    let (tx, mut rx) = channel(answer.len());
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), &[], Vec::new(), false, answer.len())
        .urged_from(soft_limit, false);
    for byte in answer.bytes() {
        assert_eq!(stream.push(Token(i32::from(byte)), None, 1), None);
    }
    stream.finish(FinishReason::MaxTokens, Usage::default(), Timings::default(), 2);
    let mut text = String::new();
    loop {
        match rx.try_recv() {
            Ok(Event::Piece { text: piece, .. }) => text += &piece,
            Ok(Event::Done { reason, .. }) => return (text, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_likely_loop_at_the_limit_is_one_where_the_model_was_urged_to_end() {
    let line = "It is read again. ";
    let (shown, reason) = at_the_limit(&line.repeat(6), 60);
    assert_eq!((shown.trim_end(), reason), (line.repeat(2).trim_end(), FinishReason::Repetition));
    assert_eq!(at_the_limit(&line.repeat(6), usize::MAX), (line.repeat(6), FinishReason::MaxTokens));
    assert_eq!(at_the_limit(&line.repeat(2), 20), (line.repeat(2), FinishReason::MaxTokens), "too little to be sure");
}

/// The text that the client gets of this answer, which ends by itself, and the reason.
fn at_its_end(answer: &str, soft_limit: Option<usize>) -> (String, FinishReason) {
    ended(answer, "", |stream| stream.urged_from(soft_limit.unwrap_or(usize::MAX), false))
}

/// The same for a request whose answer never means to repeat itself.
fn at_its_distinct_end(answer: &str, prompt: &str) -> (String, FinishReason) {
    ended(answer, prompt, |stream| stream.urged_from(usize::MAX, true))
}

fn ended(answer: &str, prompt: &str, with: impl FnOnce(Stream) -> Stream) -> (String, FinishReason) {
    let (tx, mut rx) = channel(answer.len());
    let prompt: Vec<Token> = prompt.bytes().map(|byte| Token(byte.into())).collect();
    let mut stream = with(Stream::new(Arc::new(ByteVocab), tx, started(), &prompt, Vec::new(), false, answer.len()));
    assert!(answer.bytes().all(|byte| stream.push(Token(i32::from(byte)), None, 1).is_none()));
    let reason = stream.push(END, None, 1).expect("it ends");
    stream.finish(reason, Usage::default(), Timings::default(), 2);
    let mut text = String::new();
    while let Ok(Event::Piece { text: piece, .. }) = rx.try_recv() {
        text += &piece;
    }
    (text, reason)
}

#[test]
fn copies_before_an_end_that_was_urged_are_not_shown() {
    let line = "It is read again.\n";
    let shown = |n: usize| line.repeat(n);
    assert_eq!(at_its_end(&line.repeat(6), Some(60)), (shown(2), FinishReason::Closed));
    assert_eq!(at_its_end(&line.repeat(3), Some(20)), (shown(2), FinishReason::Closed));
    assert_eq!(at_its_end(&line.repeat(2), Some(20)), (shown(2), FinishReason::Stop), "too little to be sure");
    for wish in [None, Some(500)] {
        assert_eq!(at_its_end(&line.repeat(6), wish), (shown(6), FinishReason::Stop), "what the user wanted");
    }
    let answer = "First this. ".to_owned() + &"Then that, over and over. ".repeat(6);
    assert_eq!(at_its_end(&answer, Some(20)).0.trim_end(), answer[..12 + 2 * 26].trim_end());
    let phrase = "now here and at the old gate, ";
    let begun = phrase.repeat(2) + "now here and";
    assert_eq!(at_its_end(&begun, Some(20)).0, begun, "rather than half of it");
    assert!(at_its_end(&phrase.repeat(4), Some(20)).0.len() < 3 * phrase.len(), "it has no sentences");
    assert!(at_its_end(&"AB_".repeat(20), Some(20)).0.len() < 15, "a word has no half");
}

#[test]
fn a_sentence_that_nobody_asked_for_is_not_shown_four_times() {
    let line = "It is read again.\n";
    let shown = |n: usize| line.repeat(n);
    for n in [4, 6] {
        assert_eq!(at_its_distinct_end(&line.repeat(n), ""), (shown(2), FinishReason::Closed));
    }
    assert_eq!(at_its_distinct_end(&line.repeat(3), ""), (shown(3), FinishReason::Stop), "emphasis");
    assert_eq!(at_its_distinct_end(&line.repeat(6), "Six times: It is read again."), (shown(6), FinishReason::Stop));
    let rows = "a, b, c\n".repeat(9);
    assert_eq!(at_its_distinct_end(&rows, ""), (rows, FinishReason::Stop), "no sentence");
}

#[test]
fn the_end_token_ends_the_answer() {
    let (tx, mut rx) = channel(4);
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), &[], Vec::new(), false, 4);
    assert_eq!(stream.push(END, None, 1), Some(FinishReason::Stop));
    drop(stream);
    assert!(rx.try_recv().is_err(), "the end has no text");
}

#[test]
fn hints_never_take_the_room_of_the_answer() {
    let (tx, mut rx) = channel(3);
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), &[], Vec::new(), false, 3);
    for n in 0..1000 {
        stream.hint(Event::Progress { n_done: n, n_total: 0 });
    }
    for _ in 0..3 {
        stream.push(Token(97), None, 1);
    }
    stream.finish(FinishReason::MaxTokens, Usage::default(), Timings::default(), 1);
    let mut last = None;
    while let Ok(reply) = rx.try_recv() {
        last = Some(reply);
    }
    assert!(matches!(last, Some(Event::Done { .. })));
}

proptest! {
    /// The pieces add up to the whole text, up to the first stop string, whatever was held back meanwhile.
    #[test]
    fn pieces_add_up(text in "[abé🦀]{0,40}", stop in proptest::collection::vec("[abé]{1,4}", 0..3)) {
        let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
        // The earliest end counts, because a stop string is found when its last character arrives.
        let ends = text.char_indices().map(|(n, c)| n + c.len_utf8());
        let expected = ends
            .into_iter()
            .find_map(|end| stop.iter().filter_map(|stop| text[..end].find(stop)).min())
            .map_or(text.as_str(), |at| &text[..at]);
        prop_assert_eq!(stream(text.as_bytes(), &stop).0.concat(), expected);
    }
}

/// Text, tokens and log-probabilities of the pieces that a client gets, where each byte's log-probability is its
/// number divided by -100.
fn likely(bytes: &[u8], stop: &[&str], n_resumed: usize) -> Vec<(String, Vec<i32>, Vec<TokenLogprob>)> {
    let (tx, mut rx) = channel(bytes.len());
    let stop = stop.iter().map(ToString::to_string).collect();
    let mut stream = Stream::new(Arc::new(ByteVocab), tx, started(), &[], stop, true, bytes.len());
    let tokens: Vec<_> = bytes.iter().map(|&byte| if byte == b'$' { END } else { Token(i32::from(byte)) }).collect();
    let (before, after) = tokens.split_at(n_resumed);
    stream.resume(before, n_resumed, false);
    let of = |token: Token| Logprobs { chosen: token.0 as f32 / -100.0, top: vec![(Token(0xc3), -0.5), (END, -1.0)] };
    let ended = after.iter().find_map(|&token| stream.push(token, Some(of(token)), 1));
    stream.finish(ended.unwrap_or(FinishReason::MaxTokens), Usage::default(), Timings::default(), 2);
    let mut pieces = Vec::new();
    while let Ok(Event::Piece { text, tokens, logprobs, .. }) = rx.try_recv() {
        assert_eq!(logprobs.iter().map(|logprob| logprob.chosen.token).collect::<Vec<_>>(), tokens);
        assert!(logprobs.iter().all(|logprob| logprob.chosen.logprob == logprob.chosen.token as f32 / -100.0));
        pieces.push((text, tokens, logprobs));
    }
    pieces
}

/// The text of each piece and its tokens as bytes, `$` for the end token.
fn likely_pieces(bytes: &[u8], stop: &[&str], n_resumed: usize) -> Vec<(String, Vec<u8>)> {
    let byte = |token: i32| u8::try_from(token).unwrap_or(b'$');
    let pieces = likely(bytes, stop, n_resumed).into_iter();
    pieces.map(|(text, tokens, _)| (text, tokens.into_iter().map(byte).collect())).collect()
}

fn piece(text: &str, tokens: &[u8]) -> (String, Vec<u8>) {
    (text.into(), tokens.to_vec())
}

#[test]
fn each_token_of_a_piece_has_its_log_probability_and_bytes() {
    let pieces = likely("aé".as_bytes(), &[], 0);
    let [(_, _, first), (_, _, second)] = &pieces[..] else { panic!("{pieces:?}") };
    let bytes =
        |logprobs: &[TokenLogprob]| logprobs.iter().map(|logprob| logprob.chosen.bytes.clone()).collect::<Vec<_>>();
    assert_eq!((bytes(first), bytes(second)), (vec![vec![b'a']], vec![vec![0xc3], vec![0xa9]]));
    let top = |token, bytes, logprob| Logprob { token, bytes, logprob };
    assert_eq!(first[0].top, [top(0xc3, vec![0xc3], -0.5), top(256, vec![], -1.0)]);
}

#[test]
fn log_probabilities_wait_with_their_tokens() {
    assert_eq!(likely_pieces("aé".as_bytes(), &[], 0), [piece("a", b"a"), piece("é", "é".as_bytes())]);
    assert_eq!(likely_pieces(b"x EN y", &["END"], 0)[2..], [piece("EN ", b"EN "), piece("y", b"y")]);
    assert_eq!(likely_pieces(b"a$$b", &[], 0), [piece("a", b"a"), piece("b", b"$$b")]);
    assert_eq!(likely_pieces(b"ab", &[], 1), [piece("b", b"b")], "what was there is not told again");
}

#[test]
fn tokens_without_text_are_told_at_the_end() {
    assert_eq!(likely_pieces(b"a$$", &[], 0), [piece("a", b"a"), piece("", b"$$")]);
    assert_eq!(likely_pieces(b"$", &[], 0), [piece("", b"$")]);
    assert_eq!(likely_pieces(b"a\xe2\x82", &[], 0), [piece("a", b"a"), piece("\u{fffd}", b"\xe2\x82")]);
}

#[test]
fn the_tokens_of_a_stop_text_are_not_part_of_the_answer() {
    assert_eq!(likely_pieces(b"a END", &["END"], 0), [piece("a", b"a"), piece(" ", b" ")]);
    assert_eq!(likely_pieces(b"EEND", &["END"], 0), [piece("E", b"E")]);
    assert_eq!(likely_pieces(b"xENyEND", &["END"], 0)[1..], [piece("ENy", b"ENy")]);
}
