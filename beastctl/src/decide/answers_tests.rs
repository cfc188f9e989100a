use super::*;

fn yes_no(yes: f32, gap: f32) -> Answer {
    Answer::new(Question::yes_no("Is it?"), vec![yes, 1.0 - yes], 1.0, gap).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn yes_is_0_no_is_1_and_in_between_is_6() {
    for (yes, gap, text, code) in [
        (0.9, 0.0, "yes", 0),
        (0.1, 0.0, "no", 1),
        (0.5, 0.0, "yes", 0),
        (0.55, 0.2, "unsure", 6),
        (0.45, 0.2, "unsure", 6),
        (0.625, 0.25, "yes", 0),
        (0.375, 0.25, "no", 1),
        (1.0, 1.0, "yes", 0),
    ] {
        let answer = yes_no(yes, gap);
        assert_eq!((answer.text(), answer.code()), (text, code), "{yes} {gap}");
    }
}

#[test]
fn several_answers_are_a_yes_only_together() {
    let (yes, no, unsure) = (yes_no(0.9, 0.2), yes_no(0.1, 0.2), yes_no(0.5, 0.2));
    assert_eq!(code(&[yes.clone(), yes.clone()]), 0);
    assert_eq!(code(&[yes.clone(), unsure.clone()]), 6);
    assert_eq!(code(&[unsure, no, yes]), 1);
}

#[test]
fn a_choice_is_the_likeliest_and_never_a_no() {
    let question = Answers::Choice(names(&["bug", "feature", "question"])).question("What?");
    let answer = Answer::new(question.clone(), vec![0.2, 0.5, 0.3], 1.0, 0.0).unwrap();
    assert_eq!((answer.text(), answer.code()), ("feature", 0));
    assert_eq!(answer.line(), "What?\tfeature\t0.500\n");
    assert_eq!(Answer::new(question, vec![0.2, 0.42, 0.38], 1.0, 0.1).unwrap().code(), 6);
}

#[test]
fn a_score_is_the_expected_level() {
    let question = Answers::Score(Scale { low: 1, high: 5 }).question("How\tmuch\nis it?");
    let answer = Answer::new(question, vec![0.0, 0.0, 0.5, 0.0, 0.5], 2.0, 0.0).unwrap();
    assert_eq!((answer.text(), answer.code()), ("4", 0), "the mean of 3 and 5, though neither is 4");
    assert_eq!(answer.line(), "How much is it?\t4\t0.000\n", "one line with two tabs");
    let object = answer.object("cub");
    assert_eq!((&object["answer"], &object["expected"], &object["temperature"]), (&json!(4), &json!(4.0), &json!(2.0)));
    assert_eq!(object["probabilities"], json!({ "1": 0.0, "2": 0.0, "3": 0.5, "4": 0.0, "5": 0.5 }));
}

#[test]
fn options_must_be_a_choice() {
    for bad in [&["a"][..], &["a", ""], &["a", " a "]] {
        assert!(matches!(Answers::new(&names(bad), None), Err(DecideError::Choice(_))), "{bad:?}");
    }
    let many: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    assert!(matches!(Answers::new(&many, None), Err(DecideError::Choice(_))));
    assert_eq!(Answers::new(&names(&[" a", "b "]), None).unwrap(), Answers::Choice(names(&["a", "b"])));
}

#[test]
fn what_is_no_probability_is_no_answer() {
    for bad in [&[][..], &[0.5], &[0.2, 0.3, 0.5], &[f32::NAN, 0.5], &[1.5, -0.5]] {
        assert_eq!(Answer::new(Question::yes_no("Is it?"), bad.to_vec(), 1.0, 0.0), None, "{bad:?}");
    }
}
