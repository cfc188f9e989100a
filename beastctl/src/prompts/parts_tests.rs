use super::*;

const KEYS: [&str; 3] = ["description", "system", "max_tokens"];

#[test]
fn settings_may_follow_blank_lines() {
    for before in ["", "\n", "\n \n\r\n"] {
        let text = format!("{before}---\nmax_tokens: 3\n---\nDo it.\n");
        let parts = split(&text, &KEYS).unwrap();
        let n_before = before.matches('\n').count();
        assert_eq!((parts.settings, parts.settings_line), ("max_tokens: 3\n", n_before + 2), "{text}");
        assert_eq!((parts.body, parts.body_line), ("Do it.\n", n_before + 4), "{text}");
    }
    assert_eq!(split(" ---\r\nmax_tokens: 3\r\n--- \r\nx", &KEYS).unwrap().body, "x");
}

/// Nothing that was meant as a setting becomes part of the instruction.
#[test]
fn settings_in_another_place_or_form_are_refused() {
    for (text, line) in [
        ("+++\nmax_tokens = 3\n+++\nDo it.", 1),
        ("\n+++\nmax_tokens = 3\n+++\nDo it.", 2),
        ("+++\ntitle = 'x'\n+++\nDo it.", 1),
        ("max_tokens: 3\n---\nDo it.", 1),
        ("max_tokens: 3\n\nDo it.", 1),
        ("max_tokens = 3\nDo it.", 1),
        ("----\nmax_tokens: 3\n----\nDo it.", 2),
        ("—\ndescription: x\n—\nDo it.", 2),
        ("---yaml\ndescription: x\n---\nDo it.", 2),
        ("# Haiku\n\n---\ndescription: x\n---\nDo it.", 4),
        ("```yaml\ndescription: x\n```\nDo it.", 2),
        ("{\n  \"max_tokens\": 3\n}\nDo it.", 2),
        (";;;\n\"system\": \"x\"\n;;;\nDo it.", 2),
        ("\n---\nmax_tokens: 3\nDo it.", 2),
    ] {
        assert_eq!(split(text, &KEYS).map_err(|mistake| mistake.line), Err(line), "{text}");
    }
}

#[test]
fn a_text_without_settings_is_a_text() {
    for text in [
        "Do it.",
        "Describe the\nsystem: it has parts.",
        "Description: of what the user sends.\nBe brief.",
        "system:it",
        "* * *\nDo it.",
        "----\nDo it.",
        "```\ncode\n```\nExplain it.",
        "One.\nTwo.\nThree.\nmax_tokens: 3",
        "maximum: 3",
        "",
        "\n\n",
    ] {
        assert_eq!(
            split(text, &KEYS),
            Ok(Parts { settings: "", settings_line: 1, body: text, body_line: 1 }),
            "{text}"
        );
    }
    let parts = split("---\n---\nmax_tokens: 3 is a setting.", &KEYS).unwrap();
    assert_eq!(parts.body, "max_tokens: 3 is a setting.");
}
