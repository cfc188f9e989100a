use super::*;

#[test]
fn texts_to_copy_differ() {
    let mut words = Words::new();
    let text = |question: &Generate| question.messages.last().expect("there is a turn").content.clone();
    let texts: std::collections::HashSet<String> = (0..20).map(|_| text(&copying(&mut words))).collect();
    assert!(texts.len() > 15, "{texts:?}");
}

#[test]
fn the_same_question_is_asked_in_another_way() {
    let plain = question("a socket");
    let guessed = guessing(&plain, Speculation::Lookup);
    assert_eq!(guessed.speculation, Speculation::Lookup);
    assert_eq!((guessed.messages, guessed.max_tokens), (plain.messages, plain.max_tokens));
}
