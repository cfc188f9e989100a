use expect_test::expect;

use super::*;

#[test]
fn every_built_in_prompt_is_whole() {
    for (name, _) in BUILT_IN {
        let prompt = load(name, None).unwrap();
        assert!(prompt.system.ends_with('.') && prompt.system.len() > 40, "{name}: {prompt:?}");
        assert!(prompt.description.is_some_and(|text| !text.is_empty()), "{name} has no description");
    }
    assert!(BUILT_IN.is_sorted(), "lists are easier to read in order");
}

#[test]
fn settings_are_optional() {
    assert_eq!(parse("Do it.\n", "f").unwrap(), Prompt { system: "Do it.".into(), ..Prompt::default() });
    let prompt =
        parse("\u{feff}---\r\ndescription: a: b\r\n# why\r\n\r\nmax_tokens: 20\r\n---\r\n\r\nDo\n---\nit.", "f");
    expect![[r#"
        Prompt {
            system: "Do\n---\nit.",
            description: Some(
                "a: b",
            ),
            max_tokens: Some(
                20,
            ),
            reduce: None,
        }
    "#]]
    .assert_debug_eq(&prompt.unwrap());
}

#[test]
fn what_is_not_understood_has_a_line() {
    let errors: Vec<String> = [
        "---\nmax_tokens: 0\n---\nx",
        "---\nmax_tokens: many\n---\nx",
        "---\n\ntemp: 1\n---\nx",
        "---\nnonsense\n---\nx",
        "---\ndescription: x\n",
        "---\n---\n \n",
        "",
    ]
    .iter()
    .map(|text| parse(text, "f.md").unwrap_err().to_string())
    .collect();
    expect![[r#"
        f.md:2: max_tokens is `0`, but must be a number from 1
        f.md:2: max_tokens is `many`, but must be a number from 1
        f.md:3: unknown setting `temp`; there are description and max_tokens
        f.md:2: `nonsense` is not of the form `key: value`
        f.md:1: the settings that begin here never end, a line `---` is missing
        f.md:3: the prompt has no text
        f.md:1: the prompt has no text
    "#]]
    .assert_eq(&(errors.join("\n") + "\n"));
}

#[test]
fn only_a_likely_slip_is_corrected() {
    let nearest = |name: &str| match load(name, None) {
        Err(PromptError::Unknown { nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(nearest("sumarise").as_deref(), Some("summarize"));
    assert_eq!(nearest("commit").as_deref(), Some("commit-msg"));
    assert_eq!(nearest("tlrd").as_deref(), Some("tldr"));
    assert_eq!(nearest("horoscope"), None);
}

#[test]
fn a_name_is_no_path() {
    for name in ["", "..", ".hidden", "a/b", "/etc/passwd", "a\\b", "a\0b"] {
        assert!(matches!(load(name, None), Err(PromptError::Name(_))), "{name:?}");
    }
}
