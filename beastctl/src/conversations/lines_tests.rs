use super::*;
use crate::conversations::Said;

fn parse(bytes: &[u8]) -> Result<Parsed, ConversationError> {
    super::parse(Path::new("parser.jsonl"), bytes)
}

fn exchange(question: &str, answer: &str) -> Exchange {
    Exchange::new(question.into(), Said { text: answer.into(), model: "cub".into(), is_cut: false })
}

fn text(exchanges: &[Exchange]) -> String {
    let lines: String = exchanges.iter().map(exchange_lines).collect();
    line(&Head::new("ask", "Be brief.")) + &lines
}

fn questions(parsed: &Parsed) -> Vec<&str> {
    let exchanges = parsed.conversation.iter().flat_map(|conversation| &conversation.exchanges);
    exchanges.map(|exchange| exchange.question.content.as_str()).collect()
}

#[test]
fn what_is_written_is_read_byte_for_byte() {
    let odd = "a \"quoted\"\n\tline \\ with \u{1b}[1m, \r\n and é \u{2028}\u{feff} ";
    let exchanges = [exchange(odd, "yes"), exchange("b", odd)];
    let parsed = parse(text(&exchanges).as_bytes()).unwrap();
    let conversation = parsed.conversation.unwrap();
    assert_eq!(conversation.exchanges, exchanges);
    assert_eq!(conversation.head.system, "Be brief.");
    assert!(!parsed.is_damaged && !parsed.is_unended);
}

/// Wherever a power failure truncates the file, complete exchanges remain, and at most the last one is missing.
#[test]
fn every_cut_leaves_whole_exchanges() {
    let whole = text(&[exchange("a", "1"), exchange("b", "2")]);
    let ends: Vec<usize> = whole.match_indices('\n').map(|(n, _)| n + 1).collect();
    for len in 0..=whole.len() {
        let parsed = parse(&whole.as_bytes()[..len]).unwrap();
        // A line without its newline is complete as well.
        let n_lines = ends.iter().filter(|end| **end <= len + 1).count();
        assert_eq!(questions(&parsed), ["a", "b"][..n_lines.saturating_sub(1) / 2], "{len}");
        assert_eq!(parsed.is_damaged, parsed.n_good < len as u64, "{len}");
    }
}

#[test]
fn what_a_file_system_puts_in_place_of_a_tail_is_damage() {
    let whole = text(&[exchange("a", "1"), exchange("b", "2")]);
    let mut bytes = whole.clone().into_bytes();
    bytes.extend([0; 100]);
    let parsed = parse(&bytes).unwrap();
    assert_eq!((questions(&parsed), parsed.n_good, parsed.is_damaged), (vec!["a", "b"], whole.len() as u64, true));
    assert!(parse(&[0; 100]).unwrap().conversation.is_none());
}

#[test]
fn a_damaged_middle_names_its_line() {
    let whole = text(&[exchange("a", "1"), exchange("b", "2")]);
    let lines: Vec<&str> = whole.lines().collect();
    let flaw = |lines: &[&str]| match parse((lines.join("\n") + "\n").as_bytes()) {
        Err(ConversationError::Damaged { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    assert_eq!(flaw(&[lines[0], "{}", lines[2], lines[3]]), 2);
    assert_eq!(flaw(&[lines[0], lines[1], lines[3]]), 3, "two questions in a row");
    assert_eq!(flaw(&[lines[0], lines[2]]), 2, "an answer without a question");
    assert_eq!(flaw(&[lines[1]]), 1, "no head");
    assert_eq!(flaw(&["my notes"]), 1, "another file");
    assert_eq!(flaw(&[lines[0], lines[1], r#"{"role":"system","content":""}"#]), 3);
}

#[test]
fn another_version_is_refused_before_anything_else_is_read() {
    let error = parse(b"{\"version\":2,\"turns\":[]}\n").unwrap_err();
    assert!(matches!(error, ConversationError::OtherVersion { version: 2, .. }), "{error:?}");
}

#[test]
fn an_exchange_that_was_asked_again_takes_the_place_of_the_first_try() {
    let mut again = exchange("b", "better");
    again.question.is_retry = true;
    let parsed = parse(text(&[exchange("a", "1"), exchange("b", "2"), again]).as_bytes()).unwrap();
    assert_eq!(questions(&parsed), ["a", "b"]);
    assert_eq!(parsed.conversation.unwrap().exchanges[1].answer.content, "better");
}

#[test]
fn any_bytes_are_a_conversation_or_a_flaw() {
    let whole = text(&[exchange("a", "1"), exchange("b \u{1F980}", "2\n3")]);
    let corpus: [&[u8]; 2] = [whole.as_bytes(), b"{\"version\":1}\n"];
    let words = ["\n", "{\"role\":\"user\",\"content\":\"", "\"}", "null", "\\u0000", "[", "{\"version\":2}"];
    beast_tests::fuzz::fuzz("conversations", &corpus, &words, |bytes| {
        if let Ok(parsed) = parse(bytes) {
            assert!(parsed.n_good <= bytes.len() as u64, "what makes sense is part of the file");
        }
    });
}
