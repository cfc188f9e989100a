use std::collections::BTreeSet;

use expect_test::expect;

use super::*;

fn choice(n: usize) -> Question {
    let options = (0..n).map(|nth| AnswerOption::new(format!("option {nth}"))).collect();
    Question { text: "Which?".into(), kind: QuestionKind::Choice, options }
}

fn tails(phrasings: &[Phrasing]) -> String {
    phrasings.iter().map(|phrasing| format!("{}\n---\n", phrasing.tail)).collect()
}

#[test]
fn yes_and_no_come_in_both_orders() {
    let phrasings = phrasings(&Question::yes_no(" Is it safe? "));
    expect![[r#"
        Question: Is it safe? Yes or No?
        ---
        Question: Is it safe? No or Yes?
        ---
    "#]]
    .assert_eq(&tails(&phrasings.in_words));
    let yes = &phrasings.in_words[1].spellings[0];
    assert!(["Yes", " Yes", "yes", " yes", "YES"].iter().all(|text| yes.contains(&(*text).to_owned())), "{yes:?}");
}

#[test]
fn labels_follow_the_places_and_not_the_options() {
    let options = [("spam", "somebody sells something"), ("ham", "")];
    let options = options.map(|(name, text)| AnswerOption { name: name.into(), description: text.into() });
    let question = Question { text: "What is it?".into(), kind: QuestionKind::Choice, options: options.into() };
    let phrasings = phrasings(&question);
    expect![[r#"
        Question: What is it?
        A. spam: somebody sells something
        B. ham
        A or B?
        ---
        Question: What is it?
        A. ham
        B. spam: somebody sells something
        A or B?
        ---
    "#]]
    .assert_eq(&tails(&phrasings.with_labels));
    assert_eq!(phrasings.with_labels[0].spellings[0], ["A", " A"]);
    assert_eq!(phrasings.with_labels[1].spellings[0], ["B", " B"]);
}

#[test]
fn each_option_has_each_place_once_while_there_are_few() {
    for n in 1..=MAX_ORDERS {
        for place in 0..n {
            let there: BTreeSet<usize> = orders(&choice(n)).iter().map(|order| order[place]).collect();
            assert_eq!(there.len(), n, "place {place} of {n}");
        }
    }
    let many = orders(&choice(MAX_OPTIONS));
    assert_eq!(many.len(), MAX_ORDERS);
    for order in many {
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), MAX_OPTIONS, "a permutation");
    }
}

#[test]
fn a_scale_goes_up_and_down() {
    let options = (1..=5).map(|level| AnswerOption::new(level.to_string())).collect();
    let question = Question { text: "How urgent?".into(), kind: QuestionKind::Score, options };
    expect![[r#"
        Question: How urgent? Answer with a number from 1 to 5.
        ---
        Question: How urgent? Answer with a number from 5 to 1.
        ---
    "#]]
    .assert_eq(&tails(&phrasings(&question).in_words));
}
