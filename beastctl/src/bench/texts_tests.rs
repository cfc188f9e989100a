use std::collections::HashSet;

use super::*;

fn user(request: &Generate) -> &str {
    &request.messages.last().unwrap().content
}

#[test]
fn no_text_is_said_twice() {
    let mut seen = HashSet::new();
    for n in 1..50 {
        let copied = to_copy(n, 8).into_iter();
        for request in copied.chain([prompt(n, 400, 8), behind(None, 1000 + n)]) {
            let beginning: String = user(&request).chars().take(40).collect();
            assert!(seen.insert(user(&request).to_owned()), "{}", user(&request));
            assert!(!beginning.contains('{'), "{beginning}");
        }
        assert!(seen.insert(instruction(n, 400)));
    }
}

/// The number is in the first sentence, so that no prefix is shared.
#[test]
fn texts_differ_from_their_beginning() {
    let beginnings: HashSet<String> = (1..50).map(|n| material(n, 3).chars().take(20).collect()).collect();
    assert_eq!(beginnings.len(), 49);
}

#[test]
fn everything_is_greedy_and_nothing_is_guessed_unless_asked_for() {
    let requests =
        [prompt(1, 400, 64), behind(Some("Do it."), 1)].into_iter().chain(to_copy(1, 9)).chain(to_answer(1, 9));
    for request in requests {
        assert_eq!((request.sampling.temp, request.speculation), (Some(0.0), Speculation::Off));
        assert!(request.max_tokens.is_some());
    }
    assert!(prompt(1, 400, 64).ignore_eos, "an answer that ends early cannot be compared");
    assert!(!to_copy(1, 9)[0].ignore_eos, "what comes after the end of an answer is no copy");
}

#[test]
fn a_text_is_as_long_as_was_asked_for() {
    let n_words = |n| user(&prompt(1, n, 8)).split(' ').count();
    // A word and its space have about one and a half tokens.
    assert!((200..300).contains(&n_words(400)), "{}", n_words(400));
    assert!(n_words(100) < n_words(400) / 3);
    assert!(!user(&behind(None, 1)).is_empty());
}
