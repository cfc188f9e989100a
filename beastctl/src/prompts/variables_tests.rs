use super::*;

fn prompt() -> Prompt {
    let variable = |name: &str, default: Option<&str>| Variable { name: name.into(), default: default.map(Into::into) };
    Prompt {
        name: "letter".into(),
        system: "Write {{to}}, {{ to }} and {{who}}.".into(),
        instruction: "Sign as {{who}}.".into(),
        reduce: Some("Merge for {{to}}.".into()),
        variables: vec![variable("to", Some("all")), variable("who", None)],
        ..Prompt::default()
    }
}

fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

#[test]
fn values_take_their_places_everywhere() {
    let filled = prompt().fill(&given(&[("who", "me")])).unwrap();
    assert_eq!(filled.system, "Write all, all and me.");
    assert_eq!(filled.instruction, "Sign as me.");
    assert_eq!(filled.reduce.as_deref(), Some("Merge for all."));
}

#[test]
fn a_value_is_text_whatever_it_looks_like() {
    let filled = prompt().fill(&given(&[("who", "{{to}}"), ("to", "{{"), ("to", "a=b")])).unwrap();
    assert_eq!(filled.system, "Write a=b, a=b and {{to}}.");
}

#[test]
fn what_is_missing_or_unknown_is_told() {
    let error = prompt().fill(&[]).unwrap_err();
    assert_eq!(error.to_string(), "the prompt `letter` needs a value for who; try: -p who=VALUE");
    let error = prompt().fill(&given(&[("whom", "me")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the prompt `letter` has no variable `whom`, did you mean `who`?; try: use one of to, who"
    );
    let error = Prompt::default().fill(&given(&[("a", "b")])).unwrap_err();
    assert!(error.to_string().ends_with("; try: leave out -p: it has no variables"), "{error}");
}

#[test]
fn another_instruction_replaces_all_of_it() {
    let replaced = prompt().replace("Do {{this}}.", &[]).unwrap();
    assert_eq!((replaced.system.as_str(), replaced.instruction.as_str()), ("Do {{this}}.", ""));
    assert_eq!(replaced.reduce.as_deref(), Some(""), "merged by the new instruction");
    assert!(prompt().replace("Do it.", &given(&[("nobody", "")])).is_err());
}
