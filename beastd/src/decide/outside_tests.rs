use beast_protocol::{AnswerOption, Place, QuestionKind};

use super::*;

fn decide(questions: Vec<Question>) -> Decide {
    Decide { state: "It rains.\n".into(), questions, ..Decide::default() }
}

fn choice(names: &[&str]) -> Question {
    let options = names.iter().map(|name| AnswerOption::new(*name)).collect();
    Question { text: "Which?".into(), kind: QuestionKind::Choice, options }
}

fn likely(tokens: &[(&str, f32)]) -> Likely {
    tokens.iter().map(|(token, p)| ((*token).to_owned(), p.ln())).collect()
}

#[test]
fn a_prompt_is_the_text_and_a_question_in_several_orders() {
    let decide = Decide { drop: Some(Place::Head), ..decide(vec![Question::yes_no("Is it wet?")]) };
    let asked = asked_outside(&decide).unwrap();
    let texts: Vec<&str> = asked.iter().map(|one| one.request.messages[0].content.as_str()).collect();
    assert_eq!(
        texts,
        [
            "It rains.\n\nQuestion: Is it wet? Yes or No? Answer with that only, without any other words.",
            "It rains.\n\nQuestion: Is it wet? No or Yes? Answer with that only, without any other words.",
        ]
    );
    let material = Span { start: 0, end: 9 };
    assert_eq!(asked[0].request.overflow, Overflow::Truncate { material, drop: Place::Head });
    assert!(asked_outside(&Decide::default()).unwrap_err().message.contains("no question"));
}

#[test]
fn options_that_begin_alike_get_labels() {
    let words = asked_outside(&decide(vec![choice(&["bug", "feature"])])).unwrap();
    assert!(words[0].request.messages[0].content.contains("bug or feature?"));
    let labels = asked_outside(&decide(vec![choice(&["neutral", "negative"])])).unwrap();
    assert!(labels[0].request.messages[0].content.contains("A. neutral\nB. negative\nA or B?"));
}

#[test]
fn tokens_that_begin_an_option_count_for_it() {
    let decide = decide(vec![Question::yes_no("Is it wet?")]);
    let asked = asked_outside(&decide).unwrap();
    let tokens =
        likely(&[("Yes", 0.4), (" yes", 0.1), ("Y", 0.05), ("Yes.", 0.05), ("No", 0.1), ("Now", 0.1), ("", 0.1)]);
    let (probabilities, notices) = decided_outside(&decide, &asked, &[tokens.clone(), tokens]).unwrap();
    assert!((probabilities[0][0] - 6.0 / 7.0).abs() < 1e-5, "{probabilities:?}");
    assert_eq!(notices, []);
}

#[test]
fn what_is_not_listed_is_less_likely_than_what_is() {
    let decide = decide(vec![Question::yes_no("Is it wet?")]);
    let asked = asked_outside(&decide).unwrap();
    let tokens = likely(&[("No", 0.3), ("It", 0.2), ("A", 0.1)]);
    let (probabilities, notices) = decided_outside(&decide, &asked, &[tokens.clone(), tokens]).unwrap();
    assert!((probabilities[0][1] - 0.75).abs() < 1e-5, "{probabilities:?}");
    assert_eq!(notices[0].text, "the offered answers have only 30 % of the model's probability");
}

#[test]
fn an_answer_with_other_words_is_refused() {
    let decide = decide(vec![Question::yes_no("Is it wet?")]);
    let asked = asked_outside(&decide).unwrap();
    let tokens = likely(&[("<think>", 0.9), ("The", 0.1)]);
    let error = decided_outside(&decide, &asked, &[tokens.clone(), tokens]).unwrap_err();
    assert!(error.message.contains("\"Is it wet?\" with any of the options, but with \"<think>\""), "{error:?}");
}
