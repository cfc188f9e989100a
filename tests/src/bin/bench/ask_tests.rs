use super::*;

fn answer() -> Answer {
    Answer {
        n_prompt: 100,
        n_cached: 40,
        n_after_first: 10,
        n_drafted: 8,
        n_accepted: 6,
        prefill: Duration::from_secs(2),
        decode: Duration::from_millis(500),
        first_token: Duration::from_millis(2100),
    }
}

#[test]
fn what_was_known_already_is_not_counted_as_read() {
    assert_eq!(answer().prefill_speed(), 30.0);
    assert_eq!(answer().decode_speed(), 20.0);
    assert_eq!(answer().first_token_ms(), 2100.0);
}

#[test]
fn answers_add_up() {
    let (mut tally, mut guesses) = (Tally::default(), Guesses::default());
    tally.add(&answer());
    tally.add(&Answer { n_after_first: 30, n_drafted: 2, n_accepted: 0, ..answer() });
    guesses.add(&tally);
    assert_eq!(tally.speed(), 40.0);
    assert_eq!(guesses.share(), Some(0.6));
    assert_eq!(guesses.to_string(), "6 of 10 guesses right");
    assert_eq!(Guesses::default().to_string(), "no drafts");
}

#[test]
fn a_question_is_greedy_and_keeps_its_turns() {
    let question = exactly(Some("Be brief."), "Why?", 7);
    let turns: Vec<_> = question.messages.iter().map(|message| (message.role, message.content.as_str())).collect();
    assert_eq!(turns, [(Role::System, "Be brief."), (Role::User, "Why?")]);
    assert_eq!((question.sampling.temp, question.max_tokens), (Some(0.0), Some(7)));
    assert_eq!((question.ignore_eos, question.speculation), (true, Speculation::Off));
}
