use super::*;

#[test]
fn a_message_keeps_its_own_step() {
    let message = Advised::new("cannot read a; try: ls").or_try(|| Some("rm a".into()));
    assert_eq!((message.text.as_str(), message.step.as_deref()), ("cannot read a", Some("ls")));
    assert_eq!(message.to_string(), "cannot read a; try: ls");
}

#[test]
fn a_message_without_a_step_gets_one_where_there_is_one() {
    assert_eq!(Advised::new("it failed").or_try(|| Some("ls".into())).to_string(), "it failed; try: ls");
    assert_eq!(Advised::new("it failed").or_try(|| None).to_string(), "it failed");
}

#[test]
fn of_two_steps_the_first_stays() {
    assert_eq!(Advised::new("a; try: b; try: c").to_string(), "a; try: b");
}
