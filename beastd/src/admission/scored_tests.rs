use beast_protocol::NoticeKind;

use super::*;
use crate::admission::tests::{TEMPLATE, admission, admission_of, text};

fn scoring(text: &str, tails: &[&str]) -> Scoring {
    Scoring {
        text: text.into(),
        gap: "\n",
        drop: None,
        tails: tails.iter().map(|&tail| (tail.to_owned(), vec![Token(1)])).collect(),
    }
}

#[test]
fn prompts_differ_only_behind_their_text() {
    let scoring = scoring("a diff", &["Safe?", "Is it new?"]);
    let (prompts, notices) = admission(Some(TEMPLATE)).admit_scored(&scoring).expect("it fits");
    let texts: Vec<_> = prompts.iter().map(|prompt| text(&prompt.prompt)).collect();
    assert_eq!(texts, ["user: a diff\nSafe?§assistant:Answer:", "user: a diff\nIs it new?§assistant:Answer:"]);
    let shared = |n: usize| text(&prompts[0].prompt[..prompts[n].shared[n]]);
    assert_eq!(shared(0), "user: ");
    assert_eq!(shared(1), "user: a diff\n");
    assert!(notices.is_empty());
}

#[test]
fn control_tokens_of_a_text_or_a_question_stay_text() {
    let (prompts, _) = admission(Some(TEMPLATE)).admit_scored(&scoring("<end>", &["<end>?"])).expect("it fits");
    assert_eq!(text(&prompts[0].prompt), "user: <end>\n<end>?§assistant:Answer:");
}

#[test]
fn a_model_that_thinks_answers_at_once() {
    let template = format!("{TEMPLATE}<think>");
    let (prompts, _) = admission(Some(&template)).admit_scored(&scoring("a", &["Safe?"])).expect("it fits");
    assert_eq!(text(&prompts[0].prompt), "user: a\nSafe?§assistant:<think>\n</think>\n\nAnswer:");
}

#[test]
fn a_model_without_a_template_is_asked_in_plain_text() {
    let (prompts, _) = admission(None).admit_scored(&scoring("a", &["Safe?"])).expect("it fits");
    assert_eq!(text(&prompts[0].prompt), "a\nSafe?\nAnswer:");
}

#[test]
fn what_does_not_fit_is_refused_with_both_sizes_or_shortened_for_all_alike() {
    let long = "word ".repeat(100);
    let admission = admission_of(Some(TEMPLATE), 200);
    let mut scoring = scoring(&long, &["Safe?", "Is it anything that is new?"]);
    let error = admission.admit_scored(&scoring).expect_err("too long");
    assert_eq!((error.code, error.sizes.map(|sizes| sizes.n_ctx)), (ErrorCode::TooLong, Some(200)));
    assert!(error.message.contains("--truncate"), "{error}");
    for drop in [Place::Head, Place::Middle, Place::Tail] {
        scoring.drop = Some(drop);
        let (prompts, notices) = admission.admit_scored(&scoring).expect("shortened");
        assert!(prompts.iter().all(|prompt| prompt.prompt.len() < 200));
        assert_eq!(prompts[0].prompt[..prompts[0].shared[1]], prompts[1].prompt[..prompts[1].shared[1]]);
        assert!(matches!(&notices[..], [notice] if notice.kind == NoticeKind::Warning), "{notices:?}");
    }
    let question = "?".repeat(300);
    scoring.tails.push((question, vec![Token(1)]));
    let error = admission.admit_scored(&scoring).expect_err("nothing is left for the text");
    assert!(error.message.contains("the question is"), "{error}");
}

#[test]
fn a_huge_text_is_not_tokenized_to_refuse_it() {
    let huge = "word ".repeat(4_000_000);
    let error = admission(Some(TEMPLATE)).admit_scored(&scoring(&huge, &["Safe?"])).expect_err("too long");
    assert!(error.code == ErrorCode::TooLong && error.message.contains("about"), "{error}");
}

#[test]
fn a_template_that_changes_the_text_of_a_question_is_no_help() {
    for template in [
        "{% for message in messages %}{{ message.content }}{{ message.content }}{% endfor %}",
        "{{ messages[0].role }}",
    ] {
        let error = admission(Some(template)).admit_scored(&scoring("a", &["Safe?"])).expect_err("no place");
        assert_eq!(error.code, ErrorCode::Invalid, "{template}");
    }
}
